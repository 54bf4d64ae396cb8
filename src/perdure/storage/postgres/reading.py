"""Rows → records, histories and messages."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from perdure.contracts.errors import CheckpointRefused, HistoryCorrupted, StoreFailed
from perdure.contracts.records import Backlog, DamagedInstance, EndedKey, EndedPage, StoredInstance
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.messages import Envelope
from perdure.storage.postgres.server import Connection
from perdure.storage.rows import (
    INSTANCE_COLUMNS,
    DamagedRow,
    Row,
    micros,
    moment,
    read_activity,
    read_envelope,
    read_history,
    read_instance,
    salvage_instance,
    text_bytes,
)
from perdure.storage.shared.tables import Arrived

_RECORD_END = len(INSTANCE_COLUMNS)


def storable(ids: Iterable[str]) -> list[str]:
    """Each once, without those that no text column can hold: they name nothing."""
    return [each for each in dict.fromkeys(ids) if is_storable(each)]


def is_storable(*texts: str | None) -> bool:
    """Whether a text column can hold them all."""
    try:
        return all(text is None or ("\0" not in text and text.encode()) is not False for text in texts)
    except UnicodeEncodeError:
        return False


def refused_text(error: UnicodeEncodeError) -> CheckpointRefused:
    """Of a text with a lone surrogate."""
    return CheckpointRefused(f"{type(error).__name__}: {error}")


def read_record(row: Row | None) -> InstanceRecord | None:
    """Raises HistoryCorrupted."""
    if row is None:
        return None
    try:
        return read_instance(row)
    except DamagedRow as error:
        raise HistoryCorrupted(row[1], str(error)) from error


def told_record(row: Row) -> InstanceRecord:
    """What can be told of it when it is damaged."""
    try:
        return read_instance(row)
    except DamagedRow:
        return salvage_instance(row)


def read_stored(row: Row) -> StoredInstance | DamagedInstance:
    """A record's columns, then its history's rows."""
    try:
        record = read_instance(row)
    except DamagedRow as error:
        return DamagedInstance(salvage_instance(row), str(error))
    try:
        episodes = row[_RECORD_END]
        return StoredInstance(record, history_of(record, episodes), sum(text_bytes(episode[4]) for episode in episodes))
    except DamagedRow as error:
        return DamagedInstance(record, str(error))


def history_of(record: InstanceRecord, episodes: Sequence[Row]) -> list[HistoryEvent]:
    """Raises DamagedRow."""
    return [] if record.origin.kind is InstanceKind.ENTITY else read_history(episodes, record.progress.last_seq)


def read_arrived(rows: Sequence[Row], place: str) -> Arrived:
    """The mark stands in each row; there is always one."""
    return Arrived(read_envelopes((row[1:] for row in rows if row[1] is not None), place), rows[0][0])


def read_envelopes(rows: Iterable[Row], place: str) -> list[Envelope]:
    """Raises StoreFailed when one is damaged: to go on without it would lose it."""
    try:
        return [read_envelope(row) for row in rows]
    except DamagedRow as error:
        raise StoreFailed(f"The store at {place} is damaged: {error}. Run 'perdure verify'.") from error


async def read_backlog(
    connection: Connection,
    sql: dict[str, str],
    place: str,
    partitions: Collection[int],
    now: datetime,
    horizon: datetime,
) -> tuple[Backlog, int]:
    """Within a snapshot. Raises StoreFailed."""
    held = list(partitions)
    [marked] = await connection.fetch(sql["mark"])
    ready = await connection.fetch(sql["ready_messages"], held, micros(now))
    due = await connection.fetch(sql["due_messages"], held, micros(now), micros(horizon))
    pending = await connection.fetch(sql["activities_in"], held)
    try:
        activities = [read_activity(row[:11], row[11]) for row in pending]
    except DamagedRow as error:
        raise StoreFailed(f"The store at {place} is damaged: {error}. Run 'perdure verify'.") from error
    return Backlog(read_envelopes(ready, place), read_envelopes(due, place), activities), marked[0]


def read_ended(rows: Sequence[Row], limit: int) -> EndedPage:
    """One row more than the page tells that there is a next one."""
    ids = [instance_id for instance_id, _ in rows[:limit]]
    if len(rows) <= limit:
        return EndedPage(ids)
    last_id, completed_at = rows[limit - 1]
    return EndedPage(ids, EndedKey(moment(completed_at), last_id))
