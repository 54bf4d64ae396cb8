"""Whom to tell once something is durable: the doors acknowledge a remote worker's answers only then."""

from collections.abc import Callable
from itertools import chain

from perdure.contracts.executor import Settled, Turn
from perdure.contracts.records import Round
from perdure.core.messages import Envelope


class Settlements:
    """Of one partition. Each is told once, after the commit that took or dropped what it gave; never without one."""

    __slots__ = ("_of_envelopes", "_of_turns")

    def __init__(self) -> None:
        self._of_turns: list[Settled] = []
        """For the commit of the round in hand."""
        self._of_envelopes: dict[int, tuple[Envelope, Settled]] = {}
        """By identity: an envelope may pass through several rounds."""

    def __bool__(self) -> bool:
        return bool(self._of_turns or self._of_envelopes)

    @property
    def has_turns(self) -> bool:
        """Whether a turn's giver is to be told after this round, even if the round writes nothing."""
        return bool(self._of_turns)

    def owe_turn(self, turn: Turn | None) -> None:
        """The turn's outcome goes with this round."""
        if turn is not None and turn.settled is not None:
            self._of_turns.append(turn.settled)

    def owe_envelope(self, envelope: Envelope, settled: Settled) -> None:
        """The envelope is on its way."""
        self._of_envelopes[id(envelope)] = (envelope, settled)

    def give_up(self, is_gone: Callable[[str], bool]) -> None:
        """What was on its way to these instances is discarded for good."""
        for envelope, _ in list(self._of_envelopes.values()):
            if is_gone(envelope.target):
                self.give_up_envelope(envelope)

    def give_up_envelope(self, envelope: Envelope) -> None:
        """The envelope is discarded for good."""
        if (owed := self._of_envelopes.pop(id(envelope), None)) is not None:
            owed[1]()

    def settle(self, round_: Round) -> None:
        """The round is true."""
        told, self._of_turns = self._of_turns, []
        for settled in told:
            settled()
        if self._of_envelopes:
            taken = (checkpoint.consumed for checkpoint in round_.checkpoints)
            for envelope in chain(round_.kept, round_.discarded, *taken):
                if (owed := self._of_envelopes.pop(id(envelope), None)) is not None:
                    owed[1]()
