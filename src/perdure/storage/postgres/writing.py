"""Changes → the arguments of the function that writes them: rows as tuples, arrays of them by table."""

from collections.abc import Iterable
from typing import Any

from perdure.contracts.offers import ClaimedOffer, OfferAnswer
from perdure.core.checkpoint import Creation
from perdure.core.instance import InstanceRecord, Origin
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.storage.changes import Changes, NumberedCheckpoint, NumberedCreation, Placed
from perdure.storage.rows import (
    ACTIVITY_COLUMNS,
    Value,
    write_activity,
    write_envelope,
    write_numbered_episode,
    write_origin,
    write_progress,
)
from perdure.storage.shared.tables import Epochs

Tuple = tuple[Any, ...]


class Writing:
    """One transaction's changes, by the partitions of a hub; those outside ``fence`` get arrivals."""

    def __init__(self, partition_count: int, fence: Epochs) -> None:
        self._count = partition_count
        self._fence = fence

    def arguments(self, changes: Changes) -> list[Any]:
        """In the order of ``hub.write_1``, from the fence on. Raises UnicodeEncodeError for a lone surrogate."""
        emptied = set(changes.emptied)
        replaced = [n for n in changes.updated if n.number in emptied] if emptied else []
        return [
            list(self._fence),
            list(self._fence.values()),
            changes.purged,
            changes.consumed,
            changes.discarded,
            changes.ended_activities,
            self._places(replaced),
            [(*write_origin(n.checkpoint.origin, n.number), folded_name(n.checkpoint.origin)) for n in replaced],
            [_progress(numbered) for numbered in changes.updated],
            [write_numbered_episode(numbered.checkpoint, numbered.number) for numbered in changes.history],
            self._places(changes.finished),
            self._activities(changes),
            changes.replaced,
            changes.replaced_if_ended,
            self._instances(changes),
            [self._child(child) for child in changes.children if not child.taken],
            list(self._messages(changes)),
        ]

    def message(self, envelope: Envelope, position: int) -> Tuple:
        """A row of ``hub.message_1``."""
        partition = partition_of(envelope.target, self._count)
        return (*write_envelope(envelope, position), partition, partition not in self._fence)

    def _places(self, numbered: Iterable[NumberedCheckpoint]) -> list[Tuple]:
        return [
            (n.number, partition_of(n.checkpoint.origin.instance_id, self._count), n.checkpoint.origin.instance_id)
            for n in numbered
        ]

    def _instances(self, changes: Changes) -> list[Tuple]:
        rows = [
            self._instance(InstanceRecord(n.checkpoint.origin, n.checkpoint.progress), n.number)
            for n in changes.inserted
        ]
        return rows + [self._instance(made.creation.record, made.number) for made in changes.created]

    def _instance(self, record: InstanceRecord, number: int) -> Tuple:
        origin = record.origin
        partition = partition_of(origin.instance_id, self._count)
        progress = write_progress(record.progress, number)
        return (*write_origin(origin, number), *progress, partition, folded_name(origin))

    def _activities(self, changes: Changes) -> list[Tuple]:
        rows: list[Tuple] = []
        for activity, number in zip(changes.activities, changes.activity_numbers, strict=True):
            row = write_activity(activity, number)
            absent: tuple[Value, ...] = () if len(row) == len(ACTIVITY_COLUMNS) else (None, None, None)
            rows.append((*row, *absent, partition_of(activity.instance_id, self._count)))
        return rows

    def _child(self, child: NumberedCreation) -> Tuple:
        creation: Creation = child.creation
        answer = creation.if_taken
        return (
            self._instance(creation.record, child.number),
            creation.keeps_finished,
            self.message(creation.start, child.position),
            None if answer is None else self.message(answer, child.position),
        )

    def _messages(self, changes: Changes) -> Iterable[Tuple]:
        for placed in (*changes.kept, *changes.envelopes):
            yield self.message(placed.envelope, placed.position)
        for made in changes.created:
            yield self.message(made.creation.start, made.position)
        for child in changes.children:
            if child.taken and child.creation.if_taken is not None:
                yield self.message(child.creation.if_taken, child.position)


def finished_offers(
    finished: Iterable[tuple[ClaimedOffer, Placed | OfferAnswer]], writing: Writing
) -> tuple[list[Any], ...]:
    """The arguments of ``hub.finish_offers_1``, from the answers on. Raises UnicodeEncodeError for a lone surrogate."""
    answered: tuple[list[Any], ...] = ([], [], [])
    ended: tuple[list[Any], ...] = ([], [], [])
    for claimed, answer in finished:
        if isinstance(answer, OfferAnswer):
            columns, last = answered, answer.body
        else:
            columns, last = ended, writing.message(answer.envelope, answer.position)
        for column, value in zip(columns, (claimed.offer.number, claimed.token, last), strict=True):
            column.append(value)
    return (*answered, *ended)


def folded_name(origin: Origin) -> str | None:
    """The name as it is compared without case; None when that is the name itself."""
    folded = origin.name.casefold()
    return None if folded == origin.name else folded


def _progress(numbered: NumberedCheckpoint) -> Tuple:
    checkpoint, number = numbered.checkpoint, numbered.number
    return (*write_progress(checkpoint.progress, number), number, checkpoint.expected_last_seq)
