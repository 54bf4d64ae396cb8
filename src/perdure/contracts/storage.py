"""The storage seam: five small protocols that one store implements together.

Text is stored as it is given; a storage never reads the meaning of a payload and never invents an event.
All methods may raise Unavailable (try later) and StoreFailed (stop the process).
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Protocol

from perdure.contracts.clock import Clock
from perdure.contracts.offers import OfferedWork
from perdure.contracts.records import (
    Backlog,
    Committed,
    CreateOutcome,
    DamagedInstance,
    EndedFilter,
    EndedKey,
    EndedPage,
    Finding,
    Hold,
    InstanceFilter,
    Page,
    PageKey,
    PartitionLease,
    Replaceable,
    Round,
    StoredInstance,
    Turnover,
)
from perdure.core.checkpoint import Creation
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus


class Leases(Protocol):
    """The right to run partitions."""

    @property
    def partition_count(self) -> int:
        """How many partitions the hub has; SQLite and memory have one. Known once the store is open."""
        ...

    @property
    def has_others(self) -> bool:
        """Whether other processes may write to the hub, too: also to instances of partitions that are held here."""
        ...

    async def acquire(self, owner: str) -> list[PartitionLease]:
        """Take the partitions that are to be had at once, perhaps none, with a new epoch each.

        From here on ``receive`` may be called for them.
        """
        ...

    async def turnover(self, hold: Hold) -> Turnover:
        """Wait until partitions were gained or lost since ``hold`` was as it is, or are asked back.

        To be called again after each change of the hold; what is asked back is told once. Cancelling it loses
        nothing. A store that one process holds gains none: raises LeaseLost when ``hold`` is not what is in force.
        """
        ...

    async def renew(self, leases: Sequence[PartitionLease]) -> list[PartitionLease]:
        """Prolong; returns those that are still held."""
        ...

    async def release(self, leases: Sequence[PartitionLease]) -> None:
        """Give them back. Whatever ``create_instance`` and ``send`` have not handed out is written first."""
        ...


class Inboxes(Protocol):
    """Messages on their way to instances.

    A message for a partition that this process holds is handed out by ``receive`` before it has a row
    (``position`` is None) when that saves a write; the next ``commit`` must then consume, keep or discard it.
    Its sender's await ends when that commit is durable (architecture.md J1, J2).
    """

    async def create_instance(self, creation: Creation, reuse: Replaceable) -> CreateOutcome:
        """Create the instance and its start message; when it returns, the outcome is durable.

        EXISTS changes nothing. REPLACED removed the former instance, its history and its activities; its inbox rows
        stay (what answers the old execution is dropped by its execution id, and no row vanishes under a reader).
        Whatever makes the creation true sends its ``releases``, too.
        ``creation_of`` tells the creation of the start envelope handed out.
        Raises Overloaded when too many are waiting.
        """
        ...

    async def send(self, envelope: Envelope) -> None:
        """Put a message in an inbox; when it returns, the message is durable or already consumed.

        Whether the target exists is not checked. Raises Overloaded when too many are waiting.
        """
        ...

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        """What was left behind in these partitions: called once per acquisition, before they are in a ``receive``.

        Raises LeaseLost.
        """
        ...

    async def receive(self, hold: Hold) -> list[Envelope]:
        """Wait for messages and return all there are, at least one, each exactly once, in order per sender.

        Those not due yet are among them. What arrives for a partition that comes into the hold meanwhile is among
        them, too. Cancelling it loses nothing. Raises LeaseLost.
        """
        ...

    def receive_now(self, hold: Hold) -> list[Envelope]:
        """As ``receive``, without waiting; the list may be empty."""
        ...

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        """Inbox rows with ``after < due_at <= until``, in order of due time. Raises LeaseLost."""
        ...

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        """The inbox rows of one instance that are due by ``now``, in order of position. Raises LeaseLost."""
        ...

    def creation_of(self, start: Envelope) -> Creation | None:
        """The creation that this start message belongs to, if this process just did or does it.

        Spares the load of an instance whose start was handed out without a row, or committed a moment ago.
        Until the start is committed, its ``releases`` may be set.
        """
        ...


class Checkpoints(Protocol):
    """Making episodes true."""

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        """Make the whole round true, durably, or nothing of it.

        In one transaction: rows of consumed envelopes are deleted (each row exactly once, asserted), those of
        discarded ones too (they may be gone with their finished instance), and the pending activities both end;
        kept envelopes get rows; history is appended or replaced
        (``expected_last_seq`` asserted); records are written (inserted when ``origin.number`` is None, then set);
        children are created (or ``if_taken`` sent); answers, outbox envelopes and new activities get rows and numbers;
        a terminal status deletes the instance's own remaining inbox rows and pending activities.
        Afterwards senders and status waiters are woken.

        Raises LeaseLost, naming the partitions that are no longer held; then nothing was written, and the same round
        without their checkpoints, kept and discarded envelopes may be committed.
        Raises InstanceTaken when another process has created instances that begin in this round; then nothing was
        written, and the same round without them may be committed. Who asked for them here has the answer EXISTS.
        Raises StoreFull or Unavailable when nothing was written and the same round may be committed later.
        Raises CheckpointRefused when an assertion does not hold; then nothing was written.
        """
        ...


class Instances(Protocol):
    """Reading and removing instances. Reads see the newest commit."""

    async def get(self, instance_id: str) -> InstanceRecord | None: ...

    async def load(self, hold: Hold, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        """Records with histories, in one query; unknown ids are left out. Entities have an empty history.

        Raises LeaseLost.
        """
        ...

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        """Events in order of seq; empty for an unknown id. Raises HistoryCorrupted."""
        ...

    async def query(self, filter_: InstanceFilter, limit: int, after: PageKey | None = None) -> Page:
        """One page, ordered by creation time, then id; of fewer than ``limit`` where their payloads are large."""
        ...

    async def ended(self, filter_: EndedFilter, limit: int, after: EndedKey | None = None) -> EndedPage:
        """One page of the orchestrations that have ended, ordered by when they did, then id."""
        ...

    async def backlog_sizes(self, instance_ids: Collection[str]) -> dict[str, int]:
        """How many messages with a row wait for each of these instances; those without any are left out."""
        ...

    async def purge(self, instance_ids: Collection[str]) -> int:
        """Remove orchestrations that are in a terminal status, whole; returns how many."""
        ...

    async def purge_matching(self, filter_: InstanceFilter) -> int:
        """Remove all terminal orchestrations that match, in batches; returns how many."""
        ...

    async def wait_for_status(self, instance_id: str, wanted: frozenset[RuntimeStatus]) -> InstanceRecord:
        """Wait until the instance's committed status is one of these; pushed, not polled.

        Waits also for an instance that does not exist yet. Cancelling it leaves nothing behind.
        """
        ...


class Maintenance(Protocol):
    """The store as a whole."""

    def describe(self) -> str:
        """One line for the start log: kind, place, durability."""
        ...

    def verify(self, liveness: bool) -> AsyncIterator[Finding]:
        """Read everything; yield what is damaged and, with ``liveness``, what is stuck (reliability.md D10, X8)."""
        ...


class Storage(Leases, Inboxes, Checkpoints, Instances, Maintenance, Protocol):
    """One task hub's store."""

    @property
    def clock(self) -> Clock:
        """The store's time; a store that one process holds has the clock it was given."""
        ...

    @property
    def offers(self) -> OfferedWork | None:
        """Work for any process of the hub, of the present opening; None for a store that one process holds."""
        ...

    async def open(self) -> None:
        """Create or open, migrate, check. Raises StoreInUse, StoreUnusable. Twice-safe."""
        ...

    async def close(self) -> None:
        """Release everything. Twice-safe."""
        ...
