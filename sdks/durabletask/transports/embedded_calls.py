"""HubCalls over an engine in this process. Neither gRPC nor protobuf is needed.

What a server would refuse is refused alike: the same conditions, the same codes.
"""

import asyncio
import importlib
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from durabletask.embedded import EmbeddedHub, open_hub
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.entities.metadata import EntityMetadata
from durabletask.history import HistoryEvent
from durabletask.hub_calls import EndedQuery, PurgeQuery, SignalRequest, StartRequest
from durabletask.serialization import DataConverter
from durabletask.states import (
    CleanEntityStorageResult,
    EntityQuery,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask.transports.core_history import shown_history
from durabletask.transports.record_answers import (
    entity_filter,
    metadata_of,
    orchestration_filter,
    state_of,
    statuses_of,
)
from perdure.client import (
    EndedFilter,
    EndedKey,
    EntityId,
    HistoryCorrupted,
    InstanceExists,
    InstanceFilter,
    InstanceFinished,
    InstanceKind,
    InstanceNotFound,
    InstanceRecord,
    InstanceRunning,
    InvalidIdentifier,
    InvalidInput,
    PageKey,
    RuntimeStatus,
    StorageError,
    TaskHubClient,
)

T = TypeVar("T")

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1000
REPLACED_BECAUSE = "Replaced by a new instance with the same id."
REPLACED_SECONDS_MAX = 30.0
PURGE_SECONDS_MAX = 3600.0
_INSTANT = timedelta(microseconds=1)
_UNUSABLE_POLICY = (
    "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances"
)


class EmbeddedHubCalls:
    """See ``durabletask.hub_calls.HubCalls``. The hub is opened, in a thread, by the first call."""

    def __init__(self, endpoint: str, task_hub: str, converter: DataConverter) -> None:
        self._endpoint = endpoint
        self._task_hub = task_hub
        self._converter = converter
        self._opening = threading.Lock()
        self._hub: EmbeddedHub | None = None
        self._opened_by: int | None = None
        """The process whose hub it is: a forked child has the object, and nothing that runs it."""
        self._is_closed = False

    async def start(self, request: StartRequest) -> str:
        """See ``HubCalls``."""

        async def start(client: TaskHubClient) -> str:
            replaceable = await _room_for(client, request)
            return await client.start(
                request.name,
                instance_id=request.instance_id,
                input=request.input,
                version=request.version,
                start_at=request.start_at,
                trace_context=request.trace,
                tags=dict(request.tags) if request.tags else None,
                reuse=replaceable,
            )

        return await self._ask(start)

    async def get(self, instance_id: str, *, with_payloads: bool) -> OrchestrationState | None:
        """See ``HubCalls``."""
        return self._shown(await self._ask(lambda client: _orchestration(client, instance_id)), with_payloads)

    async def wait_for_start(
        self, instance_id: str, *, with_payloads: bool, seconds: float | None
    ) -> OrchestrationState | None:
        """See ``HubCalls``."""
        return await self._wait(instance_id, with_payloads, seconds, TaskHubClient.wait_for_start, "started")

    async def wait_for_completion(
        self, instance_id: str, *, with_payloads: bool, seconds: float | None
    ) -> OrchestrationState | None:
        """See ``HubCalls``."""
        return await self._wait(instance_id, with_payloads, seconds, TaskHubClient.wait_for_completion, "ended")

    async def _wait(
        self,
        instance_id: str,
        with_payloads: bool,
        seconds: float | None,
        wait: Callable[[TaskHubClient, str, float | None], Awaitable[InstanceRecord | None]],
        what: str,
    ) -> OrchestrationState | None:
        async def reached(client: TaskHubClient) -> InstanceRecord | None:
            ends_at = None if seconds is None else time.monotonic() + seconds
            is_there = await _orchestration(client, instance_id) is not None
            if not is_there and await client.wait_for_any_status(instance_id, seconds) is None:
                return None
            left = None if ends_at is None else max(0.0, ends_at - time.monotonic())
            record = await wait(client, instance_id, left)
            if record is None:
                raise TimeoutError(f"The orchestration '{instance_id}' has not {what} in the {seconds:g} s given.")
            return record

        return self._shown(await self._ask(reached), with_payloads)

    async def query(self, query: OrchestrationQuery, token: str | None) -> Page[OrchestrationState]:
        """See ``HubCalls``."""
        asked = query.max_instance_count
        size = min(asked, PAGE_SIZE_MAX) if asked is not None and asked > 0 else PAGE_SIZE_MAX
        filter_ = orchestration_filter(query)
        filter_ = msgspec.structs.replace(filter_, created_to=_before(filter_.created_to))

        page = await self._ask(lambda client: client.query(filter_, size, _page_key(token)))
        states = [
            state_of(record, with_payloads=query.fetch_inputs_and_outputs, converter=self._converter)
            for record in page.records
        ]
        return Page(states, _token(page.next_key))

    async def list_ended(self, query: EndedQuery, token: str | None) -> Page[str]:
        """See ``HubCalls``."""
        filter_ = EndedFilter(query.completed_from, query.completed_to, statuses_of(query.runtime_status))
        size = min(query.page_size, PAGE_SIZE_MAX) if query.page_size and query.page_size > 0 else PAGE_SIZE
        page = await self._ask(lambda client: client.list_ended(filter_, size, _ended_key(token)))
        return Page(list(page.instance_ids), _token(page.next_key))

    async def history(
        self, instance_id: str, *, execution_id: str | None, for_work_item_processing: bool
    ) -> list[HistoryEvent]:
        """See ``HubCalls``."""

        async def read(client: TaskHubClient) -> list[HistoryEvent]:
            record = await _required(client, instance_id)
            if execution_id not in (None, record.origin.execution_id):
                raise InstanceNotFound(f"There is no execution '{execution_id}' of the orchestration '{instance_id}'.")
            return shown_history(instance_id, record.origin.execution_id, await client.history(instance_id))

        return await self._ask(read)

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """See ``HubCalls``."""
        await self._ask(lambda client: _unless_ended(client.raise_event(instance_id, name, data)))

    async def terminate(self, instance_id: str, output: str | None, *, recursive: bool) -> None:
        """See ``HubCalls``."""

        async def terminate(client: TaskHubClient) -> None:
            try:
                await client.terminate(instance_id, output, recursive)
            except InstanceFinished:
                if recursive:
                    await client.terminate_descendants(instance_id, output)

        await self._ask(terminate)

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """See ``HubCalls``."""
        await self._ask(lambda client: _unless_ended(client.suspend(instance_id, reason)))

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """See ``HubCalls``."""
        await self._ask(lambda client: _unless_ended(client.resume(instance_id, reason)))

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """See ``HubCalls``."""
        await self._ask(lambda client: client.rewind(instance_id, reason))

    async def restart(self, instance_id: str, *, with_new_id: bool) -> str:
        """See ``HubCalls``."""

        async def restart(client: TaskHubClient) -> str:
            record = await _required(client, instance_id)
            unended = f"The instance '{instance_id}' has not ended; it can only be restarted under a new id."
            if not with_new_id and not record.progress.status.is_terminal:
                raise InstanceRunning(unended)
            own_id = None if with_new_id else instance_id
            try:
                return await client.restart(instance_id, new_instance_id=own_id, version=record.origin.version)
            except InstanceExists:
                raise InstanceRunning(unended) from None

        return await self._ask(restart)

    async def purge(self, instance_id: str, *, recursive: bool) -> PurgeInstancesResult:
        """See ``HubCalls``."""
        return PurgeInstancesResult(
            await self._ask(lambda client: client.purge_known([instance_id], recursive)), is_complete=True
        )

    async def purge_matching(self, query: PurgeQuery) -> PurgeInstancesResult:
        """See ``HubCalls``."""
        filter_ = InstanceFilter(
            created_from=query.created_from,
            created_to=_before(query.created_to),
            statuses=statuses_of(query.runtime_status),
        )
        seconds = PURGE_SECONDS_MAX if query.timeout is None else query.timeout.total_seconds()
        purged = await self._ask(lambda client: client.purge_for(filter_, seconds, query.recursive))
        return PurgeInstancesResult(purged.count, purged.is_complete)

    async def signal_entity(self, request: SignalRequest) -> None:
        """See ``HubCalls``."""
        await self._ask(
            lambda client: client.signal_entity(
                _address(request.entity_id),
                request.operation,
                request.input,
                due_at=request.due_at,
                request_id=request.request_id,
                trace_context=request.trace,
            )
        )

    async def get_entity(self, entity_id: EntityInstanceId, *, with_state: bool) -> EntityMetadata | None:
        """See ``HubCalls``."""

        async def read(client: TaskHubClient) -> EntityMetadata | None:
            record = await client.get(str(entity_id))
            if record is None or record.origin.kind is not InstanceKind.ENTITY or record.progress.state is None:
                return None
            backlog = (await client.backlog_sizes([str(entity_id)])).get(str(entity_id), 0)
            return metadata_of(record, with_state=with_state, converter=self._converter, backlog=backlog)

        return await self._ask(read)

    async def query_entities(self, query: EntityQuery, token: str | None) -> Page[EntityMetadata]:
        """See ``HubCalls``."""
        filter_ = entity_filter(query)
        filter_ = msgspec.structs.replace(filter_, updated_to=_before(filter_.updated_to))
        size = min(query.page_size, PAGE_SIZE_MAX) if query.page_size and query.page_size > 0 else PAGE_SIZE

        async def read(client: TaskHubClient) -> Page[EntityMetadata]:
            page = await client.query(filter_, size, _page_key(token))
            backlogs = await client.backlog_sizes([record.origin.instance_id for record in page.records])
            found = [
                metadata_of(
                    record,
                    with_state=query.include_state,
                    converter=self._converter,
                    backlog=backlogs.get(record.origin.instance_id, 0),
                )
                for record in page.records
            ]
            return Page([metadata for metadata in found if metadata is not None], _token(page.next_key))

        return await self._ask(read)

    async def clean_entities(
        self, *, remove_empty: bool, release_locks: bool, token: str | None
    ) -> tuple[CleanEntityStorageResult, str | None]:
        """See ``HubCalls``."""
        cleaned, next_key = await self._ask(
            lambda client: client.clean_some_entities(
                remove_empty_entities=remove_empty, release_orphaned_locks=release_locks, after=_page_key(token)
            )
        )
        return CleanEntityStorageResult(cleaned.empty_entities_removed, cleaned.orphaned_locks_released), _token(
            next_key
        )

    async def close(self) -> None:
        """See ``HubCalls``."""
        with self._opening:
            self._is_closed = True
            hub, self._hub = self._hub, None
        if hub is not None and self._opened_by == os.getpid():
            await asyncio.to_thread(hub.close)

    async def _ask(self, question: Callable[[TaskHubClient], Coroutine[Any, Any, T]]) -> T:
        """Run the question on the engine's loop."""
        hub = self._hub
        if hub is None:
            hub = await asyncio.to_thread(self._open)
        if self._opened_by != os.getpid():
            raise RuntimeError(
                f"This client's embedded hub runs in process {self._opened_by}, which this one was forked from. Make "
                "clients and workers after the fork, or let both processes ask 'perdure serve'."
            )
        client = hub.task_hub
        try:
            return await hub.client.run(lambda: question(client))
        except tuple(_CODES) as error:
            # It imports gRPC, which takes its time.
            await asyncio.to_thread(importlib.import_module, "durabletask.call_errors")
            raise _refused(error) from error

    def _open(self) -> EmbeddedHub:
        with self._opening:
            if self._is_closed:
                raise RuntimeError("The client is closed.")
            if self._hub is None:
                self._hub = open_hub(self._endpoint, self._task_hub)
                self._opened_by = os.getpid()
            return self._hub

    def _shown(self, record: InstanceRecord | None, with_payloads: bool) -> OrchestrationState | None:
        return None if record is None else state_of(record, with_payloads=with_payloads, converter=self._converter)


async def _orchestration(client: TaskHubClient, instance_id: str) -> InstanceRecord | None:
    record = await client.get(instance_id)
    return record if record is not None and record.origin.kind is InstanceKind.ORCHESTRATION else None


async def _required(client: TaskHubClient, instance_id: str) -> InstanceRecord:
    record = await _orchestration(client, instance_id)
    if record is None:
        raise InstanceNotFound(f"There is no orchestration instance with the id '{instance_id}'.")
    return record


async def _unless_ended(request: Awaitable[None]) -> None:
    try:
        await request
    except InstanceFinished:
        return  # it takes nothing any more, and that is no error here


async def _room_for(client: TaskHubClient, request: StartRequest) -> frozenset[RuntimeStatus]:
    """The statuses of ended instances that give way; a running one that may give way is ended here."""
    if request.replaceable is None:
        return frozenset()
    statuses = frozenset(RuntimeStatus(status.value) for status in request.replaceable if status.value != _CONTINUED)
    running = frozenset(status for status in statuses if not status.is_terminal)
    if running and RuntimeStatus.Terminated not in statuses:
        raise InvalidInput(_UNUSABLE_POLICY)
    former = await _orchestration(client, request.instance_id)
    if former is not None and former.progress.status in running:
        await _unless_ended(client.terminate(request.instance_id, REPLACED_BECAUSE))
        if await client.wait_for_completion(request.instance_id, REPLACED_SECONDS_MAX) is None:
            raise InstanceRunning(
                f"The instance '{request.instance_id}' was told to end and has not; nothing was started."
            )
    return statuses - running


_CONTINUED = OrchestrationStatus.CONTINUED_AS_NEW.value


def _address(entity_id: EntityInstanceId) -> EntityId:
    return EntityId(entity_id.entity, entity_id.key)


def _before(moment: datetime | None) -> datetime | None:
    """The end of a window does not belong to it; times are told apart by microseconds."""
    return None if moment is None else moment - _INSTANT


def _token(key: PageKey | EndedKey | None) -> str | None:
    if key is None:
        return None
    at = key.created_at if isinstance(key, PageKey) else key.completed_at
    return json.dumps([at.isoformat(), key.instance_id])


def _page_key(token: str | None) -> PageKey | None:
    return None if not token else PageKey(*_place(token))


def _ended_key(token: str | None) -> EndedKey | None:
    return None if not token else EndedKey(*_place(token))


def _place(token: str) -> tuple[datetime, str]:
    try:
        at, instance_id = json.loads(token)
        return datetime.fromisoformat(at).astimezone(UTC), str(instance_id)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"'{token}' is no continuation token of this client.") from error


_CODES: dict[type[Exception], str] = {
    InstanceExists: "ALREADY_EXISTS",
    InstanceNotFound: "NOT_FOUND",
    InstanceFinished: "FAILED_PRECONDITION",
    InstanceRunning: "FAILED_PRECONDITION",
    InvalidInput: "INVALID_ARGUMENT",
    InvalidIdentifier: "INVALID_ARGUMENT",
    HistoryCorrupted: "DATA_LOSS",
    StorageError: "UNAVAILABLE",
}
"""The first that fits counts."""


def _refused(error: Exception) -> Exception:
    from durabletask.call_errors import OrchestrationAlreadyExistsError, TaskHubCallError

    code = next(code for kind, code in _CODES.items() if isinstance(error, kind))
    return (
        OrchestrationAlreadyExistsError(str(error)) if code == "ALREADY_EXISTS" else TaskHubCallError(code, str(error))
    )
