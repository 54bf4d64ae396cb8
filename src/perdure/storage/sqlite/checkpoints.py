"""Changes → statements, inside a transaction that somebody else begins and ends."""

import sqlite3
from operator import itemgetter

from perdure.contracts.errors import CheckpointRefused
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, NumberedCheckpoint, NumberedCreation, Outcome
from perdure.storage.rows import (
    ACTIVITY_COLUMNS,
    BARE_ACTIVITY_COLUMNS,
    BARE_INSTANCE_COLUMNS,
    HISTORY_COLUMNS,
    INBOX_COLUMNS,
    INSTANCE_COLUMNS,
    ORIGIN_COLUMNS,
    PROGRESS_COLUMNS,
    RUNNING_COLUMNS,
    Value,
    write_activity,
    write_envelope,
    write_numbered_episode,
    write_origin,
    write_progress,
)
from perdure.storage.sqlite.statements import SQL, ManyRows, ManyValues, numbers_text

_write_setting = SQL["write_setting"]
_delete_instances = SQL["delete_instances"]
_delete_histories = SQL["delete_histories"]
_delete_activities_of = SQL["delete_activities_of"]
_delete_messages = SQL["delete_messages"]
_delete_activities = SQL["delete_activities"]
_update_one_progress = SQL["update_one_progress"]
_make_running = SQL["make_running"]
_purgeable = ManyValues("purgeable_by_id")
_find_instances = ManyValues("find_instances")
_delete_messages_to = ManyValues("delete_messages_to")
_update_progress = ManyRows("update_progress", len(PROGRESS_COLUMNS) + 2)
_update_running = ManyRows("update_running", len(RUNNING_COLUMNS) + 2)
_update_origin = ManyRows("update_origin", len(ORIGIN_COLUMNS))
_insert_instances = ManyRows("insert_instances", len(INSTANCE_COLUMNS))
_insert_bare_instances = ManyRows("insert_bare_instances", len(BARE_INSTANCE_COLUMNS))
_insert_history = ManyRows("insert_history", len(HISTORY_COLUMNS))
_insert_activities = ManyRows("insert_activities", len(ACTIVITY_COLUMNS))
_insert_bare_activities = ManyRows("insert_bare_activities", len(BARE_ACTIVITY_COLUMNS))
_insert_messages = ManyRows("insert_messages", len(INBOX_COLUMNS))

_RUNNING = int(RuntimeStatus.Running)
_NUMBER, _STATUS = PROGRESS_COLUMNS.index("progress_crc") + 1, PROGRESS_COLUMNS.index("status")
_running = itemgetter(*map(PROGRESS_COLUMNS.index, RUNNING_COLUMNS), _NUMBER, _NUMBER + 1)
_beyond_running = itemgetter(
    *(at for at, column in enumerate(PROGRESS_COLUMNS) if column not in RUNNING_COLUMNS and at != _STATUS)
)
_bare = itemgetter(*map(INSTANCE_COLUMNS.index, BARE_INSTANCE_COLUMNS))
_beyond_bare = itemgetter(*(at for at, column in enumerate(INSTANCE_COLUMNS) if column not in BARE_INSTANCE_COLUMNS))
_NOTHING_BEYOND_RUNNING = (None,) * (len(PROGRESS_COLUMNS) - len(RUNNING_COLUMNS) - 1)
_NOTHING_BEYOND_BARE = (None,) * (len(INSTANCE_COLUMNS) - len(BARE_INSTANCE_COLUMNS))


def apply(cursor: sqlite3.Cursor, changes: Changes) -> Outcome:
    """Write everything. Raises CheckpointRefused; the caller rolls back whatever is raised."""
    _write_settings(cursor, changes)
    purged = _purge(cursor, changes.purged) if changes.purged else frozenset[str]()
    _end_messages(cursor, changes)
    if changes.updated:
        _update(cursor, changes)
    if changes.history:
        _insert_history.run(cursor, [write_numbered_episode(n.checkpoint, n.number) for n in changes.history])
    if changes.finished:
        _delete_messages_to.run(cursor, [numbered.checkpoint.origin.instance_id for numbered in changes.finished])
        finished = numbers_text([numbered.number for numbered in changes.finished])
        cursor.execute(_delete_activities_of, (finished,))
    if changes.activities:
        rows = [write_activity(a, n) for a, n in zip(changes.activities, changes.activity_numbers, strict=True)]
        if told := [row for row in rows if len(row) == len(ACTIVITY_COLUMNS)]:
            _insert_activities.run(cursor, told)
            rows = [row for row in rows if len(row) != len(ACTIVITY_COLUMNS)]
        _insert_bare_activities.run(cursor, rows)
    if changes.replaced:
        _remove(cursor, [number for _, number, _ in _find_instances.rows(cursor, changes.replaced)])
    if changes.inserted or changes.created:
        _insert(cursor, changes.inserted, changes.created)
    made, taken = _create_children(cursor, changes.children) if changes.children else ([], [])
    messages = [write_envelope(placed.envelope, placed.position) for placed in (*changes.kept, *changes.envelopes)]
    messages += [write_envelope(c.creation.start, c.position) for c in (*changes.created, *made)]
    messages += [
        write_envelope(child.creation.if_taken, child.position)
        for child in taken
        if child.creation.if_taken is not None
    ]
    if messages:
        _insert_messages.run(cursor, messages)
    return Outcome(frozenset(child.position for child in taken), purged)


def _write_settings(cursor: sqlite3.Cursor, changes: Changes) -> None:
    if changes.epoch is not None:
        cursor.execute(_write_setting, (changes.epoch, "epoch"))
    if changes.numbers_reserved is not None:
        cursor.execute(_write_setting, (changes.numbers_reserved, "numbers_reserved"))


def _purge(cursor: sqlite3.Cursor, ids: list[str]) -> frozenset[str]:
    found = _purgeable.rows(cursor, ids)
    _remove(cursor, [number for number, _ in found])
    purged = [instance_id for _, instance_id in found]
    _delete_messages_to.run(cursor, purged)
    return frozenset(purged)


def _remove(cursor: sqlite3.Cursor, numbers: list[int]) -> None:
    text = (numbers_text(numbers),)
    cursor.execute(_delete_histories, text)
    cursor.execute(_delete_activities_of, text)
    cursor.execute(_delete_instances, text)


def _end_messages(cursor: sqlite3.Cursor, changes: Changes) -> None:
    if changes.consumed:
        cursor.execute(_delete_messages, (numbers_text(changes.consumed),))
        if cursor.rowcount != len(changes.consumed):
            raise CheckpointRefused(
                f"{len(changes.consumed)} messages are to be consumed, but {cursor.rowcount} of them are in the inbox."
            )
    if changes.discarded:
        cursor.execute(_delete_messages, (numbers_text(changes.discarded),))
    if changes.ended_activities:
        cursor.execute(_delete_activities, (numbers_text(changes.ended_activities),))


def _update(cursor: sqlite3.Cursor, changes: Changes) -> None:
    updated = changes.updated
    if changes.emptied:
        emptied = set(changes.emptied)
        text = (numbers_text(changes.emptied),)
        cursor.execute(_delete_histories, text)
        cursor.execute(_delete_activities_of, text)
        _update_origin.run(
            cursor, [write_origin(n.checkpoint.origin, n.number) for n in updated if n.number in emptied]
        )
    rows = [_progress(numbered) for numbered in updated]
    if len(rows) == 1:
        cursor.execute(_update_one_progress, rows[0])
        changed = cursor.rowcount
    else:
        changed = _update_many(cursor, rows)
    if changed != len(rows):
        expected = {n.checkpoint.origin.instance_id: n.checkpoint.expected_last_seq for n in updated}
        raise CheckpointRefused(f"{changed} of {len(rows)} instances have the expected last seq: {expected}")


def _update_many(cursor: sqlite3.Cursor, rows: list[tuple[Value, ...]]) -> int:
    """Returns how many rows it changed."""
    running = [row for row in rows if row[_STATUS] == _RUNNING and _beyond_running(row) == _NOTHING_BEYOND_RUNNING]
    if not running:
        return _update_progress.run(cursor, rows)
    cursor.execute(_make_running, (f"[{','.join([str(row[_NUMBER]) for row in running])}]",))
    changed = _update_running.run(cursor, [_running(row) for row in running])
    if len(running) == len(rows):
        return changed
    others = [row for row in rows if row[_STATUS] != _RUNNING or _beyond_running(row) != _NOTHING_BEYOND_RUNNING]
    return changed + _update_progress.run(cursor, others)


def _progress(numbered: NumberedCheckpoint) -> tuple[Value, ...]:
    number, checkpoint = numbered.number, numbered.checkpoint
    return (*write_progress(checkpoint.progress, number), number, checkpoint.expected_last_seq)


def _insert(cursor: sqlite3.Cursor, inserted: list[NumberedCheckpoint], created: list[NumberedCreation]) -> None:
    rows = [
        write_origin(n.checkpoint.origin, n.number) + write_progress(n.checkpoint.progress, n.number) for n in inserted
    ]
    for made in created:
        record = made.creation.record
        rows.append(write_origin(record.origin, made.number) + write_progress(record.progress, made.number))
    bare = [_bare(row) for row in rows if _beyond_bare(row) == _NOTHING_BEYOND_BARE]
    if len(bare) < len(rows):
        _insert_instances.run(cursor, [row for row in rows if _beyond_bare(row) != _NOTHING_BEYOND_BARE])
    _insert_bare_instances.run(cursor, bare)


def _create_children(
    cursor: sqlite3.Cursor, children: list[NumberedCreation]
) -> tuple[list[NumberedCreation], list[NumberedCreation]]:
    """Create what can be; returns the created and the taken ones."""
    ids = [child.creation.record.origin.instance_id for child in children if not child.taken]
    present = {instance_id: (number, status) for instance_id, number, status in _find_instances.rows(cursor, ids)}
    made: list[NumberedCreation] = []
    taken: list[NumberedCreation] = []
    for child in children:
        found = present.get(child.creation.record.origin.instance_id)
        lives = found is not None and (child.creation.keeps_finished or not RuntimeStatus(found[1]).is_terminal)
        (taken if child.taken or lives else made).append(child)
    replaced = [
        present[c.creation.record.origin.instance_id][0]
        for c in made
        if c.creation.record.origin.instance_id in present
    ]
    if replaced:
        _remove(cursor, replaced)
    if made:
        _insert(cursor, [], made)
    return made, taken
