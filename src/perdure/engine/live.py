"""What a partition holds of one instance in memory, whatever its kind."""

from datetime import datetime
from typing import Protocol

import msgspec

from perdure.contracts.executor import Executor, Turn
from perdure.core.checkpoint import Checkpoint
from perdure.core.failures import FailureDetails
from perdure.core.messages import AnyMessage, Envelope


class Begun(msgspec.Struct, eq=False):
    """What the beginning of an episode gave.

    ``turn``: user code must run. ``checkpoint``: no code runs, this is the episode. Neither: nothing to do now.
    ``kept``: envelopes that must wait; ``dropped``: envelopes without effect.
    ``rejected``: why nothing is done, when the instance's version is left to other processes.
    """

    turn: Turn | None = None
    checkpoint: Checkpoint | None = None
    kept: list[Envelope] = []
    dropped: list[Envelope] = []
    rejected: str | None = None


class LiveInstance(Protocol):
    """An instance in memory. ``queue`` holds what it has not taken yet; ``turn`` is the one in user code now."""

    instance_id: str
    execution_id: str
    queue: list[Envelope]
    turn: Turn | None
    used_at: float
    """Loop time of its newest episode."""

    leaves_activities: bool
    """It has ended while activities of it had not; known once it has."""

    @property
    def history_bytes(self) -> int:
        """The size of its history as stored; 0 for an entity, which has none."""
        ...

    @property
    def revives(self) -> bool:
        """Whether its episode follows its end: then it may be purged or replaced while the episode goes on."""
        ...

    def begin(self, now: datetime, executor: Executor) -> Begun:
        """Take the queue in. Only when no turn is out."""
        ...

    def leave_behind(self, envelope: Envelope) -> bool:
        """Whether this row was for what had the id before; then it goes with the next episode."""
        ...

    def in_hand(self) -> list[Envelope]:
        """The envelopes that the turn in user code consumes."""
        ...

    def may_take_back(self, message: AnyMessage) -> bool:
        """Whether the turn that is out may be recalled because this message has come."""
        ...

    def take_back(self, envelope: Envelope) -> None:
        """The turn that was out was recalled: what it was given comes again, with this envelope."""
        ...

    def can_be_left(self) -> bool:
        """Whether it may be ended from what is stored while its turn is out."""
        ...

    def leave(self) -> list[Envelope]:
        """All that it has, taken or not, for what is loaded in its place; only when ``can_be_left``."""
        ...

    def finish(self) -> Checkpoint:
        """What the finished turn commits."""
        ...

    def refuse(self, envelopes: list[Envelope], now: datetime, failure: FailureDetails) -> Begun:
        """The episode that takes these and fails; only when ``begin`` raised over them."""
        ...

    def fail(self, failure: FailureDetails) -> Checkpoint:
        """What commits instead when ``finish`` raised or what it gave cannot be stored; only before ``apply``."""
        ...

    def apply(self, checkpoint: Checkpoint) -> bool:
        """The checkpoint is durable. Answers whether held messages must be read from the inbox now."""
        ...

    def is_finished(self) -> bool:
        """It takes no more messages."""
        ...

    def may_rest(self, now: datetime) -> bool:
        """It waits for nothing that is near, so it may leave memory."""
        ...

    def charge(self) -> int:
        """An estimate of the memory it holds, in bytes."""
        ...

    def close(self) -> None:
        """Let go of its session, unless a turn is in user code. Twice-safe."""
        ...


Episode = tuple[LiveInstance, Checkpoint]
"""An instance and what one turn of it commits."""
