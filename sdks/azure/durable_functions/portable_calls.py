"""The portable family's client methods, over the host that the function runs in (portable-sdk.md §5.2).

What they need is imported with the first call: apps of one-argument functions have these methods too and use none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.durable_functions.constants import ORCHESTRATION_TRIGGER
from azure.durable_functions.entity_id import address_of
from azure.durable_functions.late_module import LateModule
from azure.durable_functions.names import name_of
from perdure.client import (
    AttachedClient,
    EndedFilter,
    InstanceFilter,
    InstanceFinished,
    InstanceKind,
    InstanceNotFound,
    InstanceRecord,
    InstanceRunning,
    PageKey,
)

if TYPE_CHECKING:
    from azure.durable_functions import portable_answers as answers
    from durabletask import states
    from durabletask.entities import EntityInstanceId, EntityMetadata
    from durabletask.history import HistoryEvent
    from durabletask.states import (
        CleanEntityStorageResult,
        EntityQuery,
        IdReusePolicy,
        OrchestrationQuery,
        OrchestrationState,
        OrchestrationStatus,
        Page,
        PurgeInstancesResult,
    )
    from durabletask.transports import core_history
else:
    answers = LateModule("azure.durable_functions.portable_answers")
    core_history = LateModule("durabletask.transports.core_history")
    states = LateModule("durabletask.states")

_PAGE = 1000


class PortableCalls:
    """Each method is a coroutine. Unknown instances raise InstanceNotFound where something is to be done with them."""

    @property
    def attached(self) -> AttachedClient:
        """The client of this process."""
        raise NotImplementedError

    async def schedule_new_orchestration(
        self,
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: IdReusePolicy | None = None,
        tags: dict[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration, at ``start_at`` if given, and give its id once the start is stored.

        Raises NotRegistered; ValueError for an id or policy that cannot be; InstanceExists when an instance of that
        id has not ended.
        """
        answers.check_reuse(reuse_id_policy)
        return await self.attached.start(
            name_of(orchestrator, ORCHESTRATION_TRIGGER),
            instance_id=instance_id or None,
            input=answers.NATIVE_CONVERTER.serialize(input),
            version=version or None,
            start_at=answers.utc(start_at),
            tags=tags or None,
        )

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """One orchestration; None when there is none of that id."""
        record = await self._orchestration(instance_id)
        return None if record is None else answers.state_of(record, with_payloads=fetch_payloads)

    async def wait_for_orchestration_start(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = False,
        timeout: float | None = 60,  # noqa: ASYNC109 - the published signature
    ) -> OrchestrationState | None:
        """Wait until the orchestration runs. None: no such instance. Raises TimeoutError; no ``timeout``: for ever."""
        if await self._orchestration(instance_id) is None:
            return None
        record = await self.attached.wait_for_start(instance_id, timeout)
        return _in_time(record, instance_id, "started", with_payloads=fetch_payloads)

    async def wait_for_orchestration_completion(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = True,
        timeout: float | None = 60,  # noqa: ASYNC109 - the published signature
    ) -> OrchestrationState | None:
        """Wait until the orchestration has ended, however. None: no such instance. Raises TimeoutError."""
        if await self._orchestration(instance_id) is None:
            return None
        record = await self.attached.wait_for_completion(instance_id, timeout)
        return _in_time(record, instance_id, "ended", with_payloads=fetch_payloads)

    async def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """Every orchestration that fits the query; asked for in pages of at most ``max_instance_count``."""
        query = orchestration_query or states.OrchestrationQuery()
        records = await self._all(answers.orchestration_filter(query))
        return [answers.state_of(record, with_payloads=query.fetch_inputs_and_outputs) for record in records]

    async def list_instance_ids(
        self,
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """Ids of orchestrations that have ended, in the order of their ends, a page at a time."""
        filter_ = EndedFilter(
            answers.utc(completed_time_from), answers.utc(completed_time_to), answers.statuses_of(runtime_status)
        )
        page = await self.attached.list_ended(filter_, page_size or _PAGE, answers.ended_key_of(continuation_token))
        return states.Page(list(page.instance_ids), answers.ended_token_of(page.next_key))

    async def get_orchestration_history(
        self, instance_id: str, *, execution_id: str | None = None, for_work_item_processing: bool = False
    ) -> list[HistoryEvent]:
        """The events of an orchestration's current execution. Raises InstanceNotFound, for another execution too."""
        record = await self._orchestration(instance_id)
        if record is None:
            raise InstanceNotFound(f"There is no orchestration '{instance_id}'.")
        if execution_id not in (None, record.origin.execution_id):
            raise InstanceNotFound(f"There is no execution '{execution_id}' of the orchestration '{instance_id}'.")
        events = await self.attached.history(instance_id)
        return core_history.shown_history(instance_id, record.origin.execution_id, events)

    async def raise_orchestration_event(self, instance_id: str, event_name: str, *, data: Any | None = None) -> None:
        """Give an orchestration a named event. Raises InstanceFinished."""
        await self.attached.raise_event(instance_id, event_name, answers.NATIVE_CONVERTER.serialize(data))

    async def terminate_orchestration(
        self, instance_id: str, *, output: Any | None = None, recursive: bool = True
    ) -> None:
        """End an orchestration and its sub-orchestrations; ``output`` becomes its output."""
        try:
            await self.attached.terminate(instance_id, answers.NATIVE_CONVERTER.serialize(output), recursive)
        except InstanceFinished:
            return  # it has ended: what was asked for is so

    async def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Hold an orchestration back until it is resumed."""
        try:
            await self.attached.suspend(instance_id, reason)
        except InstanceFinished:
            return  # nothing is left to hold back

    async def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended orchestration go on."""
        try:
            await self.attached.resume(instance_id, reason)
        except InstanceFinished:
            return  # nothing is left to go on

    async def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a failed orchestration go on from before its failure. Raises InstanceNotFailed, InstanceFinished."""
        await self.attached.rewind(instance_id, reason)

    async def restart_orchestration(self, instance_id: str, *, restart_with_new_instance_id: bool = False) -> str:
        """Start an orchestration again with its input and version, under its own id or a new one; gives that id.

        Raises InstanceNotFound; InstanceExists when its own id is asked for and it has not ended.
        """
        record = await self._orchestration(instance_id)
        version = None if record is None else record.origin.version
        own_id = None if restart_with_new_instance_id else instance_id
        return await self.attached.restart(instance_id, new_instance_id=own_id, version=version)

    async def purge_orchestration(self, instance_id: str, recursive: bool = True) -> PurgeInstancesResult:
        """Remove an orchestration that has ended, with ``recursive`` its sub-orchestrations too.

        One that has not ended, or does not exist, counts nothing.
        """
        try:
            return states.PurgeInstancesResult(await self.attached.purge(instance_id, recursive), True)
        except (InstanceNotFound, InstanceRunning):
            return states.PurgeInstancesResult(0, True)

    async def purge_orchestrations_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: list[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - the published signature
    ) -> PurgeInstancesResult:
        """Remove the orchestrations that have ended and fit, all of them; ``timeout`` is not needed here.

        With ``recursive`` their sub-orchestrations go too, whether they fit or not.
        """
        filter_ = InstanceFilter(
            created_from=answers.utc(created_time_from),
            created_to=answers.utc(created_time_to),
            statuses=answers.statuses_of(runtime_status),
        )
        return states.PurgeInstancesResult(await self.attached.purge_matching(filter_, recursive), True)

    async def get_entity(
        self, entity_instance_id: EntityInstanceId, include_state: bool = True
    ) -> EntityMetadata | None:
        """One entity as it was committed last; None when there is none."""
        record = await self.attached.get(str(address_of(entity_instance_id)))
        return None if record is None else answers.metadata_of(record, with_state=include_state)

    async def get_all_entities(self, entity_query: EntityQuery | None = None) -> list[EntityMetadata]:
        """Every entity that fits the query."""
        query = entity_query or states.EntityQuery()
        found = [
            answers.metadata_of(r, with_state=query.include_state)
            for r in await self._all(answers.entity_filter(query))
        ]
        return [metadata for metadata in found if metadata is not None]

    async def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Forget entities without a state, and release locks whose holder has ended."""
        cleaned = await self.attached.clean_entity_storage(
            remove_empty_entities=remove_empty_entities, release_orphaned_locks=release_orphaned_locks
        )
        return states.CleanEntityStorageResult(cleaned.empty_entities_removed, cleaned.orphaned_locks_released)

    async def _orchestration(self, instance_id: str) -> InstanceRecord | None:
        record = await self.attached.get(instance_id)
        return record if record is not None and record.origin.kind is InstanceKind.ORCHESTRATION else None

    async def _all(self, filter_: InstanceFilter) -> list[InstanceRecord]:
        found: list[InstanceRecord] = []
        after: PageKey | None = None
        while True:
            page = await self.attached.query(filter_, _PAGE, after)
            found += page.records
            after = page.next_key
            if after is None:
                return found


def _in_time(record: InstanceRecord | None, instance_id: str, what: str, *, with_payloads: bool) -> OrchestrationState:
    if record is None:
        raise TimeoutError(f"The orchestration '{instance_id}' has not {what} in the time given.")
    return answers.state_of(record, with_payloads=with_payloads)
