"""Records ↔ rows, shared by the SQL storages. Times are integer microseconds since 1970, UTC.

Every row carries a checksum over its own values, its key included, so that neither a flipped byte nor two rows
that changed places go unseen (reliability.md D10).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zlib import crc32

import msgspec

from perdure.contracts.records import PendingActivity
from perdure.core.checkpoint import Checkpoint
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.formats import stored

Value = int | str | None
Row = Sequence[Any]

ORIGIN_COLUMNS = (
    "number", "id", "kind", "name", "execution_id", "created_at", "version", "input", "generation", "parent",
    "scheduled_start_at", "trace_context", "tags", "origin_crc",
)  # fmt: skip
PROGRESS_COLUMNS = (
    "status", "updated_at", "last_seq", "custom_status", "output", "failure", "completed_at", "episode_at",
    "awaited_events", "state", "locked_by", "progress_crc",
)  # fmt: skip
INSTANCE_COLUMNS = ORIGIN_COLUMNS + PROGRESS_COLUMNS
BARE_INSTANCE_COLUMNS = (
    "number", "id", "kind", "name", "execution_id", "created_at", "input", "generation", "origin_crc", "status",
    "updated_at", "last_seq", "episode_at", "progress_crc",
)  # fmt: skip
"""What all have: each column more costs 0.4 µs a row, empty or not."""
RUNNING_COLUMNS = ("updated_at", "last_seq", "custom_status", "episode_at", "awaited_events", "progress_crc")
"""The progress of a running orchestration; it has no value in the others."""
HISTORY_COLUMNS = ("instance", "first_seq", "count", "format", "events", "crc")
INBOX_COLUMNS = ("position", "target", "due_at", "format", "message", "crc")
ACTIVITY_COLUMNS = (
    "number", "instance", "execution_id", "seq", "task_id", "name", "input", "crc", "version", "tags", "trace_context",
)  # fmt: skip
BARE_ACTIVITY_COLUMNS = ACTIVITY_COLUMNS[:8]
"""What all have."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class DamagedRow(ValueError):
    """A row's checksum does not fit, or a value in it is none of its kind."""


def micros(at: datetime) -> int:
    """Aware datetime → microseconds since 1970. Raises TypeError for a naive one."""
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def moment(value: int) -> datetime:
    """The inverse of ``micros``."""
    return _EPOCH + timedelta(microseconds=value)


def checksum(values: Sequence[Value]) -> int:
    """CRC-32 over a row's values. Raises UnicodeEncodeError for a lone surrogate."""
    return crc32(_encode(values))


def history_checksum(events: bytes, instance: int, first_seq: int, count: int, stored_format: int) -> int:
    """CRC-32 over an episode's text, begun with its place, so that it only fits there."""
    place = (
        instance * 0x9E3779B1 + first_seq * 0x85EBCA77 + count * 0xC2B2AE3D + stored_format * 0x27D4EB2F
    ) & 0xFFFFFFFF
    return crc32(events, place)


def write_origin(origin: Origin, number: int) -> tuple[Value, ...]:
    """The values of ORIGIN_COLUMNS."""
    parent, tags, scheduled = origin.parent, origin.tags, origin.scheduled_start_at
    values: tuple[Value, ...] = (
        number,
        origin.instance_id,
        int(origin.kind),
        origin.name,
        origin.execution_id,
        micros(origin.created_at),
        origin.version,
        origin.input,
        origin.generation,
        None if parent is None else stored.write_parent(parent),
        None if scheduled is None else micros(scheduled),
        origin.trace_context,
        None if tags is None else stored.write_tags(tags),
    )
    return (*values, checksum(values))


def write_progress(progress: Progress, number: int) -> tuple[Value, ...]:
    """The values of PROGRESS_COLUMNS for the instance ``number``."""
    failure, completed, episode, names = (
        progress.failure,
        progress.completed_at,
        progress.episode_at,
        progress.awaited_events,
    )
    updated_at = micros(progress.updated_at)
    values: tuple[Value, ...] = (
        int(progress.status),
        updated_at,
        progress.last_seq,
        progress.custom_status,
        progress.output,
        None if failure is None else stored.write_failure(failure),
        None if completed is None else micros(completed),
        None if episode is None else updated_at if episode is progress.updated_at else micros(episode),
        stored.write_names(names) if names else None,
        progress.state,
        None if progress.locked_by is None else stored.write_holder(progress.locked_by),
    )
    return (*values, checksum((number, *values)))


def read_instance(row: Row) -> InstanceRecord:
    """A row of INSTANCE_COLUMNS → record. Raises DamagedRow."""
    origin_values, origin_crc = tuple(row[:13]), row[13]
    progress_values, progress_crc = tuple(row[14:25]), row[25]
    try:
        if checksum(origin_values) != origin_crc:
            raise DamagedRow("the checksum of its record's origin does not fit")
        if checksum((row[0], *progress_values)) != progress_crc:
            raise DamagedRow("the checksum of its record's progress does not fit")
        return InstanceRecord(_read_origin(origin_values), _read_progress(progress_values))
    except UnicodeError as error:
        raise DamagedRow("a text in its record is no UTF-8") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise error if isinstance(error, DamagedRow) else DamagedRow(f"its record is unreadable: {error}") from error


def salvage_instance(row: Row) -> InstanceRecord:
    """What can be told of a damaged row: whatever cannot be read is left out."""
    now_unknown = _EPOCH
    texts = [value if isinstance(value, str) else "" for value in row]
    kind = InstanceKind(row[2]) if row[2] in (0, 1) else InstanceKind.ORCHESTRATION
    created = _salvage_moment(row[5]) or now_unknown
    origin = Origin(texts[1], kind, texts[3], texts[4], created, number=row[0])
    status = RuntimeStatus(row[14]) if row[14] in range(8) else RuntimeStatus.Failed
    last_seq = row[16] if isinstance(row[16], int) else -1
    return InstanceRecord(origin, Progress(status, _salvage_moment(row[15]) or created, last_seq))


def _salvage_moment(value: object) -> datetime | None:
    try:
        return moment(cast(int, value))
    except (TypeError, OverflowError):
        return None


def _read_origin(row: Row) -> Origin:
    return Origin(
        instance_id=row[1],
        kind=InstanceKind(row[2]),
        name=row[3],
        execution_id=row[4],
        created_at=moment(row[5]),
        version=row[6],
        input=row[7],
        generation=row[8],
        parent=None if row[9] is None else stored.read_parent(row[9]),
        scheduled_start_at=None if row[10] is None else moment(row[10]),
        trace_context=row[11],
        tags=None if row[12] is None else stored.read_tags(row[12]),
        number=row[0],
    )


def _read_progress(row: Row) -> Progress:
    return Progress(
        status=RuntimeStatus(row[0]),
        updated_at=moment(row[1]),
        last_seq=row[2],
        custom_status=row[3],
        output=row[4],
        failure=None if row[5] is None else stored.read_failure(row[5]),
        completed_at=None if row[6] is None else moment(row[6]),
        episode_at=None if row[7] is None else moment(row[7]),
        awaited_events=() if row[8] is None else stored.read_names(row[8]),
        state=row[9],
        locked_by=None if row[10] is None else stored.read_holder(row[10]),
    )


def write_episode(events: Sequence[HistoryEvent], instance: int, first_seq: int) -> tuple[Value, ...]:
    """The values of HISTORY_COLUMNS. Raises UnicodeEncodeError for a lone surrogate."""
    raw = stored.write_events(events)
    count = len(events)
    crc = history_checksum(raw, instance, first_seq, count, stored.STORED_FORMAT)
    return (instance, first_seq, count, stored.STORED_FORMAT, raw.decode(), crc)


def write_numbered_episode(checkpoint: Checkpoint, instance: int) -> tuple[Value, ...]:
    """As ``write_episode``, of a checkpoint's events; the checkpoint learns their size."""
    row = write_episode(checkpoint.events, instance, checkpoint.progress.last_seq + 1 - len(checkpoint.events))
    text = row[4]
    assert isinstance(text, str)
    checkpoint.history_bytes = text_bytes(text)
    return row


def read_history(rows: Sequence[Row], last_seq: int) -> list[HistoryEvent]:
    """All rows of HISTORY_COLUMNS of one instance, in order → its events. Raises DamagedRow."""
    history: list[HistoryEvent] = []
    for instance, first_seq, count, stored_format, text, crc in rows:
        if first_seq != len(history):
            raise DamagedRow(f"event {len(history)} should come next, but a row begins at {first_seq}")
        try:
            raw = text.encode()
        except UnicodeError as error:
            raise DamagedRow(f"the events from {first_seq} on are no UTF-8") from error
        if history_checksum(raw, instance, first_seq, count, stored_format) != crc:
            raise DamagedRow(f"the checksum of the events from {first_seq} on does not fit")
        try:
            events = stored.read_events(raw, stored_format)
        except stored.UnreadableText as error:
            raise DamagedRow(f"the events from {first_seq} on are unreadable: {error}") from error
        if len(events) != count:
            raise DamagedRow(f"{count} events should begin at {first_seq}, but there are {len(events)}")
        history += events
    if len(history) != last_seq + 1:
        raise DamagedRow(f"the record ends at event {last_seq}, the history at {len(history) - 1}")
    return history


def text_bytes(text: str) -> int:
    """How many bytes the text has as UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def write_envelope(envelope: Envelope, position: int) -> tuple[Value, ...]:
    """The values of INBOX_COLUMNS. Raises UnicodeEncodeError for a lone surrogate."""
    due_at = envelope.due_at
    values: tuple[Value, ...] = (
        position,
        envelope.target,
        None if due_at is None else micros(due_at),
        stored.STORED_FORMAT,
        stored.write_message(envelope.message).decode(),
    )
    return (*values, checksum(values))


def read_envelope(row: Row) -> Envelope:
    """A row of INBOX_COLUMNS → envelope. Raises DamagedRow."""
    position, target, due_at, stored_format, message, crc = row
    try:
        if checksum((position, target, due_at, stored_format, message)) != crc:
            raise DamagedRow(f"the checksum of message {position} does not fit")
        read = stored.read_message(message, stored_format)
    except UnicodeError as error:
        raise DamagedRow(f"message {position} is no UTF-8") from error
    except stored.UnreadableText as error:
        raise DamagedRow(f"message {position} is unreadable: {error}") from error
    return Envelope(target, read, None if due_at is None else moment(due_at), position)


def write_activity(activity: PendingActivity, instance: int) -> tuple[Value, ...]:
    """The values of ACTIVITY_COLUMNS, or of as many as have one. Raises UnicodeEncodeError for a lone surrogate."""
    values: tuple[Value, ...] = (
        activity.number,
        instance,
        activity.execution_id,
        activity.seq,
        activity.task_id,
        activity.name,
        activity.input,
    )
    version, tags, trace = activity.version, activity.tags, activity.trace_context
    if version is None and tags is None and trace is None:
        # As rows were before there were versions, tags and trace contexts.
        return (*values, checksum(values))
    added = (version, None if tags is None else stored.write_tags(tags))
    if trace is not None:
        # As rows were before there were trace contexts.
        return (*values, checksum((*values, *added, trace)), *added, trace)
    return (*values, checksum((*values, *added)), *added, None)


def read_activity(row: Row, instance_id: str) -> PendingActivity:
    """A row of ACTIVITY_COLUMNS → activity. Raises DamagedRow."""
    try:
        if checksum((*row[:7], *_added(row))) != row[7]:
            raise DamagedRow(f"the checksum of pending activity {row[0]} does not fit")
        tags = None if row[9] is None else stored.read_tags(row[9])
    except UnicodeError as error:
        raise DamagedRow(f"pending activity {row[0]} is no UTF-8") from error
    return PendingActivity(row[0], instance_id, row[2], row[3], row[4], row[5], row[6], row[8], tags, row[10])


def _added(row: Row) -> Row:
    """The columns of younger versions that this row's checksum covers."""
    if row[10] is not None:
        return row[8:11]
    return () if row[8] is None and row[9] is None else row[8:10]
