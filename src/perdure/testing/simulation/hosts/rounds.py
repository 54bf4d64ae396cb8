"""Rounds on their way to the store: which transaction makes which of them true."""

from collections.abc import Callable

from perdure.contracts.records import Round
from perdure.core.checkpoint import Creation, HistoryChange
from perdure.core.messages import Envelope
from perdure.storage.changes import Changes


class GivenRound:
    """A round as its engine gave it, with the creations that its starts belong to."""

    def __init__(self, round_: Round, creation_of: Callable[[Envelope], Creation | None]) -> None:
        self.round_ = Round(list(round_.checkpoints), list(round_.kept), list(round_.discarded), list(round_.answers))
        self.is_true = False
        self.starts: list[tuple[Envelope, Creation]] = []
        """Starts without a row, and what they make."""
        taken = [envelope for checkpoint in round_.checkpoints for envelope in checkpoint.consumed]
        for envelope in (*taken, *round_.kept):
            if envelope.position is None and (creation := creation_of(envelope)) is not None:
                self.starts.append((envelope, creation))
        self.signs = frozenset(_signs_of_round(self.round_))

    def drops(self, envelope: Envelope) -> bool:
        """Whether it has this message in a round of which nothing is to be stored."""
        round_ = self.round_
        taken = (e for checkpoint in round_.checkpoints for e in checkpoint.consumed)
        return not self.signs and any(e is envelope for e in (*taken, *round_.discarded))

    def part_in(self, changes: Changes) -> float:
        """How much of it stands in a transaction: all is 1."""
        if not self.signs:
            return 0.0
        return len(self.signs & _signs_of(changes)) / len(self.signs)


_Sign = tuple[str, object]


def _signs_of_round(round_: Round) -> list[_Sign]:
    signs: list[_Sign] = []
    for checkpoint in round_.checkpoints:
        if checkpoint.history is not HistoryChange.REMOVE:
            signs.append(("checkpoint", id(checkpoint)))
        elif checkpoint.origin.number is not None:
            signs.append(("removed", checkpoint.origin.instance_id))
        signs += [("consumed", e.position) for e in checkpoint.consumed if e.position is not None]
        signs += _ended(checkpoint.consumed)
    signs += [("kept", id(envelope)) for envelope in round_.kept]
    signs += [("discarded", e.position) for e in round_.discarded if e.position is not None]
    return signs + _ended(round_.discarded)


def _ended(envelopes: list[Envelope]) -> list[_Sign]:
    return [("ended", e.ends_activity) for e in envelopes if e.position is None and e.ends_activity is not None]


def _signs_of(changes: Changes) -> frozenset[_Sign]:
    return frozenset(
        [("checkpoint", id(numbered.checkpoint)) for numbered in (*changes.updated, *changes.inserted)]
        + [("removed", instance_id) for instance_id in changes.replaced]
        + [("consumed", position) for position in changes.consumed]
        + [("ended", number) for number in changes.ended_activities]
        + [("kept", id(placed.envelope)) for placed in changes.kept]
        + [("kept", id(made.creation.start)) for made in changes.created]
        + [("discarded", position) for position in changes.discarded]
    )
