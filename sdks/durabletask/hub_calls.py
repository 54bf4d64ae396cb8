"""What a client asks a task hub, whatever carries it: the one seam between client classes and transports.

Payloads are text here: the client classes write and read values. Times are aware UTC. Workers do not use this seam.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from durabletask.entities.instance_id import EntityInstanceId
from durabletask.entities.metadata import EntityMetadata
from durabletask.states import (
    CleanEntityStorageResult,
    EntityQuery,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)

if TYPE_CHECKING:
    from durabletask.history import HistoryEvent


@dataclass(frozen=True, slots=True)
class StartRequest:
    """An orchestration to start. ``replaceable`` None: an instance of that id, ended or not, is in the way."""

    name: str
    instance_id: str
    input: str | None = None
    version: str | None = None
    start_at: datetime | None = None
    replaceable: Collection[OrchestrationStatus] | None = None
    tags: Mapping[str, str] | None = None
    trace: str | None = None
    """The headers traceparent and tracestate, with a space between."""


@dataclass(frozen=True, slots=True)
class EndedQuery:
    """Which orchestrations that have ended; None means no condition. The end of the window is not in it."""

    runtime_status: Collection[OrchestrationStatus] | None = None
    completed_from: datetime | None = None
    completed_to: datetime | None = None
    page_size: int | None = None


@dataclass(frozen=True, slots=True)
class PurgeQuery:
    """Which orchestrations that have ended are removed, and how long that may take."""

    created_from: datetime | None = None
    created_to: datetime | None = None
    runtime_status: Collection[OrchestrationStatus] | None = None
    recursive: bool = False
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """An operation that an entity is asked for. ``request_id`` is the same when it is sent again."""

    entity_id: EntityInstanceId
    operation: str
    request_id: str
    input: str | None = None
    due_at: datetime | None = None
    trace: str | None = None


class HubCalls(Protocol):
    """All methods but ``close`` are coroutines that return once the hub has answered.

    What the hub refuses is an error that is a ``grpc.RpcError`` where gRPC is installed and tells ``code()`` and
    ``details()``: ``durabletask.call_errors``. A time-out of ``wait_for_…`` is a TimeoutError.
    """

    async def start(self, request: StartRequest) -> str:
        """Start an orchestration; gives its id. Raises OrchestrationAlreadyExistsError."""
        ...

    async def get(self, instance_id: str, *, with_payloads: bool) -> OrchestrationState | None:
        """One orchestration; None when there is none."""
        ...

    async def wait_for_start(
        self, instance_id: str, *, with_payloads: bool, seconds: float | None
    ) -> OrchestrationState | None:
        """The orchestration once it is no longer pending; None when there is none. Raises TimeoutError."""
        ...

    async def wait_for_completion(
        self, instance_id: str, *, with_payloads: bool, seconds: float | None
    ) -> OrchestrationState | None:
        """The orchestration once it has ended; None when there is none. Raises TimeoutError."""
        ...

    async def query(self, query: OrchestrationQuery, token: str | None) -> Page[OrchestrationState]:
        """A page of orchestrations; ``token`` is that of the page before."""
        ...

    async def list_ended(self, query: EndedQuery, token: str | None) -> Page[str]:
        """A page of ids of orchestrations that have ended, in the order of their ends."""
        ...

    async def history(
        self, instance_id: str, *, execution_id: str | None, for_work_item_processing: bool
    ) -> "list[HistoryEvent]":
        """All events of an execution, the current one by default."""
        ...

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Give an orchestration a named event."""
        ...

    async def terminate(self, instance_id: str, output: str | None, *, recursive: bool) -> None:
        """End an orchestration, with ``recursive`` its sub-orchestrations too."""
        ...

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Hold an orchestration back."""
        ...

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Let a suspended orchestration go on."""
        ...

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Let a failed orchestration go on from before its failure."""
        ...

    async def restart(self, instance_id: str, *, with_new_id: bool) -> str:
        """Start an orchestration again; gives the id it runs under."""
        ...

    async def purge(self, instance_id: str, *, recursive: bool) -> PurgeInstancesResult:
        """Remove an orchestration that has ended; one that has not, or is not there, counts nothing."""
        ...

    async def purge_matching(self, query: PurgeQuery) -> PurgeInstancesResult:
        """Remove the orchestrations that have ended and fit."""
        ...

    async def signal_entity(self, request: SignalRequest) -> None:
        """Ask for an operation without an answer."""
        ...

    async def get_entity(self, entity_id: EntityInstanceId, *, with_state: bool) -> EntityMetadata | None:
        """One entity; None when there is none."""
        ...

    async def query_entities(self, query: EntityQuery, token: str | None) -> Page[EntityMetadata]:
        """A page of entities."""
        ...

    async def clean_entities(
        self, *, remove_empty: bool, release_locks: bool, token: str | None
    ) -> tuple[CleanEntityStorageResult, str | None]:
        """Clean up some of the entities; a token, if any, asks for the rest."""
        ...

    async def close(self) -> None:
        """Let go of what was opened for these calls. Twice-safe."""
        ...
