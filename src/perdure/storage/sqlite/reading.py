"""What is read from the file: plain functions over one connection, which belongs to one thread at a time."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from perdure.contracts.errors import HistoryCorrupted, StoreFailed
from perdure.contracts.records import (
    Backlog,
    DamagedInstance,
    EndedFilter,
    EndedKey,
    EndedPage,
    InstanceFilter,
    Page,
    PageKey,
    PendingActivity,
    StoredInstance,
)
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.filters import PurgeKey, purge_filter, where, where_ended
from perdure.storage.pages import first_page
from perdure.storage.rows import (
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
from perdure.storage.sqlite.pages import page_query
from perdure.storage.sqlite.statements import SQL, ManyValues, numbers_text

_status_of = SQL["status_of"]
_instance_by_id = SQL["instance_by_id"]
_purgeable = SQL["purgeable"]
_history_of = SQL["history_of"]
_histories = SQL["histories"]
_ready_messages = SQL["ready_messages"]
_due_messages = SQL["due_messages"]
_messages_to = SQL["messages_to"]
_activities = SQL["activities"]
_ended = SQL["ended"]
_instances_by_id = ManyValues("instances_by_id")
_backlog_sizes = ManyValues("backlog_sizes")


def read_status(cursor: sqlite3.Cursor, instance_id: str) -> RuntimeStatus | None:
    """Raises HistoryCorrupted."""
    row = _row_of(cursor, _status_of, instance_id)
    try:
        return None if row is None else RuntimeStatus(row[0])
    except ValueError as error:
        raise HistoryCorrupted(instance_id, str(error)) from error


def read_record(cursor: sqlite3.Cursor, instance_id: str) -> InstanceRecord | None:
    """Raises HistoryCorrupted."""
    row = _row_of(cursor, _instance_by_id, instance_id)
    try:
        return None if row is None else read_instance(row)
    except DamagedRow as error:
        raise HistoryCorrupted(instance_id, str(error)) from error


def _row_of(cursor: sqlite3.Cursor, query: str, instance_id: str) -> Row | None:
    try:
        return cursor.execute(query, (instance_id,)).fetchone()
    except UnicodeEncodeError:
        # An id that cannot be stored names nothing.
        return None


def read_records(cursor: sqlite3.Cursor, ids: Collection[str]) -> list[InstanceRecord | DamagedInstance]:
    """Those that exist, in no order."""
    found: list[InstanceRecord | DamagedInstance] = []
    for row in _instances_by_id.rows(cursor, list(dict.fromkeys(ids))):
        try:
            found.append(read_instance(row))
        except DamagedRow as error:
            found.append(DamagedInstance(salvage_instance(row), str(error)))
    return found


def read_histories(
    cursor: sqlite3.Cursor, found: list[InstanceRecord | DamagedInstance]
) -> dict[str, StoredInstance | DamagedInstance]:
    """Add to each record its history, in one query."""
    numbers = [r.origin.number for r in found if isinstance(r, InstanceRecord) and r.progress.last_seq >= 0]
    rows: dict[int, list[Row]] = {}
    if numbers:
        cursor.execute(_histories, (numbers_text([number for number in numbers if number is not None]),))
        rows = {number: list(group) for number, group in groupby(cursor.fetchall(), key=itemgetter(0))}
    loaded: dict[str, StoredInstance | DamagedInstance] = {}
    for record in found:
        if isinstance(record, DamagedInstance):
            loaded[record.record.origin.instance_id] = record
            continue
        instance_id = record.origin.instance_id
        try:
            found_rows = rows.get(record.origin.number or 0, [])
            history = _history(record, found_rows)
            loaded[instance_id] = StoredInstance(record, history, sum(text_bytes(row[4]) for row in found_rows))
        except DamagedRow as error:
            loaded[instance_id] = DamagedInstance(record, str(error))
    return loaded


def read_history_of(cursor: sqlite3.Cursor, record: InstanceRecord) -> list[HistoryEvent]:
    """Raises HistoryCorrupted."""
    rows = cursor.execute(_history_of, (record.origin.number,)).fetchall()
    try:
        return _history(record, rows)
    except DamagedRow as error:
        raise HistoryCorrupted(record.origin.instance_id, str(error)) from error


def _history(record: InstanceRecord, rows: list[Row]) -> list[HistoryEvent]:
    if record.origin.kind is InstanceKind.ENTITY:
        return []
    return read_history(rows, record.progress.last_seq)


def read_page(cursor: sqlite3.Cursor, filter_: InstanceFilter, limit: int, after: PageKey | None) -> Page:
    """A record that is damaged stands there with what can be told of it."""
    # A cursor of its own, so that a page that ends early leaves no statement open that would hold up the log.
    with closing(cursor.connection.cursor()) as reading:
        text, parameters = page_query(reading, filter_, after)
        rows = reading.execute(text, (*parameters, limit + 1))
        return first_page(map(_told, rows), limit)


def _told(row: Row) -> InstanceRecord:
    try:
        return read_instance(row)
    except DamagedRow:
        return salvage_instance(row)


def read_purgeable(
    cursor: sqlite3.Cursor, filter_: InstanceFilter, limit: int, after: PurgeKey | None
) -> list[PurgeKey]:
    narrowed = purge_filter(filter_)
    if narrowed is None:
        return []
    condition, parameters = where(narrowed)
    if after is not None:
        condition += " and (created_at, id) > (?, ?)"
        parameters += after
    return cursor.execute(_purgeable.replace(":condition", condition), (*parameters, limit)).fetchall()


def read_ended(cursor: sqlite3.Cursor, filter_: EndedFilter, limit: int, after: EndedKey | None) -> EndedPage:
    """Ids only: no record is read, so none need be whole."""
    condition, parameters = where_ended(filter_)
    if after is not None:
        condition += " and (completed_at, id) > (?, ?)"
        parameters += [micros(after.completed_at), after.instance_id]
    rows = cursor.execute(_ended.replace(":condition", condition), (*parameters, limit + 1)).fetchall()
    ids = [instance_id for instance_id, _ in rows[:limit]]
    if len(rows) <= limit:
        return EndedPage(ids)
    last_id, completed_at = rows[limit - 1]
    return EndedPage(ids, EndedKey(moment(completed_at), last_id))


def read_backlog_sizes(cursor: sqlite3.Cursor, instance_ids: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for target, count in _backlog_sizes.rows(cursor, list(dict.fromkeys(instance_ids))):
        found[target] = count
    return found


def read_backlog(cursor: sqlite3.Cursor, now: datetime, horizon: datetime) -> Backlog:
    """Raises StoreFailed when a message or an activity is damaged: to go on without it would lose it."""
    try:
        ready = [read_envelope(row) for row in cursor.execute(_ready_messages, (micros(now),)).fetchall()]
        return Backlog(ready, read_due(cursor, now, horizon), read_activities(cursor))
    except DamagedRow as error:
        raise StoreFailed(f"The store is damaged: {error}. Run 'perdure verify'.") from error


def read_due(cursor: sqlite3.Cursor, after: datetime, until: datetime) -> list[Envelope]:
    rows = cursor.execute(_due_messages, (micros(after), micros(until))).fetchall()
    return [read_envelope(row) for row in rows]


def read_inbox(cursor: sqlite3.Cursor, instance_id: str, now: datetime) -> list[Envelope]:
    rows = cursor.execute(_messages_to, (instance_id, micros(now))).fetchall()
    return [read_envelope(row) for row in rows]


def read_activities(cursor: sqlite3.Cursor) -> list[PendingActivity]:
    rows = cursor.execute(_activities, (0, -1)).fetchall()
    return [read_activity(row[:11], row[11]) for row in rows]
