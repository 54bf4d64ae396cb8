"""Reads a whole file and names what is wrong with it, in bounded memory."""

import sqlite3
from collections.abc import Callable, Generator, Iterator

from perdure.contracts.records import Finding, FindingKind
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.messages import Envelope
from perdure.storage.rows import (
    DamagedRow,
    Row,
    read_envelope,
    read_history,
    read_instance,
    salvage_instance,
)
from perdure.storage.soundness import activity_finding, disagreements, stuck
from perdure.storage.sqlite.statements import SQL

ROWS_AT_ONCE = 500


class Verification:
    """One reading of one commit's state; ``cursor``'s connection is its own."""

    def __init__(self, cursor: sqlite3.Cursor, liveness: bool) -> None:
        self._cursor = cursor
        self._liveness = liveness

    def findings(self) -> Generator[Finding, None, None]:
        """Part by part: a part that cannot be read is a finding and does not hide the others."""
        self._cursor.execute("begin")
        try:
            for part in (self._file, self._instances, self._orphans, self._messages, self._activities):
                yield from self._guarded(part)
        finally:
            self._cursor.execute("rollback")

    def _guarded(self, part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        try:
            yield from part()
        except sqlite3.Error as error:
            yield Finding(FindingKind.FILE, None, f"the file cannot be read: {error}")

    def _file(self) -> Iterator[Finding]:
        for (line,) in self._cursor.execute("pragma integrity_check").fetchall():
            if line != "ok":
                yield Finding(FindingKind.FILE, None, str(line))

    def _instances(self) -> Iterator[Finding]:
        for row in self._pages("instances_by_number"):
            try:
                record = read_instance(row)
            except DamagedRow as error:
                yield Finding(FindingKind.RECORD, salvage_instance(row).origin.instance_id, str(error))
                continue
            yield from self._instance(record)

    def _instance(self, record: InstanceRecord) -> Iterator[Finding]:
        instance_id = record.origin.instance_id
        rows = self._cursor.execute(SQL["history_of"], (record.origin.number,)).fetchall()
        try:
            history = read_history(rows, record.progress.last_seq)
        except DamagedRow as error:
            yield Finding(FindingKind.HISTORY, instance_id, str(error))
            return
        if record.origin.kind is InstanceKind.ENTITY:
            return
        yield from disagreements(record, history)
        if self._liveness:
            yield from stuck(record, history, self)

    def _orphans(self) -> Iterator[Finding]:
        for (number,) in self._cursor.execute(SQL["orphan_histories"]).fetchall():
            yield Finding(
                FindingKind.ORPHAN, None, f"there is a history of instance number {number}, but no such instance"
            )

    def _messages(self) -> Iterator[Finding]:
        for row in self._pages("messages"):
            try:
                read_envelope(row)
            except DamagedRow as error:
                yield Finding(FindingKind.RECORD, row[1], str(error))

    def _activities(self) -> Iterator[Finding]:
        for row in self._pages("activities"):
            if (finding := activity_finding(row)) is not None:
                yield finding

    def _pages(self, name: str) -> Iterator[Row]:
        """All rows of a query by its rising integer key, some at a time."""
        # Below every key, since a damaged one may be negative.
        last = -(1 << 63)
        while rows := self._cursor.execute(SQL[name], (last, ROWS_AT_ONCE)).fetchall():
            yield from rows
            last = rows[-1][0]

    # What lies around an instance

    def inbox_of(self, instance_id: str) -> list[Envelope]:
        found: list[Envelope] = []
        for row in self._cursor.execute(SQL["all_messages_to"], (instance_id,)).fetchall():
            try:
                found.append(read_envelope(row))
            except DamagedRow:
                # Named when the messages are read; whatever it said will not be taken.
                continue
        return found

    def activities_of(self, record: InstanceRecord) -> frozenset[tuple[str, int]]:
        return frozenset(self._cursor.execute(SQL["activities_of"], (record.origin.number,)).fetchall())

    def record_of(self, instance_id: str) -> InstanceRecord | None:
        row = self._cursor.execute(SQL["instance_by_id"], (instance_id,)).fetchone()
        try:
            return None if row is None else read_instance(row)
        except DamagedRow:
            return None
