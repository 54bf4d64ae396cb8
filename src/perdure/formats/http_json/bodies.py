"""Bodies of the HTTP API as plain dictionaries in the order in which they are printed (http-api.md §2, §6)."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from perdure.core.identifiers import read_entity_id
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.status import RuntimeStatus
from perdure.core.waiting_on import WaitingOn
from perdure.formats.http_json.payloads import raw_value
from perdure.formats.http_json.times import microseconds, ticks, whole_seconds

_encoder = msgspec.json.Encoder()


def encode(body: Any) -> bytes:
    """JSON in UTF-8, no indentation, keys in the order given."""
    return _encoder.encode(body)


def status_body(
    record: InstanceRecord,
    *,
    show_input: bool = True,
    history: list[dict[str, Any]] | None = None,
    waiting: Sequence[WaitingOn] | None = None,
) -> dict[str, Any]:
    """The status object; ``historyEvents`` and ``waitingOn`` only when given."""
    origin, progress = record.origin, record.progress
    body: dict[str, Any] = {
        "name": origin.name,
        "instanceId": origin.instance_id,
        "runtimeStatus": progress.status.name,
        "input": raw_value(origin.input) if show_input else None,
        "customStatus": raw_value(progress.custom_status),
        "output": _output(record),
        "createdTime": whole_seconds(origin.created_at),
        "lastUpdatedTime": whole_seconds(progress.updated_at),
    }
    if history is not None:
        body["historyEvents"] = history
    if waiting is not None:
        body["waitingOn"] = waiting_rows(waiting)
    return body


def _output(record: InstanceRecord) -> Any:
    progress = record.progress
    if record.origin.kind is InstanceKind.ENTITY:
        return None
    if progress.status is RuntimeStatus.Failed and progress.output is None and progress.failure is not None:
        return progress.failure.message
    return raw_value(progress.output)


def waiting_rows(reasons: Iterable[WaitingOn]) -> list[dict[str, Any]]:
    """Why an instance is not moving: our extension of the status object."""
    return [_waiting_row(reason) for reason in reasons]


def _waiting_row(reason: WaitingOn) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": reason.kind.value}
    if reason.name is not None:
        row["name"] = reason.name
    if reason.since is not None:
        row["since"] = microseconds(reason.since)
    if reason.until is not None:
        row["until"] = microseconds(reason.until)
    if reason.attempt is not None:
        row["attempt"] = reason.attempt
    if reason.reason is not None:
        row["reason"] = reason.reason
    return row


def error_body(message: str) -> dict[str, Any]:
    """The short error object."""
    return {"Message": message}


def long_error_body(message: str, exception_message: str, exception_type: str) -> dict[str, Any]:
    """The long error object; the stack trace is never shown."""
    return {
        "Message": message,
        "ExceptionMessage": exception_message,
        "ExceptionType": exception_type,
        "StackTrace": None,
    }


def purge_body(count: int) -> dict[str, Any]:
    """How many instances a purge removed."""
    return {"instancesDeleted": count}


def cleaned_body(empty_entities_removed: int, orphaned_locks_released: int) -> dict[str, Any]:
    """What a clean-up of the entities brought."""
    return {"emptyEntitiesRemoved": empty_entities_removed, "orphanedLocksReleased": orphaned_locks_released}


def entity_row(record: InstanceRecord, fetch_state: bool) -> dict[str, Any]:
    """One entity of a listing."""
    entity = read_entity_id(record.origin.instance_id)
    return {
        "entityId": {"name": entity.name, "key": entity.key},
        "lastOperationTime": ticks(record.progress.updated_at),
        "state": raw_value(record.progress.state) if fetch_state else None,
    }
