"""TaskHubClient: the small facade that the doors and the SDKs hold. Text payloads in and out."""

from collections.abc import Sequence
from datetime import datetime

from perdure.client import entities, management, purging, queries, waiting
from perdure.client.options import ClientOptions, LostEvents
from perdure.client.payloads import check_payload
from perdure.contracts.clock import Clock
from perdure.contracts.errors import InstanceFinished, InstanceNotFound, InvalidInput
from perdure.contracts.records import EndedFilter, EndedKey, EndedPage, InstanceFilter, Page, PageKey, Replaceable
from perdure.contracts.storage import Storage
from perdure.core.events import HistoryEvent
from perdure.core.identifiers import EntityId
from perdure.core.instance import InstanceRecord
from perdure.core.messages import AnyMessage, RaiseEvent, Resume, Suspend, Terminate
from perdure.core.waiting_on import WaitingOn


class TaskHubClient:
    """Asks one task hub.

    A method that changes something returns when the request is durable, not when it has taken effect.
    Every method may raise Unavailable (try later).
    """

    def __init__(self, storage: Storage, clock: Clock, options: ClientOptions | None = None) -> None:
        self._storage = storage
        self._clock = clock
        self.options = ClientOptions() if options is None else options

    async def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,
        version: str | None = None,
        start_at: datetime | None = None,
        trace_context: str | None = None,
        tags: dict[str, str] | None = None,
        execution_id: str | None = None,
        reuse: Replaceable | None = None,
    ) -> str:
        """Start an orchestration, at ``start_at`` when given; returns the instance id.

        ``execution_id`` is a UUID that nobody else has; ``reuse`` None: as the options say.
        Raises InvalidIdentifier, NotRegistered, InvalidInput, PayloadTooLarge; InstanceExists when a live instance
        has that id. A finished one is replaced.
        """
        return await management.start(
            self._storage,
            self._clock,
            self.options,
            name,
            instance_id=instance_id,
            input=input,
            version=version,
            start_at=start_at,
            trace_context=trace_context,
            tags=tags,
            execution_id=execution_id,
            reuse=reuse,
        )

    async def get(self, instance_id: str) -> InstanceRecord | None:
        """All that is known of an instance or entity, besides its history."""
        return await self._storage.get(instance_id)

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        """The events of the current execution; empty for an unknown id. Raises HistoryCorrupted."""
        return await self._storage.history(instance_id)

    async def waiting_on(self, record: InstanceRecord) -> list[WaitingOn]:
        """Why the instance is not moving. Raises HistoryCorrupted."""
        return await queries.reasons_for_waiting(self._storage, self._clock, self.options, record)

    async def query(self, filter_: InstanceFilter, limit: int = 100, after: PageKey | None = None) -> Page:
        """One page of instances or entities by creation time, then id. Raises InvalidInput for a bad page size."""
        return await queries.query(self._storage, filter_, limit, after)

    async def require_unfinished(self, instance_id: str) -> InstanceRecord:
        """The orchestration of that id. Raises InstanceNotFound, InstanceFinished."""
        return await management.require_unfinished(self._storage, instance_id)

    async def raise_event(self, instance_id: str, name: str, input: str | None = None) -> None:
        """Give an orchestration a named event. Raises InvalidInput, PayloadTooLarge.

        Raises InstanceNotFound and InstanceFinished unless the options say that such events are dropped.
        """
        if not name:
            raise InvalidInput("An event name must not be empty.")
        check_payload(name, "event name", self.options.payload_bytes_max)
        try:
            await self._control(instance_id, RaiseEvent(name, input), input)
        except (InstanceNotFound, InstanceFinished):
            if self.options.lost_events is LostEvents.REFUSED:
                raise

    async def terminate(self, instance_id: str, reason: str | None = None, recursive: bool = False) -> None:
        """End an orchestration, and with ``recursive`` its children. Raises InstanceNotFound, InstanceFinished."""
        await self._control(instance_id, Terminate(reason, recursive), reason)

    async def terminate_now(self, instance_ids: Sequence[str], reason: str | None = None) -> list[str]:
        """End orchestrations at once, also while their code runs; what that comes to is dropped.

        Returns the ids of those it has not ended: missing, ended before, entities, or holding entity locks.
        """
        check_payload(reason, "reason", self.options.payload_bytes_max)
        return await management.terminate_now(self._storage, instance_ids, reason)

    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an orchestration back; a suspended one stays so. Raises InstanceNotFound, InstanceFinished."""
        await self._control(instance_id, Suspend(reason), reason)

    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Let an orchestration go on; a running one does. Raises InstanceNotFound, InstanceFinished."""
        await self._control(instance_id, Resume(reason), reason)

    async def _control(self, instance_id: str, message: AnyMessage, payload: str | None) -> None:
        check_payload(payload, "payload", self.options.payload_bytes_max)
        await management.send_control(self._storage, instance_id, message)

    async def rewind(self, instance_id: str, reason: str | None = None) -> None:
        """Let a failed orchestration go on from before its failure, and its failed children too.

        Raises InstanceNotFound; InstanceFinished when it ended without a failure, InstanceNotFailed when it has not.
        """
        check_payload(reason, "reason", self.options.payload_bytes_max)
        await management.rewind(self._storage, instance_id, reason)

    async def restart(
        self,
        instance_id: str,
        *,
        new_instance_id: str | None = None,
        version: str | None = None,
        trace_context: str | None = None,
    ) -> str:
        """Start an orchestration once more with its name, input and tags; returns the new id.

        Under a new random id, or ``new_instance_id``, which may be its own. ``version`` None: the default of now.
        Raises InstanceNotFound, and what ``start`` raises: an own id is used again once the instance has ended.
        """
        return await management.restart(
            self._storage,
            self._clock,
            self.options,
            instance_id,
            new_instance_id=new_instance_id,
            version=version,
            trace_context=trace_context,
        )

    async def purge(self, instance_id: str, recursive: bool = False) -> int:
        """Remove a finished orchestration, with ``recursive`` its finished descendants; returns how many went.

        Raises InstanceNotFound, InstanceRunning.
        """
        return await purging.purge(self._storage, instance_id, recursive)

    async def terminate_and_purge(self, instance_id: str, recursive: bool = False) -> int:
        """Remove an orchestration whatever its status. Raises InstanceNotFound; InstanceRunning if it does not end."""
        return await purging.terminate_and_purge(self._storage, instance_id, recursive)

    async def purge_known(self, instance_ids: Sequence[str], recursive: bool = False) -> int:
        """Remove those of the orchestrations that exist and have ended; returns how many went."""
        return await purging.purge_known(self._storage, instance_ids, recursive)

    async def purge_for(self, filter_: InstanceFilter, seconds: float, recursive: bool = False) -> purging.Purged:
        """As ``purge_matching``, for so long at most; tells whether nothing is left."""
        return await purging.purge_for(self._storage, filter_, seconds, recursive)

    async def purge_entity(self, entity_id: EntityId) -> bool:
        """Forget an entity with its state; False when there was none, or it is locked or has work."""
        return await entities.purge(self._storage, entity_id)

    async def list_ended(self, filter_: EndedFilter, limit: int = 100, after: EndedKey | None = None) -> EndedPage:
        """One page of ids of ended orchestrations, by when they ended. Raises InvalidInput for a bad page size."""
        return await queries.list_ended(self._storage, filter_, limit, after)

    async def backlog_sizes(self, instance_ids: Sequence[str]) -> dict[str, int]:
        """How many messages wait for each of these instances, those without any left out."""
        return await self._storage.backlog_sizes(instance_ids)

    async def purge_matching(self, filter_: InstanceFilter, recursive: bool = False) -> int:
        """Remove all finished orchestrations that match, with ``recursive`` their descendants; returns how many."""
        return await purging.purge_matching(self._storage, filter_, recursive)

    async def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: str | None = None,
        *,
        due_at: datetime | None = None,
        request_id: str | None = None,
        trace_context: str | None = None,
    ) -> None:
        """Ask an entity for an operation, at ``due_at`` when given; ``request_id`` is shown to whoever runs it.

        Raises InvalidIdentifier, NotRegistered, InvalidInput, PayloadTooLarge.
        """
        await entities.signal(
            self._storage,
            self._clock,
            self.options,
            entity_id,
            operation,
            input=input,
            due_at=due_at,
            request_id=request_id,
            trace_context=trace_context,
        )

    async def read_entity(self, entity_id: EntityId) -> str | None:
        """An entity's last committed state as JSON text; None when it does not exist."""
        return await entities.read_state(self._storage, entity_id)

    async def clean_entity_storage(
        self, *, remove_empty_entities: bool, release_orphaned_locks: bool
    ) -> entities.CleanedEntities:
        """Forget entities without state, lock and work, and release locks whose orchestration does not run any more."""
        return await entities.clean(
            self._storage,
            remove_empty_entities=remove_empty_entities,
            release_orphaned_locks=release_orphaned_locks,
        )

    async def clean_some_entities(
        self, *, remove_empty_entities: bool, release_orphaned_locks: bool, after: PageKey | None
    ) -> tuple[entities.CleanedEntities, PageKey | None]:
        """As ``clean_entity_storage``, for one page of entities; the key is that of the next page, None at the end."""
        return await entities.clean_page(
            self._storage,
            remove_empty_entities=remove_empty_entities,
            release_orphaned_locks=release_orphaned_locks,
            after=after,
        )

    async def terminate_descendants(self, instance_id: str, reason: str | None = None) -> None:
        """End all that an orchestration and its children have started and that has not ended."""
        check_payload(reason, "reason", self.options.payload_bytes_max)
        await management.terminate_descendants(self._storage, instance_id, reason)

    async def wait_for_completion(
        self, instance_id: str, timeout_seconds: float | None = None
    ) -> InstanceRecord | None:
        """The record once the instance has ended; None when the time is over. It need not exist yet."""
        return await waiting.wait_for_completion(self._storage, instance_id, timeout_seconds)

    async def wait_for_any_status(
        self, instance_id: str, timeout_seconds: float | None = None
    ) -> InstanceRecord | None:
        """The record once there is such an instance; None when the time is over."""
        return await waiting.wait_for_any_status(self._storage, instance_id, timeout_seconds)

    async def wait_for_start(self, instance_id: str, timeout_seconds: float | None = None) -> InstanceRecord | None:
        """The record once the instance is no longer Pending; None when the time is over. It need not exist yet."""
        return await waiting.wait_for_start(self._storage, instance_id, timeout_seconds)
