"""What the engine announces. Observers make spans, metrics and logs of it; nothing is built when nobody listens."""

from typing import Protocol

import msgspec

from perdure.core.checkpoint import Checkpoint
from perdure.core.failures import FailureDetails


class EpisodeCommitted(msgspec.Struct, frozen=True):
    """An orchestration's or entity's episode is durable."""

    checkpoint: Checkpoint


class ActivityEnded(msgspec.Struct, frozen=True):
    """An activity returned or failed; its result may not be durable yet."""

    instance_id: str
    name: str
    failure: FailureDetails | None


class TurnBlocked(msgspec.Struct, frozen=True):
    """Orchestrator or entity code has not returned for ``seconds``; ``stack`` shows where it is."""

    instance_id: str
    name: str
    seconds: float
    stack: str


class TurnGivenUp(msgspec.Struct, frozen=True):
    """Orchestrator or entity code took longer than a function may; its thread is left alone and it is tried again."""

    instance_id: str
    name: str
    seconds: float
    stack: str


class MessageDropped(msgspec.Struct, frozen=True):
    """A message had no taker: unknown instance, finished instance, unknown or repeated completion."""

    instance_id: str
    message: str
    reason: str


class InstanceDamaged(msgspec.Struct, frozen=True):
    """An instance's history cannot be trusted; it is left alone."""

    instance_id: str
    reason: str


class EpisodeFailed(msgspec.Struct, frozen=True):
    """The engine itself could not make an episode of what came or of what the code asked for; the instance fails."""

    instance_id: str
    error: Exception


class PartitionFailed(msgspec.Struct, frozen=True):
    """A partition's loop ended with an error; it is recovered or the process stops."""

    partition: int
    error: BaseException


class PartitionsHeld(msgspec.Struct, frozen=True):
    """This process runs these partitions from now on, and no others; a store of one process has partition 0 alone."""

    partitions: frozenset[int]


class InstanceFailed(msgspec.Struct, frozen=True):
    """An orchestration ended as failed."""

    instance_id: str
    name: str
    failure: FailureDetails


class HistoryGrown(msgspec.Struct, frozen=True):
    """An execution's history has become long enough to be told about; its hard limit is further on."""

    instance_id: str
    name: str
    events: int
    size: int
    """In bytes, as stored."""


class VersionRejected(msgspec.Struct, frozen=True):
    """An instance is left as it is, because this process does not run its version."""

    instance_id: str
    reason: str


Fact = (
    HistoryGrown
    | EpisodeCommitted
    | EpisodeFailed
    | ActivityEnded
    | TurnBlocked
    | TurnGivenUp
    | MessageDropped
    | InstanceDamaged
    | PartitionFailed
    | PartitionsHeld
    | InstanceFailed
    | VersionRejected
)


class Observer(Protocol):
    """Whoever wants to know. Must not block and must not raise."""

    @property
    def wants(self) -> frozenset[type]:
        """The kinds of facts it is told; nothing is built for a kind that nobody wants."""
        ...

    def announce(self, fact: Fact) -> None: ...
