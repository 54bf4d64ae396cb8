"""What `perdure` commands ask of a running host and the public management API does not tell.

Below ``/admin/perdure``: whole records, raw histories, findings of a verification, a consistent copy of the store.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import URLPath
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from perdure.client import InstanceFilter, InstanceKind, TaskHubClient
from perdure.contracts.records import Finding
from perdure.formats.http_json import write_token
from perdure.formats.http_json.instance_state import state_body
from perdure.formats.http_json.raw_history import raw_history_rows
from perdure.http_api.access import LEVELS, Access, Verdict
from perdure.http_api.answers import NOT_FOUND, Answer, ClientGone, ErrorShape, answer_to, json_answer, send_answer
from perdure.http_api.orchestrations import CONTINUATION, page_start
from perdure.http_api.requests import Request, raw_path
from perdure.http_api.routing import Route, Router
from perdure.storage.sqlite.copying import copy_store, remove_copy

PREFIX = "/admin/perdure"
BODY_BYTES_MAX = 1024
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class HubParts:
    """What the routes stand on. ``file`` is None for a store that is no file."""

    client: TaskHubClient
    verify: Callable[[bool], AsyncIterator[Finding]]
    file: Path | None


class CommandRoutes(BaseRoute):
    """Answers everything below its prefix; what it does not know is 404."""

    def __init__(self, parts: HubParts, access: Access) -> None:
        self._parts = parts
        self._access = access

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Every method below the prefix."""
        inside = scope["type"] == "http" and raw_path(scope).lower().startswith(f"{PREFIX}/".encode())
        return (Match.FULL if inside else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """Nothing here has a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except ClientGone:
            return
        except Exception as error:
            answer = answer_to(error, ErrorShape.SHORT)
        if isinstance(answer, Answer):
            await send_answer(answer, send)
        else:
            await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> "Answer | StreamingResponse":
        found = _ROUTER.find(scope["method"], raw_path(scope)[len(PREFIX) :])
        if found is None:
            return NOT_FOUND
        route, parameters = found
        verdict = self._access.judge(scope, LEVELS[route.method, f"{PREFIX}/{route.template}"])
        if verdict is not Verdict.ALLOWED:
            return Answer(verdict.value)
        return await route.handler(Request(scope, receive, parameters, BODY_BYTES_MAX), self._parts)


async def _list_states(request: Request, parts: HubParts) -> Answer:
    query = request.query
    prefix = query.text("instanceIdPrefix")
    filter_ = InstanceFilter(
        kind=InstanceKind.ORCHESTRATION,
        created_from=query.time("createdTimeFrom"),
        created_to=query.time("createdTimeTo"),
        statuses=query.statuses("runtimeStatus"),
        id_prefix=prefix,
    )
    page = await parts.client.query(filter_, query.page_size("top"), page_start(request))
    rows = [state_body(record) for record in page.records]
    return json_answer(200, rows, ((CONTINUATION, write_token(page.next_key)),))


async def _state(request: Request, parts: HubParts) -> Answer:
    record = await parts.client.get(request.parameters["id"])
    return NOT_FOUND if record is None else json_answer(200, state_body(record))


async def _history(request: Request, parts: HubParts) -> Answer:
    instance_id = request.parameters["id"]
    if await parts.client.get(instance_id) is None:
        return NOT_FOUND
    return json_answer(200, raw_history_rows(await parts.client.history(instance_id)))


async def _verify(request: Request, parts: HubParts) -> Answer:
    findings = parts.verify(request.query.flag("liveness", False))
    rows = [{"kind": f.kind.value, "instanceId": f.instance_id, "what": f.what} async for f in findings]
    return json_answer(200, rows)


async def _backup(request: Request, parts: HubParts) -> "Answer | StreamingResponse":
    if parts.file is None:
        return json_answer(409, {"Message": "The store is no file; there is nothing to copy."})
    # Beside the store: the same disk, the same rights, and no one else's place for temporary files.
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix=".backup-", dir=parts.file.parent)
    copy = os.path.join(folder, "hub.db")
    try:
        size = await asyncio.to_thread(copy_store, str(parts.file), copy)
    except BaseException:
        _remove(folder, copy)
        raise
    headers = {"content-length": str(size)}
    return StreamingResponse(_chunks(folder, copy), media_type="application/octet-stream", headers=headers)


async def _chunks(folder: str, copy: str) -> AsyncIterator[bytes]:
    try:
        file = await asyncio.to_thread(open, copy, "rb")
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
        finally:
            file.close()
    finally:
        _remove(folder, copy)


def _remove(folder: str, copy: str) -> None:
    remove_copy(copy)
    os.rmdir(folder)


Handler = Callable[[Request, HubParts], Awaitable["Answer | StreamingResponse"]]
ROUTES: tuple[Route[Handler], ...] = (
    Route("GET", "instances", _list_states),
    Route("GET", "instances/{id}", _state),
    Route("GET", "instances/{id}/history", _history),
    Route("GET", "verify", _verify),
    Route("GET", "backup", _backup),
)
"""Every route, below the prefix."""
_ROUTER: Router[Handler] = Router(ROUTES)
