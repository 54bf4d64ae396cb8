"""How a client reaches its hub. Two ways: the client attached in this process, and HTTP."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from azure.durable_functions.entity_id import EntityId
from azure.durable_functions.status import (
    DurableOrchestrationStatus,
    EntityStateResponse,
    OrchestrationRuntimeStatus,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a status carries besides the usual. Inputs are always there, asked for or not (D15)."""

    history: bool = False
    history_outputs: bool = False
    input: bool = False


@dataclass(frozen=True, slots=True)
class StatusFilter:
    """Which orchestrations are meant; what is None or empty excludes none. Times are aware."""

    created_from: datetime | None = None
    created_to: datetime | None = None
    statuses: tuple[OrchestrationRuntimeStatus, ...] = ()
    id_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Another hub and connection, where a call names them."""

    task_hub: str | None = None
    connection: str | None = None


HERE = Place()


class Transport(Protocol):
    """Asks one task hub. Payloads are JSON text.

    Raises InstanceNotFound and InstanceFinished where those are no answer, and what the hub refuses a request with.
    """

    def blocking(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of this transport and wait for it, from a thread without a loop of its own."""
        ...

    async def start(self, name: str, *, instance_id: str | None, input: str | None, version: str | None) -> str:
        """Start an orchestration; returns its id."""
        ...

    async def status(self, instance_id: str, shown: Shown) -> DurableOrchestrationStatus:
        """The status of an instance, false when there is none."""
        ...

    async def statuses(self, filter_: StatusFilter) -> list[DurableOrchestrationStatus]:
        """All that match, however many pages they fill."""
        ...

    async def ended(
        self, instance_id: str, *, limit: timedelta, interval: timedelta
    ) -> DurableOrchestrationStatus | None:
        """The status once the instance has ended; None when the time is over. It need not exist yet."""
        ...

    async def raise_event(self, instance_id: str, name: str, *, input: str | None, place: Place) -> None:
        """Give an orchestration a named event."""
        ...

    async def terminate(self, instance_id: str, reason: str, recursive: bool) -> None:
        """End an orchestration; one that has ended is left as it is."""
        ...

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Hold an orchestration back; one that has ended is left as it is."""
        ...

    async def resume(self, instance_id: str, reason: str) -> None:
        """Let an orchestration go on; one that has ended is left as it is."""
        ...

    async def rewind(self, instance_id: str, reason: str, place: Place) -> None:
        """Run a failed orchestration again from where it failed. Raises InstanceFinished for one that ended well."""
        ...

    async def restart(self, instance_id: str, with_new_id: bool) -> str:
        """Start an orchestration again with its input; returns the id of the new instance."""
        ...

    async def purge(self, instance_id: str) -> int:
        """Remove a finished instance; returns how many went."""
        ...

    async def purge_matching(self, filter_: StatusFilter) -> int:
        """Remove all finished instances that match; returns how many."""
        ...

    async def signal_entity(self, entity_id: EntityId, operation: str, *, input: str | None, place: Place) -> None:
        """Ask an entity for an operation."""
        ...

    async def read_entity(self, entity_id: EntityId, place: Place) -> EntityStateResponse:
        """An entity's last committed state."""
        ...
