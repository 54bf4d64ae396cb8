"""Which task hub a call means: the header ``taskhub`` says it, and without one it is the server's own."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from perdure.client import RuntimeStatus, TaskHubClient
from perdure.execution.seldom import Seldom
from perdure.grpc_api.access import EVERYBODY, RIGHTS, Doorkeeper, Standing, bearer_token
from perdure.grpc_api.statuses import Code, Refused
from perdure.grpc_api.work_item_service import WorkItemService

_log = logging.getLogger("perdure.grpc_api")
HUB_HEADER = "taskhub"
TOKEN_HEADER = "authorization"
MANAGES_HUBS = frozenset({"CreateTaskHub", "DeleteTaskHub"})
"""Calls that name a hub which need not be there."""


@dataclass(frozen=True, slots=True)
class ServedHub:
    """A hub that runs here: whom its clients ask, and where its work is given to workers."""

    name: str
    client: TaskHubClient
    work_items: WorkItemService
    replaceable: frozenset[RuntimeStatus] = frozenset()
    """Instances of these statuses give way to a start that names no policy."""


class Hubs(Protocol):
    """The hubs of this server. Names are compared without case."""

    @property
    def default_name(self) -> str:
        """The hub of callers who name none."""
        ...

    async def find(self, name: str) -> ServedHub | None:
        """The hub of that name; None when there is none. Raises Unavailable while it is opened or dropped."""
        ...

    async def create(self, name: str, *, recreate: bool) -> None:
        """Make a hub, and with ``recreate`` an empty one. Raises InvalidInput for a name that no hub may have."""
        ...

    async def drop(self, name: str) -> None:
        """Delete a hub with everything in it; nothing happens when there is none."""
        ...


class HubChoice:
    """Finds a call's hub and asks whether the caller may. ``doorkeeper`` None: everybody may do everything."""

    def __init__(self, hubs: Hubs, doorkeeper: Doorkeeper | None = None) -> None:
        self.hubs = hubs
        self._doorkeeper = doorkeeper
        self._unknown = Seldom()

    @property
    def asks_tokens(self) -> bool:
        """Whether callers must show a token."""
        return self._doorkeeper is not None

    def admit(self, call: str, headers: Mapping[str, str]) -> str:
        """The name of the hub that the caller means and may see. Raises Refused."""
        standing = self._standing(headers)
        name = headers.get(HUB_HEADER) or self.hubs.default_name
        if not standing.sees(name):
            raise unknown_hub(name)
        if standing.role not in RIGHTS.get(call, frozenset()):
            raise Refused(
                Code.PERMISSION_DENIED, f"A token with the role {standing.role.value} does not allow the call {call}."
            )
        return name

    async def choose(self, call: str, headers: Mapping[str, str]) -> ServedHub:
        """The hub. Raises Refused: not allowed, or no such hub."""
        name = self.admit(call, headers)
        hub = await self.hubs.find(name)
        if hub is None:
            if self._unknown.may_say(name):
                _log.warning(
                    "A caller asks for task hub %a, which is not here; who names none is in '%s'.",
                    name[:100],
                    self.hubs.default_name,
                )
            raise unknown_hub(name)
        return hub

    def _standing(self, headers: Mapping[str, str]) -> Standing:
        if self._doorkeeper is None:
            return EVERYBODY
        token = bearer_token(headers.get(TOKEN_HEADER))
        if token is None:
            raise Refused(Code.UNAUTHENTICATED, "This server asks for a token: authorization: Bearer TOKEN")
        standing = self._doorkeeper.standing(token)
        if standing is None:
            raise Refused(Code.UNAUTHENTICATED, "The token is not known here, or it is revoked or expired.")
        return standing


def unknown_hub(name: str) -> Refused:
    """What a caller is told of a hub that is not there, or not there for it."""
    return Refused(Code.NOT_FOUND, f"Task hub not found: {name}")
