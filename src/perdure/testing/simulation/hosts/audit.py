"""What must hold of a hub that several hosts share: checked at the store, in the moment of each transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from perdure.contracts.executor import ActivityResult
from perdure.contracts.records import Backlog, Committed, PartitionLease, PendingActivity
from perdure.core import messages as ms
from perdure.core.checkpoint import Checkpoint, Creation
from perdure.core.decisions import DecisionLimits
from perdure.core.messages import Envelope
from perdure.core.numbering import was_before
from perdure.core.partitions import partition_of
from perdure.core.registry import Registry
from perdure.storage.changes import Changes, Outcome, Placed
from perdure.storage.memory.tables import MemoryTables
from perdure.storage.shared.tables import Epochs, PartitionRow
from perdure.testing.simulated_loop import SimulatedClock, SimulatedLoop
from perdure.testing.simulation.audit import Audit
from perdure.testing.simulation.hosts.rounds import GivenRound
from perdure.testing.simulation.hosts.runs import RunsAudit
from perdure.testing.simulation.shadow import Sent, ShadowInstance

CLOCKS_APART = timedelta(milliseconds=20)
"""So far a host's idea of the store's time may run ahead between two looks."""


class HostsAudit(Audit):
    """The promises of ``Audit``, and those of reliability.md §1.3.

    ``runs`` knows of activities, once there is a store to ask for rights. ``clock`` is the store's. Messages of one
    client that go through different hosts are messages of different senders.
    """

    def __init__(
        self, registry: Registry, limits: DecisionLimits, clock: SimulatedClock, loop: SimulatedLoop, partitions: int
    ) -> None:
        super().__init__(registry, limits, clock, loop)
        self.runs: RunsAudit
        self.takeover_count = 0
        """Partitions that went from one process to another."""
        self._partition_count = partitions
        self._ever_pending: dict[int, PendingActivity] = {}

    def partition_of(self, instance_id: str) -> int:
        return partition_of(instance_id, self._partition_count)

    def view(self, name: str) -> "HostView":
        """What one incarnation of a host does."""
        return HostView(self, name)

    # The store

    def check_owner(
        self, process: int, changes: Changes, fence: Epochs, partitions: Mapping[int, PartitionRow]
    ) -> None:
        """I4: whoever writes an instance or takes its messages holds its partition, under the epoch it was granted."""
        checkpoints = [numbered.checkpoint for numbered in (*changes.updated, *changes.inserted)]
        concerned = {checkpoint.origin.instance_id for checkpoint in checkpoints}
        concerned.update(self.shadow.rows[p].target for p in changes.consumed if p in self.shadow.rows)
        concerned.update(instance_id for instance_id in changes.replaced if self._lives(instance_id))
        concerned.difference_update(changes.replaced_if_ended)
        for instance_id in concerned:
            row = partitions[self.partition_of(instance_id)]
            self.require(
                fence.get(row.partition) == row.epoch and row.owner == process,
                f"I4: process {process} writes '{instance_id}' under {dict(fence)}, in force is {row}",
            )

    def written(self, host: "HostView", changes: Changes, fence: Epochs, outcome: Outcome, rows: MemoryTables) -> None:
        """A transaction is durable."""
        shadow = self.shadow
        positions = _positions(changes, outcome)
        shadow.position_of = lambda envelope: positions.get(id(envelope), envelope.position)
        for instance_id in sorted(outcome.purged):
            shadow.purge(instance_id)
        self._ever_pending.update((activity.number, activity) for activity in changes.activities)
        given = host.round_in(changes)
        if given is None:
            shadow.commit_count += 1
        else:
            self.came_true(given, changes.activities)
        self._store_others(changes, fence, given)
        self._compare(changes, rows)

    def came_true(self, given: GivenRound, activities: list[PendingActivity]) -> None:
        """A round is durable, or there was nothing in it to be stored."""
        given.is_true = True
        for envelope, creation in given.starts:
            self.take_notice(envelope, creation)
        self.committed(given.round_, Committed(activities))

    def _store_others(self, changes: Changes, fence: Epochs, given: GivenRound | None) -> None:
        """Messages and creations of clients."""
        known: set[int] = set() if given is None else {id(envelope) for envelope in given.round_.kept}
        placed = [(p.position, p.envelope, None) for p in changes.kept]
        placed += [(made.position, made.creation.start, made.creation) for made in changes.created]
        for _, envelope, creation in sorted(placed, key=lambda entry: entry[0]):
            if id(envelope) in known:
                continue
            self.take_notice(envelope, creation)
            found = self.shadow.in_flight.pop(id(envelope), None)
            self.require(found is not None, f"I1: stored twice, or never sent: {envelope}")
            assert found is not None
            sent = found[1]
            if self.partition_of(envelope.target) not in fence:
                # Whoever runs its target learns of it later.
                sent.order = self.shadow.next_order()
            self._store(envelope, sent)

    def _store(self, envelope: Envelope, sent: Sent) -> None:
        if id(envelope) in self.shadow.creations:
            # What it replaces was there until now.
            sent.order = self.shadow.next_order()
        super()._store(envelope, sent)

    def _order_of_start(self, checkpoint: Checkpoint) -> int:
        if any(id(envelope) in self.shadow.creations for envelope in checkpoint.consumed):
            return self.shadow.next_order()
        return super()._order_of_start(checkpoint)

    def _compare(self, changes: Changes, rows: MemoryTables) -> None:
        touched = [numbered.checkpoint.origin.instance_id for numbered in (*changes.updated, *changes.inserted)]
        touched += [made.creation.record.origin.instance_id for made in (*changes.created, *changes.children)]
        for instance_id in (*touched, *changes.replaced, *changes.purged):
            record, instance = rows.records.get(instance_id), self.shadow.instances.get(instance_id)
            same = (record is None) is (instance is None)
            if record is not None and instance is not None:
                same = record.progress == instance.progress
                same = same and rows.histories[record.origin.number or 0] == instance.history
                same = same and record.origin.execution_id == instance.origin.execution_id
                instance.origin.number = record.origin.number
            self.require(same, f"'{instance_id}' is stored as {record}, committed was {instance}")
        self.require(rows.inbox.keys() == self.shadow.rows.keys(), "other messages are stored than were committed")
        self.require(rows.activities.keys() == self.shadow.activities.keys(), "other activities are stored")

    # Activities

    def given(self, host: "HostView", activities: Sequence[PendingActivity]) -> None:
        """A host's executor has these now."""
        for activity in activities:
            self.require(
                self._ever_pending.get(activity.number) == activity,
                f"I3: an activity runs that was never committed as pending: {activity}",
            )
            self.runs.given(host.name, activity)

    def is_pending(self, number: int) -> bool:
        """Whether an activity waits for its result."""
        return number in self.shadow.activities

    def came_of(self, number: int, placed: Placed) -> None:
        """The result of an activity, handed in by whoever had claimed it, has become a row."""
        activity = self.shadow.activities.pop(number, None)
        self.require(activity is not None, f"I1: two results of one activity counted: {placed}")
        assert activity is not None
        self._check_result(placed.envelope, activity)
        self.shadow.commit_count += 1
        self.shadow.insert_row(placed.position, self.shadow.custody(placed.envelope, None))
        self.note("handed in", activity.instance_id, activity.seq)

    # Messages

    def take_notice(self, envelope: Envelope, creation: Creation | None) -> None:
        """A start that somebody else was asked for: an errand."""
        if type(envelope.message) is not ms.StartExecution or id(envelope) in self.shadow.in_flight:
            return
        for key, (asked, sent) in list(self.shadow.in_flight.items()):
            if type(asked.message) is ms.StartExecution and asked.message.execution_id == envelope.message.execution_id:
                del self.shadow.in_flight[key]
                self.shadow.creations.pop(key, None)
                self.shadow.in_flight[id(envelope)] = (envelope, sent)
                if creation is not None:
                    self.shadow.creations[id(envelope)] = creation
                return

    def refused(self, envelope: Envelope) -> None:
        """It was not done and never will be, whoever was asked for it."""
        message = envelope.message
        for key, (asked, _) in list(self.shadow.in_flight.items()):
            same = type(message) is ms.StartExecution and type(asked.message) is ms.StartExecution
            if asked is envelope or (same and asked.message.execution_id == message.execution_id):  # type: ignore[union-attr]
                del self.shadow.in_flight[key]
                self.shadow.creations.pop(key, None)

    def is_in_flight(self, envelope: Envelope) -> bool:
        """Whether it is neither stored nor consumed."""
        if id(envelope) in self.shadow.in_flight:
            return True
        message = envelope.message
        return type(message) is ms.StartExecution and any(
            type(asked.message) is ms.StartExecution and asked.message.execution_id == message.execution_id
            for asked, _ in self.shadow.in_flight.values()
        )

    def _creation_in(self, checkpoint: Checkpoint) -> Creation | None:
        for envelope in checkpoint.consumed:
            if envelope.position is None and type(envelope.message) is ms.StartExecution:
                return self.shadow.creations.pop(id(envelope), None)
        return None

    def _latest(self) -> datetime:
        return self._clock.now() + CLOCKS_APART

    def _is_meant(self, sent: Sent, began: int) -> bool:
        # What travels through another process than the start comes before or after it.
        return True

    def _may_go_with(self, envelope: Envelope) -> bool:
        # A start may have been sent long before it came to replace anything: others were quicker, and ended.
        return True

    def _is_before(self, envelope: Envelope, now: ShadowInstance) -> bool:
        # Positions come from blocks of many processes, and only those of one block tell an order.
        number, position = now.origin.number, envelope.position
        return number is not None and position is not None and was_before(position, number)

    def _lives(self, instance_id: str) -> bool:
        instance = self.shadow.instances.get(instance_id)
        return instance is not None and not instance.is_terminal


class HostView:
    """What one incarnation of a host does, as far as the audit can see; nothing once it is dead."""

    def __init__(self, audit: HostsAudit, name: str) -> None:
        self.audit = audit
        self.name = name
        self.is_dead = False
        self.has_overslept = False
        """Whether it has just woken after having stood still."""
        self.is_out_of_grace = False
        """Whether it stops and need not wait any longer for what runs there."""
        self._rounds: list[GivenRound] = []
        self._handed_out: dict[int, set[int]] = {}
        """Partition → positions of the rows its engine was given since it has it."""
        self._sent: dict[int, Envelope] = {}

    # Rounds

    def gives(self, given: GivenRound) -> None:
        """Its engine wants a round to come true."""
        self._rounds.append(given)

    def is_over(self, given: GivenRound) -> None:
        """The engine heard what became of it."""
        self._rounds.remove(given)

    def round_in(self, changes: Changes) -> GivenRound | None:
        """The round that a transaction makes true."""
        found: GivenRound | None = None
        for given in self._rounds:
            part = given.part_in(changes)
            self.audit.require(part in (0.0, 1.0), f"{part:.0%} of a round of {self.name} is written: {changes}")
            if part:
                found = given
        return found

    # Messages

    def sends(self, envelope: Envelope, client: str, creation: Creation | None = None) -> None:
        self._sent[id(envelope)] = envelope
        self.audit.sent(envelope, f"{client} through {self.name}", creation)

    def forgets(self, envelope: Envelope) -> None:
        """What becomes of it is open."""
        self._sent.pop(id(envelope), None)

    def refuses(self, envelope: Envelope) -> None:
        """It was not done, and will not be."""
        self.audit.refused(envelope)

    def answers(self, envelope: Envelope) -> None:
        for given in self._rounds:
            if not given.is_true and given.drops(envelope):
                self.audit.came_true(given, [])
        self.audit.require(not self.audit.is_in_flight(envelope), f"I3: answered before its commit: {envelope}")

    def in_flight(self) -> list[Envelope]:
        """What was sent through it and is neither stored nor refused."""
        return [] if self.is_dead else [e for e in self._sent.values() if self.audit.is_in_flight(e)]

    def recovered(self, leases: Sequence[PartitionLease], backlog: Backlog) -> None:
        for lease in leases:
            self._handed_out[lease.partition] = set()
        rows = [*backlog.ready, *backlog.due]
        self.audit.read(rows)
        self._note(rows)

    def received(self, envelopes: Iterable[Envelope], creation_of: Callable[[Envelope], Creation | None]) -> None:
        for envelope in envelopes:
            if envelope.position is None:
                self.audit.take_notice(envelope, creation_of(envelope))
                in_flight = id(envelope) in self.audit.shadow.in_flight
                self.audit.require(in_flight, f"a message from nowhere: {envelope}")
            else:
                self._note([envelope])

    def _note(self, rows: Iterable[Envelope]) -> None:
        for envelope in rows:
            assert envelope.position is not None
            handed_out = self._handed_out.setdefault(self.audit.partition_of(envelope.target), set())
            self.audit.require(envelope.position not in handed_out, f"a message was handed out twice: {envelope}")
            handed_out.add(envelope.position)
        self.audit.read(rows)

    # Executor

    def executor_begins(self) -> None:
        """It is a new one, of which nothing is known."""
        self.audit.runs.dropped(self.name)

    def activities_started(self, activities: Sequence[PendingActivity]) -> None:
        if not self.is_dead:
            self.audit.given(self, activities)

    def activity_waits(self, activity: PendingActivity) -> None:
        """For a worker, for the first time or because one is gone."""
        if not self.is_dead:
            self.audit.runs.waits(self.name, activity)

    def activity_begins(self, activity: PendingActivity) -> None:
        """Its code does."""
        if not self.is_dead:
            self.audit.runs.begins(self.name, activity)

    def activities_left(self, activities: Sequence[PendingActivity]) -> None:
        """They were taken out of the executor before they began."""
        if not self.is_dead:
            for activity in activities:
                self.audit.runs.left(self.name, activity)

    def activities_ended(self, results: Sequence[ActivityResult]) -> None:
        if not self.is_dead:
            self.audit.activities_ended(results)
            for result in results:
                self.audit.runs.ended(self.name, result.activity)


def _positions(changes: Changes, outcome: Outcome) -> dict[int, int]:
    """Identity of an envelope → the position that this transaction gives it."""
    positions = {id(placed.envelope): placed.position for placed in (*changes.kept, *changes.envelopes)}
    positions.update((id(made.creation.start), made.position) for made in changes.created)
    for child in changes.children:
        if not (child.taken or child.position in outcome.taken):
            positions[id(child.creation.start)] = child.position
        elif child.creation.if_taken is not None:
            positions[id(child.creation.if_taken)] = child.position
    return positions
