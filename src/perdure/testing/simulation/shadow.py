"""What the store must hold, told from what was committed alone: rows, activities, instances and their pasts."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec

from perdure.contracts.records import PendingActivity
from perdure.core import messages as ms
from perdure.core.checkpoint import Creation
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus


class Sent(msgspec.Struct, eq=False):
    """A message in somebody's custody. ``sender`` and ``order``: who sent it and as which of all messages."""

    target: str
    message: ms.AnyMessage
    due_at: datetime | None
    sender: str | None
    order: int


class ShadowInstance(msgspec.Struct, eq=False):
    """An instance as committed.

    ``order``: as which of all messages its start was sent. ``is_suspended`` is told from the messages it took.
    """

    origin: Origin
    progress: Progress
    history: list[HistoryEvent]
    order: int
    is_suspended: bool = False
    tags: list[str] = []
    """Ledgers: the tags of the operations that succeeded."""

    @property
    def record(self) -> InstanceRecord:
        return InstanceRecord(self.origin, self.progress)

    @property
    def is_terminal(self) -> bool:
        return self.progress.status.is_terminal


class Shadow:
    """Implements ``storage.soundness.Surroundings``, so that what is stuck can be told from it."""

    def __init__(self) -> None:
        self.instances: dict[str, ShadowInstance] = {}
        self.rows: dict[int, Sent] = {}
        self.activities: dict[int, PendingActivity] = {}
        self.in_flight: dict[int, tuple[Envelope, Sent]] = {}
        """Messages of clients that have no row yet, by identity."""
        self.creations: dict[int, Creation] = {}
        """Creations in flight, by identity of their start."""
        self.purging: list[str] = []
        """Ids that are just being purged: they may be gone before their purge is answered."""
        self.commit_count = 0
        self.position_of: Callable[[Envelope], int | None] = lambda envelope: envelope.position
        """Which row a message that is just stored got."""
        self._order = 0
        self._rows_of: dict[str, dict[int, Sent]] = {}
        self._past: dict[str, list[tuple[int, RuntimeStatus | None]]] = {}

    # Messages

    def custody(self, envelope: Envelope, sender: str | None) -> Sent:
        """A message as it is sent."""
        return Sent(envelope.target, envelope.message, envelope.due_at, sender, self.next_order())

    def next_order(self) -> int:
        """Higher than that of any message before."""
        self._order += 1
        return self._order

    def insert_row(self, position: int | None, sent: Sent) -> None:
        """A message got its row."""
        assert position is not None, f"{sent} should have a row by now"
        assert position not in self.rows, f"two messages have the position {position}"
        self.rows[position] = sent
        self._rows_of.setdefault(sent.target, {})[position] = sent

    def remove_row(self, position: int) -> Sent | None:
        sent = self.rows.pop(position, None)
        if sent is not None:
            del self._rows_of[sent.target][position]
        return sent

    def rows_of(self, instance_id: str) -> dict[int, Sent]:
        return self._rows_of.get(instance_id, {})

    def drop_messages(self, instance_id: str) -> None:
        for position in self._rows_of.pop(instance_id, {}):
            del self.rows[position]

    def drop_activities(self, instance_id: str) -> None:
        for number in [n for n, activity in self.activities.items() if activity.instance_id == instance_id]:
            del self.activities[number]

    # Instances

    def put(self, instance: ShadowInstance) -> None:
        """The instance is committed in this state."""
        instance_id = instance.origin.instance_id
        self.instances[instance_id] = instance
        self._past.setdefault(instance_id, []).append((self.commit_count, instance.progress.status))

    def create(self, creation: Creation, sent: Sent) -> None:
        """An instance was created with its start message; a finished one of that id gives way."""
        record = creation.record
        if record.origin.instance_id in self.instances:
            self.drop_activities(record.origin.instance_id)
        self.put(ShadowInstance(msgspec.structs.replace(record.origin), record.progress, [], sent.order))
        self.insert_row(self.position_of(creation.start), sent)
        self.send_releases(creation)

    def send_releases(self, creation: Creation) -> None:
        """Whom it replaces lets go of its locks."""
        for release in creation.releases if creation.replaces else ():
            self.insert_row(self.position_of(release), self.custody(release, None))

    def purge(self, instance_id: str) -> None:
        self.commit_count += 1
        del self.instances[instance_id]
        self.drop_messages(instance_id)
        self.drop_activities(instance_id)
        self._past[instance_id].append((self.commit_count, None))

    def forget(self, instance_id: str) -> None:
        """An entity went; its messages stay."""
        if self.instances.pop(instance_id, None) is not None:
            self._past[instance_id].append((self.commit_count, None))

    def statuses_since(self, instance_id: str, commit_count: int) -> set[RuntimeStatus | None]:
        """Every status the instance had from that commit until now; None while there was no such instance."""
        statuses: set[RuntimeStatus | None] = set()
        before: RuntimeStatus | None = None
        for count, status in self._past.get(instance_id, ()):
            if count <= commit_count:
                before = status
            else:
                statuses.add(status)
        statuses.add(before)
        if instance_id in self.purging:
            statuses.add(None)
        return statuses

    def has_changed_since(self, instance_id: str, commit_count: int) -> bool:
        """Whether anything of the instance was committed after that commit."""
        return any(count > commit_count for count, _ in self._past.get(instance_id, ()))

    def living(self) -> Iterator[ShadowInstance]:
        """Orchestrations that have not ended."""
        return (
            instance
            for instance in self.instances.values()
            if instance.origin.kind is InstanceKind.ORCHESTRATION and not instance.is_terminal
        )

    # Surroundings

    def inbox_of(self, instance_id: str) -> list[Envelope]:
        return [Envelope(sent.target, sent.message, sent.due_at) for sent in self.rows_of(instance_id).values()]

    def activities_of(self, record: InstanceRecord) -> frozenset[tuple[str, int]]:
        return frozenset(_pending(record.origin.instance_id, self.activities.values()))

    def record_of(self, instance_id: str) -> InstanceRecord | None:
        instance = self.instances.get(instance_id)
        return None if instance is None else instance.record


def _pending(instance_id: str, activities: Iterable[PendingActivity]) -> Iterator[tuple[str, int]]:
    return ((a.execution_id, a.seq) for a in activities if a.instance_id == instance_id)
