"""Rows in dictionaries: what every other storage must do, written to be read.

A write checks everything first and changes things after, so it is atomic. Nothing that a caller may change later
is kept, and nothing that is kept is handed out.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from perdure.contracts.errors import CheckpointRefused
from perdure.contracts.records import (
    Backlog,
    DamagedInstance,
    EndedFilter,
    EndedKey,
    EndedPage,
    Finding,
    InstanceFilter,
    Page,
    PageKey,
    PendingActivity,
    StoredInstance,
)
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.formats.stored import write_events
from perdure.storage.changes import Changes, NumberedCreation, Outcome
from perdure.storage.filters import PurgeKey, ended_predicate, predicate, purge_filter
from perdure.storage.pages import first_page
from perdure.storage.rows import micros, moment
from perdure.storage.soundness import disagreements, stuck

_encode = msgspec.json.Encoder().encode


class MemoryTables:
    """Implements ``Tables``."""

    def __init__(self) -> None:
        self.records: dict[str, InstanceRecord] = {}
        self.histories: dict[int, list[HistoryEvent]] = {}
        self.inbox: dict[int, Envelope] = {}
        self.activities: dict[int, tuple[int, PendingActivity]] = {}
        """Number → the number of its instance, and the activity."""
        self._epoch = 0
        self._first_number = 1

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def describe(self) -> str:
        return "store memory:, durability none"

    def first_number(self) -> int:
        return self._first_number

    def epoch(self) -> int:
        return self._epoch

    def status_of(self, instance_id: str) -> RuntimeStatus | None:
        record = self.records.get(instance_id)
        return None if record is None else record.progress.status

    # Writing

    def write(self, changes: Changes, *, at_once: bool) -> asyncio.Future[Outcome]:
        written: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            self._assert(changes)
            _assert_text(changes)
        except CheckpointRefused as error:
            written.set_exception(error)
        else:
            written.set_result(self._apply(changes))
        return written

    def _assert(self, changes: Changes) -> None:
        if len(set(changes.consumed)) != len(changes.consumed) or not self.inbox.keys() >= set(changes.consumed):
            raise CheckpointRefused("A message that is to be consumed is not in the inbox.")
        for numbered in changes.updated:
            origin, expected = numbered.checkpoint.origin, numbered.checkpoint.expected_last_seq
            record = self.records.get(origin.instance_id)
            if record is None or record.origin.number != numbered.number or record.progress.last_seq != expected:
                raise CheckpointRefused(f"'{origin.instance_id}' is not stored with last seq {expected}.")
        ids = [numbered.checkpoint.origin.instance_id for numbered in changes.inserted]
        ids += [made.creation.record.origin.instance_id for made in changes.created]
        taken = self.records.keys() - changes.replaced
        if len(set(ids)) != len(ids) or not taken.isdisjoint(ids):
            raise CheckpointRefused(f"An instance that is to be new exists already, one of {ids}.")

    def _apply(self, changes: Changes) -> Outcome:
        self._epoch = changes.epoch or self._epoch
        self._first_number = changes.numbers_reserved or self._first_number
        purged = frozenset(instance_id for instance_id in changes.purged if self._is_purgeable(instance_id))
        for instance_id in purged:
            self._remove(instance_id, with_inbox=True)
        for position in (*changes.consumed, *changes.discarded):
            self.inbox.pop(position, None)
        for number in changes.ended_activities:
            self.activities.pop(number, None)
        for numbered in changes.updated:
            checkpoint = numbered.checkpoint
            if numbered.number in changes.emptied:
                self.histories[numbered.number] = []
                self._drop_activities(numbered.number)
            self._keep(numbered.number, checkpoint.origin, checkpoint.progress)
        for numbered in changes.history:
            checkpoint = numbered.checkpoint
            self.histories.setdefault(numbered.number, []).extend(checkpoint.events)
            checkpoint.history_bytes = len(write_events(checkpoint.events))
        for numbered in changes.finished:
            self._drop_messages(numbered.checkpoint.origin.instance_id)
            self._drop_activities(numbered.number)
        for activity, number in zip(changes.activities, changes.activity_numbers, strict=True):
            self.activities[activity.number] = (number, activity)
        for instance_id in changes.replaced:
            self._remove(instance_id, with_inbox=False)
        for numbered in changes.inserted:
            self._keep(numbered.number, numbered.checkpoint.origin, numbered.checkpoint.progress)
        for made in changes.created:
            self._create(made)
        taken = frozenset(child.position for child in changes.children if not self._create_child(child))
        for placed in (*changes.kept, *changes.envelopes):
            self._insert(placed.position, placed.envelope)
        return Outcome(taken, purged)

    def _create_child(self, child: NumberedCreation) -> bool:
        instance_id = child.creation.record.origin.instance_id
        present = self.records.get(instance_id)
        keeps = child.creation.keeps_finished
        if child.taken or (present is not None and (keeps or not present.progress.status.is_terminal)):
            if child.creation.if_taken is not None:
                self._insert(child.position, child.creation.if_taken)
            return False
        self._remove(instance_id, with_inbox=False)
        self._create(child)
        return True

    def _create(self, made: NumberedCreation) -> None:
        record = made.creation.record
        self._keep(made.number, record.origin, record.progress)
        self._insert(made.position, made.creation.start)

    def _keep(self, number: int, origin: Origin, progress: Progress) -> None:
        self.records[origin.instance_id] = InstanceRecord(replace(origin, number=number), progress)
        self.histories.setdefault(number, [])

    def _insert(self, position: int, envelope: Envelope) -> None:
        self.inbox[position] = Envelope(envelope.target, envelope.message, envelope.due_at, position)

    def _remove(self, instance_id: str, *, with_inbox: bool) -> None:
        record = self.records.pop(instance_id, None)
        if record is not None and record.origin.number is not None:
            del self.histories[record.origin.number]
            self._drop_activities(record.origin.number)
            if with_inbox:
                self._drop_messages(instance_id)

    def _drop_messages(self, instance_id: str) -> None:
        for position in [p for p, envelope in self.inbox.items() if envelope.target == instance_id]:
            del self.inbox[position]

    def _drop_activities(self, instance: int) -> None:
        for number in [n for n, (owner, _) in self.activities.items() if owner == instance]:
            del self.activities[number]

    def _is_purgeable(self, instance_id: str) -> bool:
        record = self.records.get(instance_id)
        return (
            record is not None
            and record.origin.kind is InstanceKind.ORCHESTRATION
            and record.progress.status.is_terminal
        )

    # Reading

    async def recover(self, now: datetime, horizon: datetime) -> Backlog:
        return Backlog(
            ready=self._messages(e for e in self.inbox.values() if e.due_at is None or e.due_at <= now),
            due=await self.read_due(now, horizon),
            activities=[self.activities[number][1] for number in sorted(self.activities)],
        )

    async def read_due(self, after: datetime, until: datetime) -> list[Envelope]:
        due = self._messages(e for e in self.inbox.values() if e.due_at is not None and after < e.due_at <= until)
        return sorted(due, key=lambda envelope: envelope.due_at or after)

    async def read_inbox(self, instance_id: str, now: datetime) -> list[Envelope]:
        return self._messages(
            e for e in self.inbox.values() if e.target == instance_id and (e.due_at is None or e.due_at <= now)
        )

    def _messages(self, envelopes: Iterable[Envelope]) -> list[Envelope]:
        return sorted((replace(envelope) for envelope in envelopes), key=lambda envelope: envelope.position or 0)

    async def get(self, instance_id: str) -> InstanceRecord | None:
        record = self.records.get(instance_id)
        return None if record is None else _copy(record)

    async def load(self, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        return {
            instance_id: StoredInstance(_copy(record), history, len(write_events(history)) if history else 0)
            for instance_id in instance_ids
            if (record := self.records.get(instance_id)) is not None
            for history in [await self.history(instance_id)]
        }

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        record = self.records.get(instance_id)
        return [] if record is None else list(self.histories[record.origin.number or 0])

    async def query(self, filter_: InstanceFilter, limit: int, after: PageKey | None) -> Page:
        matches = predicate(filter_)
        found = sorted((record for record in self.records.values() if matches(record)), key=_place)
        if after is not None:
            found = [record for record in found if _place(record) > (after.created_at, after.instance_id)]
        return first_page(map(_copy, found), limit)

    async def ended(self, filter_: EndedFilter, limit: int, after: EndedKey | None) -> EndedPage:
        matches = ended_predicate(filter_)
        found = sorted(key for record in self.records.values() if (key := matches(record)) is not None)
        if after is not None:
            found = [key for key in found if key > (after.completed_at, after.instance_id)]
        page = found[:limit]
        return EndedPage([instance_id for _, instance_id in page], EndedKey(*page[-1]) if len(found) > limit else None)

    async def backlog_sizes(self, instance_ids: Collection[str]) -> dict[str, int]:
        return dict(Counter(envelope.target for envelope in self.inbox.values() if envelope.target in instance_ids))

    async def purgeable(self, filter_: InstanceFilter, limit: int, after: PurgeKey | None) -> list[PurgeKey]:
        narrowed = purge_filter(filter_)
        if narrowed is None:
            return []
        page = await self.query(narrowed, limit, None if after is None else PageKey(moment(after[0]), after[1]))
        return [(micros(record.origin.created_at), record.origin.instance_id) for record in page.records]

    async def verify(self, liveness: bool) -> AsyncIterator[Finding]:
        for record in list(self.records.values()):
            history = await self.history(record.origin.instance_id)
            for finding in disagreements(record, history):
                yield finding
            if liveness:
                for finding in stuck(record, history, self):
                    yield finding

    def inbox_of(self, instance_id: str) -> list[Envelope]:
        return [envelope for envelope in self.inbox.values() if envelope.target == instance_id]

    def activities_of(self, record: InstanceRecord) -> frozenset[tuple[str, int]]:
        pending = (activity for owner, activity in self.activities.values() if owner == record.origin.number)
        return frozenset((activity.execution_id, activity.seq) for activity in pending)

    def record_of(self, instance_id: str) -> InstanceRecord | None:
        return self.records.get(instance_id)


def _assert_text(changes: Changes) -> None:
    """What could not be encoded could not be kept."""
    numbered = (*changes.inserted, *changes.updated)
    starts = [made.creation.start.message for made in (*changes.created, *changes.children)]
    try:
        _encode([(n.checkpoint.origin, n.checkpoint.progress, n.checkpoint.events) for n in numbered])
        _encode([made.creation.record for made in (*changes.created, *changes.children)])
        _encode([starts, [placed.envelope.message for placed in (*changes.kept, *changes.envelopes)]])
        _encode(changes.activities)
    except UnicodeEncodeError as error:
        raise CheckpointRefused(f"UnicodeEncodeError: {error}") from error


def _copy(record: InstanceRecord) -> InstanceRecord:
    return InstanceRecord(replace(record.origin), record.progress)


def _place(record: InstanceRecord) -> tuple[datetime, str]:
    return record.origin.created_at, record.origin.instance_id
