"""The hub of the host that this code runs in, asked directly."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from azure.durable_functions.entity_id import EntityId, address_of
from azure.durable_functions.status import DurableOrchestrationStatus, EntityStateResponse
from azure.durable_functions.transport import Place, Shown, StatusFilter
from perdure.client import (
    AttachedClient,
    InstanceFilter,
    InstanceFinished,
    InstanceNotFound,
    InstanceRecord,
    PageKey,
    RuntimeStatus,
)
from perdure.formats.http_json import history_rows, plain_value

T = TypeVar("T")

_PAGE = 1000


class AttachedTransport:
    """A ``Transport`` over the client of this process; it serves one hub, whatever place a call names."""

    def __init__(self, client: AttachedClient) -> None:
        self._client = client

    def blocking(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._client.blocking(call)

    async def start(self, name: str, *, instance_id: str | None, input: str | None, version: str | None) -> str:
        return await self._client.start(name, instance_id=instance_id, input=input, version=version)

    async def status(self, instance_id: str, shown: Shown) -> DurableOrchestrationStatus:
        record = await self._client.get(instance_id)
        if record is None:
            return DurableOrchestrationStatus()
        if not shown.history:
            return _status_of(record)
        events = await self._client.history(instance_id)
        # As over HTTP: what has not begun has no history, not even an empty one.
        rows = history_rows(events, show_input=True, show_output=shown.history_outputs) if events else None
        return _status_of(record, rows)

    async def statuses(self, filter_: StatusFilter) -> list[DurableOrchestrationStatus]:
        found: list[DurableOrchestrationStatus] = []
        after: PageKey | None = None
        while True:
            page = await self._client.query(_instances(filter_), _PAGE, after)
            found += [_status_of(record) for record in page.records]
            after = page.next_key
            if after is None:
                return found

    async def ended(
        self, instance_id: str, *, limit: timedelta, interval: timedelta
    ) -> DurableOrchestrationStatus | None:
        # Nothing is polled here: the hub tells when the instance ends.
        record = await self._client.wait_for_completion(instance_id, limit.total_seconds())
        return None if record is None else _status_of(record)

    async def raise_event(self, instance_id: str, name: str, *, input: str | None, place: Place) -> None:
        await self._client.raise_event(instance_id, name, input)

    async def terminate(self, instance_id: str, reason: str, recursive: bool) -> None:
        await _unless_finished(self._client.terminate(instance_id, reason, recursive))

    async def suspend(self, instance_id: str, reason: str) -> None:
        await _unless_finished(self._client.suspend(instance_id, reason))

    async def resume(self, instance_id: str, reason: str) -> None:
        await _unless_finished(self._client.resume(instance_id, reason))

    async def rewind(self, instance_id: str, reason: str, place: Place) -> None:
        await self._client.rewind(instance_id, reason)

    async def restart(self, instance_id: str, with_new_id: bool) -> str:
        return await self._client.restart(instance_id, new_instance_id=None if with_new_id else instance_id)

    async def purge(self, instance_id: str) -> int:
        try:
            return await self._client.purge(instance_id)
        except InstanceNotFound:
            return 0

    async def purge_matching(self, filter_: StatusFilter) -> int:
        return await self._client.purge_matching(_instances(filter_))

    async def signal_entity(self, entity_id: EntityId, operation: str, *, input: str | None, place: Place) -> None:
        await self._client.signal_entity(address_of(entity_id), operation, input)

    async def read_entity(self, entity_id: EntityId, place: Place) -> EntityStateResponse:
        text = await self._client.read_entity(address_of(entity_id))
        return EntityStateResponse(text is not None, plain_value(text))


async def _unless_finished(control: Coroutine[Any, Any, None]) -> None:
    try:
        await control
    except InstanceFinished:
        return  # as the official client: nothing is left to steer


def _instances(filter_: StatusFilter) -> InstanceFilter:
    return InstanceFilter(
        created_from=_utc(filter_.created_from),
        created_to=_utc(filter_.created_to),
        statuses=frozenset(RuntimeStatus[status.name] for status in filter_.statuses) if filter_.statuses else None,
        id_prefix=filter_.id_prefix,
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _status_of(record: InstanceRecord, history: list[dict[str, Any]] | None = None) -> DurableOrchestrationStatus:
    origin, progress = record.origin, record.progress
    return DurableOrchestrationStatus(
        name=origin.name,
        instanceId=origin.instance_id,
        createdTime=origin.created_at,
        lastUpdatedTime=progress.updated_at,
        input=plain_value(origin.input),
        output=plain_value(progress.output),
        runtimeStatus=progress.status.name,
        customStatus=plain_value(progress.custom_status),
        history=history,
    )
