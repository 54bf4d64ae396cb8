"""What one transaction makes true, flat, in the order in which it is applied.

A round, client sends and purges all become ``Changes``; several of them are joined into one transaction.
"""

from collections.abc import Mapping

import msgspec

from perdure.contracts.records import PendingActivity, Round
from perdure.core.checkpoint import Checkpoint, Creation, HistoryChange
from perdure.core.messages import Envelope
from perdure.core.status import TERMINAL
from perdure.storage.claims import Claims


class NumberedCheckpoint(msgspec.Struct, eq=False):
    """A checkpoint and the number its instance has or gets."""

    number: int
    checkpoint: Checkpoint


class NumberedCreation(msgspec.Struct, eq=False):
    """An instance to be created with its start's position.

    ``taken`` is decided before the transaction when this process is just creating that id, else in it.
    """

    number: int
    position: int
    creation: Creation
    taken: bool = False


class Placed(msgspec.Struct, eq=False):
    """An envelope and the position its row gets."""

    position: int
    envelope: Envelope


class Changes(msgspec.Struct, eq=False):
    """One transaction's worth. The order of the fields is the order of application."""

    epoch: int | None = None
    """A new holder's epoch."""
    numbers_reserved: int | None = None
    """No number below this one is given again after a restart."""
    purged: list[str] = []
    """Instances to remove if they are terminal orchestrations."""
    consumed: list[int] = []
    """Positions of rows that must be there."""
    discarded: list[int] = []
    """Positions of rows that may be gone."""
    ended_activities: list[int] = []
    emptied: list[int] = []
    """Instances (numbers) whose history and activities are replaced."""
    updated: list[NumberedCheckpoint] = []
    history: list[NumberedCheckpoint] = []
    finished: list[NumberedCheckpoint] = []
    """Instances whose remaining inbox rows and activities go."""
    activities: list[PendingActivity] = []
    activity_numbers: list[int] = []
    """The instance number of each of ``activities``."""
    replaced: list[str] = []
    """Ids whose instance, of any status, gives way to one of ``inserted`` or ``created``."""
    replaced_if_ended: list[str] = []
    """Those of ``replaced`` that must have ended; only stores of many processes ask, others know."""
    inserted: list[NumberedCheckpoint] = []
    created: list[NumberedCreation] = []
    """Creations whose id is known to be free or in ``replaced``."""
    children: list[NumberedCreation] = []
    """Creations that give way to a live instance of their id and replace a finished one."""
    kept: list[Placed] = []
    envelopes: list[Placed] = []

    def join(self, other: "Changes") -> None:
        """Take in what comes after this in the same transaction."""
        self.epoch = self.epoch if other.epoch is None else other.epoch
        self.numbers_reserved = max(self.numbers_reserved or 0, other.numbers_reserved or 0) or None
        for field in _LISTS:
            if more := getattr(other, field):
                setattr(self, field, getattr(self, field) + more)

    def __bool__(self) -> bool:
        """Whether anything is to be written."""
        return (
            self.epoch is not None or self.numbers_reserved is not None or any(getattr(self, field) for field in _LISTS)
        )


_LISTS = tuple(field for field in Changes.__struct_fields__ if field not in ("epoch", "numbers_reserved"))


class Outcome(msgspec.Struct, eq=False):
    """What was only known in the transaction."""

    taken: frozenset[int] = frozenset()
    """Positions of the starts of children that were not created: a live instance has their id."""
    purged: frozenset[str] = frozenset()


class Numbers:
    """Gives numbers to instances, activities and positions: one rising row, never used twice.

    A block is reserved in the store before its first number is given.
    """

    BLOCK = 1 << 20

    def __init__(self, first: int) -> None:
        self._next = first
        self._reserved = first

    def take(self) -> int:
        number = self._next
        self._next = number + 1
        return number

    def reservation(self) -> int | None:
        """The bound to store with the numbers just given, when they passed the stored one."""
        return None if self._next <= self._reserved else self._next + self.BLOCK

    def reserved(self, bound: int | None) -> None:
        """This bound is stored."""
        if bound is not None and bound > self._reserved:
            self._reserved = bound


def changes_of(round_: Round, numbers: Numbers, unsaved: Mapping[int, Creation], claims: Claims) -> Changes:
    """Unfold a round.

    ``unsaved``: identity of a start envelope → the creation it belongs to and that has no row yet.
    ``claims``: ids that creations of this process hold; those of the round's children are added.
    """
    changes = Changes()
    for envelope in round_.kept:
        if (made := unsaved.get(id(envelope))) is None:
            _keep(changes, envelope, numbers)
        else:
            create(changes, made, numbers)
    for checkpoint in round_.checkpoints:
        _checkpoint(changes, checkpoint, numbers, unsaved, claims)
    for envelope in round_.discarded:
        if envelope.position is not None:
            changes.discarded.append(envelope.position)
        elif envelope.ends_activity is not None:
            changes.ended_activities.append(envelope.ends_activity)
    for answer in round_.answers:
        changes.envelopes.append(Placed(numbers.take(), answer.envelope))
    changes.numbers_reserved = numbers.reservation()
    return changes


def create(changes: Changes, made: Creation, numbers: Numbers) -> None:
    """Add a creation whose id is known to be free or replaceable."""
    changes.created.append(NumberedCreation(numbers.take(), numbers.take(), made))
    if made.replaces:
        _replace(changes, made, numbers)


def _replace(changes: Changes, made: Creation, numbers: Numbers) -> None:
    changes.replaced.append(made.record.origin.instance_id)
    for release in made.releases:
        changes.envelopes.append(Placed(numbers.take(), release))


def _keep(changes: Changes, envelope: Envelope, numbers: Numbers) -> None:
    changes.kept.append(Placed(numbers.take(), envelope))
    if envelope.ends_activity is not None:
        changes.ended_activities.append(envelope.ends_activity)


def _checkpoint(
    changes: Changes, checkpoint: Checkpoint, numbers: Numbers, unsaved: Mapping[int, Creation], claims: Claims
) -> None:
    origin = checkpoint.origin
    for envelope in checkpoint.consumed:
        if envelope.position is not None:
            changes.consumed.append(envelope.position)
        elif envelope.ends_activity is not None:
            changes.ended_activities.append(envelope.ends_activity)
        elif (made := unsaved.get(id(envelope))) is not None and made.replaces:
            _replace(changes, made, numbers)
    if checkpoint.history is HistoryChange.REMOVE:
        if origin.number is not None:
            changes.replaced.append(origin.instance_id)
        return
    if (number := origin.number) is None:
        number = numbers.take()
        numbered = NumberedCheckpoint(number, checkpoint)
        changes.inserted.append(numbered)
    else:
        numbered = NumberedCheckpoint(number, checkpoint)
        changes.updated.append(numbered)
        if checkpoint.history is HistoryChange.REPLACE:
            changes.emptied.append(number)
    if checkpoint.events:
        changes.history.append(numbered)
    if checkpoint.progress.status in TERMINAL:
        changes.finished.append(numbered)
    for new in checkpoint.activities:
        changes.activities.append(
            PendingActivity(
                numbers.take(),
                origin.instance_id,
                origin.execution_id,
                new.seq,
                new.task_id,
                new.name,
                new.input,
                new.version,
                new.tags,
                new.trace_context,
            )
        )
        changes.activity_numbers.append(number)
    # Starts come before other messages, which may be for the instance just started.
    for creation in checkpoint.children:
        child_id = creation.record.origin.instance_id
        changes.children.append(NumberedCreation(numbers.take(), numbers.take(), creation, child_id in claims))
        claims.add(child_id)
    for envelope in checkpoint.outbox:
        changes.envelopes.append(Placed(numbers.take(), envelope))
