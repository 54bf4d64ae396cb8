"""The methods of all clients, as coroutines over ``HubCalls``: values are written and read here, whatever carries them.

Names and keywords are those of the official package.
"""

import logging
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import client_spans as spans
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.entities.metadata import EntityMetadata
from durabletask.history import HistoryEvent
from durabletask.hub_calls import EndedQuery, HubCalls, PurgeQuery, SignalRequest, StartRequest
from durabletask.markers import VERSION, get_name
from durabletask.serialization import DataConverter
from durabletask.states import (
    WAIT_SECONDS,
    CleanEntityStorageResult,
    EntityQuery,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
    replaceable_statuses,
)
from durabletask.tags import tags_of


class AsyncCalls:
    """What is asked of a task hub. What it refuses is raised as ``HubCalls`` says."""

    def __init__(
        self,
        hub: HubCalls,
        *,
        converter: DataConverter,
        logger: logging.Logger,
        default_version: str | None = None,
        emit_trace_spans: bool = True,
    ) -> None:
        self._hub = hub
        self._converter = converter
        self._logger = logger
        self._default_version = default_version
        self._emit_trace_spans = emit_trace_spans

    @property
    def emit_trace_spans(self) -> bool:
        """Whether spans are made; contexts are passed on in any case."""
        return self._emit_trace_spans

    async def schedule_new_orchestration(
        self,
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: Any = None,
        tags: dict[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration, at ``start_at`` if given, and give its id once the start is stored.

        A version may also stand at the function's mark. Raises OrchestrationAlreadyExistsError.
        """
        name = orchestrator if isinstance(orchestrator, str) else get_name(orchestrator)
        marked = None if isinstance(orchestrator, str) else getattr(orchestrator, VERSION, None)
        version = version or marked or self._default_version
        new_id = instance_id or uuid.uuid4().hex
        request = StartRequest(
            name=name,
            instance_id=new_id,
            input=self._converter.serialize(input),
            version=version,
            start_at=utc(start_at),
            replaceable=replaceable_statuses(reuse_id_policy),
            tags=tags_of(tags),
        )
        self._logger.info("Starting new '%s' instance with ID = '%s'.", name, new_id)
        span_name, attributes = spans.creation(name, new_id, version)
        with spans.producing(span_name, attributes, emit=self._emit_trace_spans) as trace:
            return await self._hub.start(replace(request, trace=trace))

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """One orchestration; None when there is none of that id."""
        return await self._hub.get(instance_id, with_payloads=fetch_payloads)

    async def get_orchestration_history(
        self, instance_id: str, *, execution_id: str | None = None, for_work_item_processing: bool = False
    ) -> list[HistoryEvent]:
        """All events of an orchestration's execution, the current one by default."""
        return await self._hub.history(
            instance_id, execution_id=execution_id, for_work_item_processing=for_work_item_processing
        )

    async def list_instance_ids(
        self,
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """Ids of orchestrations that have ended, a page at a time."""
        query = EndedQuery(runtime_status, utc(completed_time_from), utc(completed_time_to), page_size)
        return await self._hub.list_ended(query, continuation_token)

    async def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """Every orchestration that fits the query; asked for in pages of at most ``max_instance_count``."""
        return [state async for state in self.iter_orchestration_states(orchestration_query)]

    async def iter_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> AsyncIterator[OrchestrationState]:
        """The same, a page at a time as they are asked for."""
        walk = self.walk_orchestration_states(orchestration_query)
        while not walk.is_over:
            for state in await walk.next_page():
                yield state

    def walk_orchestration_states(self, orchestration_query: OrchestrationQuery | None = None) -> "StateWalk":
        """The pages of a query, for whoever runs coroutines by other means."""
        return StateWalk(self._hub, orchestration_query or OrchestrationQuery())

    async def wait_for_orchestration_start(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = False,
        timeout: float | None = WAIT_SECONDS,  # noqa: ASYNC109 - the published signature
    ) -> OrchestrationState | None:
        """Wait until the orchestration runs. None: no such instance. Raises TimeoutError; None waits for ever."""
        self._logger.info("Waiting up to %ss for instance '%s' to start.", timeout, instance_id)
        return await self._hub.wait_for_start(instance_id, with_payloads=fetch_payloads, seconds=timeout)

    async def wait_for_orchestration_completion(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = True,
        timeout: float | None = WAIT_SECONDS,  # noqa: ASYNC109 - the published signature
    ) -> OrchestrationState | None:
        """Wait until the orchestration has ended, however. None: no such instance. Raises TimeoutError."""
        self._logger.info("Waiting %ss for instance '%s' to complete.", timeout, instance_id)
        state = await self._hub.wait_for_completion(instance_id, with_payloads=fetch_payloads, seconds=timeout)
        if state is not None:
            self._tell_of_end(state)
        return state

    async def raise_orchestration_event(self, instance_id: str, event_name: str, *, data: Any | None = None) -> None:
        """Give an orchestration a named event."""
        text = self._converter.serialize(data)
        self._logger.info("Raising event '%s' for instance '%s'.", event_name, instance_id)
        span_name, attributes = spans.event(event_name, instance_id)
        with spans.producing(span_name, attributes, emit=self._emit_trace_spans):
            await self._hub.raise_event(instance_id, event_name, text)

    async def terminate_orchestration(
        self, instance_id: str, *, output: Any | None = None, recursive: bool = True
    ) -> None:
        """End an orchestration and its sub-orchestrations; ``output`` becomes its output."""
        self._logger.info("Terminating instance '%s'.", instance_id)
        await self._hub.terminate(instance_id, self._converter.serialize(output), recursive=recursive)

    async def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Hold an orchestration back until it is resumed."""
        self._logger.info("Suspending instance '%s'.", instance_id)
        await self._hub.suspend(instance_id, reason)

    async def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended orchestration go on."""
        self._logger.info("Resuming instance '%s'.", instance_id)
        await self._hub.resume(instance_id, reason)

    async def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a failed orchestration go on from before its failure."""
        self._logger.info("Rewinding instance '%s'.", instance_id)
        await self._hub.rewind(instance_id, reason)

    async def restart_orchestration(self, instance_id: str, *, restart_with_new_instance_id: bool = False) -> str:
        """Start an orchestration again with its input, under its own id or a new one; gives that id."""
        self._logger.info("Restarting instance '%s'.", instance_id)
        return await self._hub.restart(instance_id, with_new_id=restart_with_new_instance_id)

    async def purge_orchestration(self, instance_id: str, recursive: bool = True) -> PurgeInstancesResult:
        """Remove an orchestration that has ended, with ``recursive`` its sub-orchestrations too.

        One that has not ended, or does not exist, counts nothing.
        """
        self._logger.info("Purging instance '%s'.", instance_id)
        return await self._hub.purge(instance_id, recursive=recursive)

    async def purge_orchestrations_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: list[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - the published signature
    ) -> PurgeInstancesResult:
        """Remove the orchestrations that have ended and fit, as many as ``timeout`` allows."""
        query = PurgeQuery(utc(created_time_from), utc(created_time_to), runtime_status, recursive, timeout)
        return await self._hub.purge_matching(query)

    async def signal_entity(
        self,
        entity_instance_id: EntityInstanceId,
        operation_name: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Ask an entity for an operation, not before ``signal_time``; returns once the request is stored."""
        request = SignalRequest(
            entity_id=entity_instance_id,
            operation=operation_name,
            request_id=str(uuid.uuid4()),
            input=self._converter.serialize(input),
            due_at=utc(signal_time),
        )
        self._logger.info("Signaling entity '%s' operation '%s'.", entity_instance_id, operation_name)
        span_name, attributes = spans.signal(entity_instance_id.entity, operation_name, str(entity_instance_id))
        with spans.producing(span_name, attributes, emit=self._emit_trace_spans) as trace:
            await self._hub.signal_entity(replace(request, trace=trace))

    async def get_entity(
        self, entity_instance_id: EntityInstanceId, include_state: bool = True
    ) -> EntityMetadata | None:
        """One entity as it was committed last; None when there is none."""
        return await self._hub.get_entity(entity_instance_id, with_state=include_state)

    async def get_all_entities(self, entity_query: EntityQuery | None = None) -> list[EntityMetadata]:
        """Every entity that fits the query."""
        query = entity_query or EntityQuery()
        query = replace(
            query, last_modified_from=utc(query.last_modified_from), last_modified_to=utc(query.last_modified_to)
        )
        page = await self._hub.query_entities(query, None)
        found = list(page.items)
        while page.continuation_token is not None:
            page = await self._hub.query_entities(query, page.continuation_token)
            found += page.items
        return found

    async def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Forget entities without a state, and release locks whose holder has ended."""
        removed = released = 0
        token: str | None = None
        while True:
            part, token = await self._hub.clean_entities(
                remove_empty=remove_empty_entities, release_locks=release_orphaned_locks, token=token
            )
            removed += part.empty_entities_removed
            released += part.orphaned_locks_released
            if token is None:
                return CleanEntityStorageResult(removed, released)

    async def close(self) -> None:
        """Let go of the connection; never of a channel that was given. Twice-safe."""
        await self._hub.close()

    def _tell_of_end(self, state: OrchestrationState) -> None:
        if state.runtime_status is OrchestrationStatus.COMPLETED:
            self._logger.info("Instance '%s' completed.", state.instance_id)
        elif state.runtime_status is OrchestrationStatus.FAILED and state.failure_details is not None:
            self._logger.info("Instance '%s' failed: %s", state.instance_id, state.failure_details.message)
        else:
            self._logger.info("Instance '%s' ended: %s.", state.instance_id, state.runtime_status)


def utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC; without a zone it is UTC already."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class StateWalk:
    """A query's orchestrations page by page, until ``is_over``."""

    def __init__(self, hub: HubCalls, query: OrchestrationQuery) -> None:
        self._hub = hub
        self._query = replace(
            query, created_time_from=utc(query.created_time_from), created_time_to=utc(query.created_time_to)
        )
        self._token: str | None = None
        self.is_over = False

    async def next_page(self) -> list[OrchestrationState]:
        """Some more; they may be none, and yet more may come."""
        page = await self._hub.query(self._query, self._token)
        self._token = page.continuation_token
        self.is_over = self._token is None
        return page.items
