"""The values that cross the storage seam, besides the core's own."""

from collections.abc import KeysView
from datetime import datetime
from enum import Enum

import msgspec

from perdure.core.checkpoint import Checkpoint
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.core.status import RuntimeStatus


class PartitionLease(msgspec.Struct, frozen=True):
    """The right to run one partition. ``epoch`` rises at each acquisition and fences out the former holder."""

    partition: int
    epoch: int
    owner: str


class Hold:
    """The partitions that one runner has now, of ``count`` in the hub.

    Changed only by its runner: grown between rounds, shrunk whenever it hears of a loss. A storage reads it whenever
    it is given it.
    """

    __slots__ = ("count", "leases")

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.leases: dict[int, PartitionLease] = {}

    @classmethod
    def of(cls, *leases: PartitionLease, count: int = 1) -> "Hold":
        """These leases."""
        hold = cls(count)
        for lease in leases:
            hold.leases[lease.partition] = lease
        return hold

    @property
    def partitions(self) -> KeysView[int]:
        """The numbers of the partitions held."""
        return self.leases.keys()

    def partition_of(self, instance_id: str) -> int:
        """Where an instance belongs, held or not."""
        return 0 if self.count == 1 else partition_of(instance_id, self.count)


class Turnover(msgspec.Struct, eq=False):
    """How the partitions of one process change.

    ``gained``: acquired, not recovered yet. ``lost``: somebody else has them, or soon will.
    ``wanted_back``: still held, and to be released as soon as what is in hand is written.
    """

    gained: list[PartitionLease]
    lost: frozenset[int] = frozenset()
    wanted_back: frozenset[int] = frozenset()


class PendingActivity(msgspec.Struct, frozen=True, gc=False):
    """An activity that was scheduled and has not ended. ``number`` is its row, unique in the hub."""

    number: int
    instance_id: str
    execution_id: str
    seq: int
    task_id: int
    name: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    trace_context: str | None = None


class Answer(msgspec.Struct, eq=False):
    """What the sender of a discarded envelope is told; it may be anywhere."""

    discarded: Envelope
    envelope: Envelope


class Round(msgspec.Struct, eq=False):
    """What one runner wants made true in one transaction.

    ``kept``: envelopes without a row that no checkpoint consumes; they get an inbox row (architecture.md J2).
    ``discarded``: envelopes that have no effect; their rows, if any, are deleted.
    ``answers``: to some of ``discarded``; they are sent as what a checkpoint sends is, also to partitions not held.
    """

    checkpoints: list[Checkpoint]
    kept: list[Envelope] = []
    discarded: list[Envelope] = []
    answers: list[Answer] = []


class Committed(msgspec.Struct, eq=False):
    """What a commit brought about that its caller must act on.

    ``activities``: the new pending activities, numbered, in the order of their checkpoints.
    Envelopes for partitions of this process come from ``receive``, not from here.
    """

    activities: list[PendingActivity]


class Backlog(msgspec.Struct, eq=False):
    """What a new holder of partitions recovers.

    ``ready``: inbox rows without a due time or due by now, in order of position.
    ``due``: inbox rows that become due until the horizon asked for.
    """

    ready: list[Envelope]
    due: list[Envelope]
    activities: list[PendingActivity]


class StoredInstance(msgspec.Struct, eq=False):
    """An instance with its history, as loaded."""

    record: InstanceRecord
    history: list[HistoryEvent]
    history_bytes: int = 0
    """The size of the history as stored."""


class DamagedInstance(msgspec.Struct, eq=False):
    """An instance whose history cannot be trusted."""

    record: InstanceRecord
    reason: str


class ReusePolicy(Enum):
    """What a start may replace when its id is taken (semantics.md §3)."""

    NON_RUNNING = "NonRunningStates"
    ANY = "AnyState"


Replaceable = ReusePolicy | frozenset[RuntimeStatus]
"""What a start may replace: by a policy, or exactly the instances in one of these statuses."""


def may_replace(reuse: Replaceable, status: RuntimeStatus) -> bool:
    """Whether a start may replace an instance in that status."""
    if isinstance(reuse, frozenset):
        return status in reuse
    return reuse is ReusePolicy.ANY or status.is_terminal


class CreateOutcome(Enum):
    """How a start ended."""

    CREATED = "created"
    REPLACED = "replaced"
    EXISTS = "exists"


class InstanceFilter(msgspec.Struct, frozen=True):
    """Which instances; None means no condition. Time bounds are inclusive, aware UTC."""

    kind: InstanceKind = InstanceKind.ORCHESTRATION
    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_from: datetime | None = None
    updated_to: datetime | None = None
    statuses: frozenset[RuntimeStatus] | None = None
    id_prefix: str | None = None
    name: str | None = None
    """Compared without case."""
    existing_entities_only: bool = False
    """Leave out entities without a state."""


class PageKey(msgspec.Struct, frozen=True):
    """The place after which a page begins: creation time, then id."""

    created_at: datetime
    instance_id: str


class Page(msgspec.Struct):
    """Instances ordered by creation time, then id. ``next_key`` is None on the last page."""

    records: list[InstanceRecord]
    next_key: PageKey | None = None


class EndedKey(msgspec.Struct, frozen=True):
    """The place after which a page of ended instances begins: when it ended, then its id."""

    completed_at: datetime
    instance_id: str


class EndedFilter(msgspec.Struct, frozen=True):
    """Which ended orchestrations; None means no condition.

    ``completed_from`` is inclusive, ``completed_before`` is not; both aware UTC.
    """

    completed_from: datetime | None = None
    completed_before: datetime | None = None
    statuses: frozenset[RuntimeStatus] | None = None


class EndedPage(msgspec.Struct):
    """Ids of ended orchestrations ordered by when they ended, then id. ``next_key`` is None on the last page."""

    instance_ids: list[str]
    next_key: EndedKey | None = None


class FindingKind(Enum):
    """What `verify` can find."""

    FILE = "file"
    HISTORY = "history"
    RECORD = "record"
    ORPHAN = "orphan"
    STUCK = "stuck"


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong with a store. ``instance_id`` is None when it concerns the store itself."""

    kind: FindingKind
    instance_id: str | None
    what: str
