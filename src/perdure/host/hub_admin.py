"""Making, listing and dropping the hubs of a server over HTTP, at ``/admin/perdure/hubs`` and below it."""

from urllib.parse import unquote

from starlette.types import Scope

from perdure.contracts.errors import InvalidInput, StoreInUse
from perdure.grpc_api.access import Role, Standing
from perdure.host.hub_directory import HubDirectory
from perdure.http_api.access import Level, OpenAccess, Verdict
from perdure.http_api.answers import NOT_FOUND, Answer, json_answer

PLACE = b"/admin/perdure/hubs"
_READERS = frozenset({Role.READER, Role.CONTRIBUTOR, Role.ADMIN})
_OPEN = OpenAccess()


def hub_named(path: bytes) -> str | None:
    """The hub that a path below the place names; empty for the place itself, None for other paths."""
    if path == PLACE:
        return ""
    if not path.startswith(PLACE + b"/"):
        return None
    name = unquote(path[len(PLACE) + 1 :].decode("latin-1"))
    return name or None


async def answer(
    scope: Scope, name: str, hubs: HubDirectory, standing: Standing | None, *, asks_tokens: bool
) -> Answer:
    """One request; ``standing`` is that of its caller, where tokens are asked for."""
    if asks_tokens and standing is None:
        return Answer(401)
    if not asks_tokens and _OPEN.judge(scope, Level.ADMIN) is not Verdict.ALLOWED:
        return Answer(403)
    method = scope["method"]
    if method == "GET" and not name:
        if standing is not None and standing.role not in _READERS:
            return Answer(403)
        seen = [hub for hub in hubs.running() if standing is None or standing.sees(hub.name)]
        return json_answer(200, [{"taskHub": hub.name, "store": hub.storage.describe()} for hub in seen])
    if not name or method not in ("POST", "DELETE"):
        return NOT_FOUND
    if standing is not None and standing.role is not Role.ADMIN:
        return Answer(403)
    if standing is not None and not standing.sees(name):
        return NOT_FOUND
    if method == "DELETE":
        if hubs.now(name) is None:
            return NOT_FOUND
        try:
            await hubs.drop(name)
        except StoreInUse as error:
            return json_answer(409, {"Message": str(error)})
        return json_answer(200, {"taskHub": name})
    existed = hubs.now(name) is not None
    try:
        await hubs.create(name, recreate=False)
    except InvalidInput as error:
        return json_answer(400, {"Message": str(error)})
    return json_answer(200 if existed else 201, {"taskHub": name})
