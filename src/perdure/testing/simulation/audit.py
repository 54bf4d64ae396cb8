"""Checks every commit, delivery and answer against the shadow; the first contradiction ends the run."""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from perdure.contracts.executor import ActivityResult
from perdure.contracts.records import Answer, Backlog, Committed, PendingActivity, ReusePolicy, Round
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import Checkpoint, Creation, HistoryChange
from perdure.core.control import CHILD_GONE
from perdure.core.decisions import DecisionLimits
from perdure.core.instance import Instance, InstanceKind, InstanceRecord, Progress
from perdure.core.messages import Envelope
from perdure.core.registry import Registry
from perdure.core.status import ALLOWED_MOVES, RuntimeStatus
from perdure.storage.soundness import stuck
from perdure.testing.simulated_loop import SimulatedClock, SimulatedLoop
from perdure.testing.simulation.audited_histories import check_history, open_work
from perdure.testing.simulation.audited_locks import LockAudit
from perdure.testing.simulation.programs import read_json
from perdure.testing.simulation.shadow import Sent, Shadow, ShadowInstance
from perdure.testing.simulation.square import begun_without_code, decided_anew, difference

EXPECTED_FAILURES = frozenset({"ProgramFailed", "NotRegistered"})
"""What a simulated orchestration may fail with."""

_ORDERED = (ms.OperationRequest, ms.RaiseEvent)
_WITHOUT_EXECUTION = (ms.RaiseEvent, ms.Suspend, ms.Resume, ms.Terminate)
"""Messages that do not tell for which execution they are."""


class Violation(AssertionError):
    """The hub broke a promise."""


class Audit:
    """I1 to I8 and X6 of reliability.md §2, as far as they concern one process."""

    def __init__(self, registry: Registry, limits: DecisionLimits, clock: SimulatedClock, loop: SimulatedLoop) -> None:
        self.shadow = Shadow()
        self.failed: asyncio.Future[Violation] = loop.create_future()
        """Done at the first violation."""
        self.reuse = ReusePolicy.NON_RUNNING
        """What a client's start may replace."""
        self._registry = registry
        self._limits = limits
        self._clock = clock
        self._loop = loop
        self._trace = hashlib.blake2b(digest_size=16)
        self._encode = msgspec.json.Encoder().encode
        self._results: dict[int, list[ActivityResult]] = {}
        self._running: set[int] = set()
        self._given_out: set[int] = set()
        self._taken: set[tuple[str, type]] = set()
        """Targets and kinds of the messages that the newest round consumed."""
        self._newest: dict[tuple[str, str], int] = {}
        """Target and sender → the order of the newest message taken."""
        self._locks = LockAudit(self.shadow, self.require)
        self.run_count = 0
        """Activities that ended."""

    @property
    def trace(self) -> str:
        """A digest of all that was committed and answered, and when."""
        return self._trace.hexdigest()

    def note(self, what: str, *values: object) -> None:
        """Add to the trace."""
        self._trace.update(self._encode([self._loop.microseconds, what, *values]))

    def require(self, holds: bool, text: str) -> None:
        """End the run unless it holds."""
        if not holds:
            raise self.report(text)

    def report(self, text: str) -> Violation:
        """End the run."""
        violation = Violation(f"{text} (at {self._loop.time():.6f} s, commit {self.shadow.commit_count})")
        if not self.failed.done():
            self.failed.set_result(violation)
        return violation

    # Processes

    def process_died(self) -> None:
        """What had no row is gone, and whatever comes is given out anew."""
        self.shadow.in_flight.clear()
        self.shadow.creations.clear()
        self.process_stopped()

    def process_stopped(self) -> None:
        """The next process is given everything anew."""
        self._running.clear()
        self._given_out.clear()

    # Activities

    def activities_started(self, activities: Sequence[PendingActivity]) -> None:
        for activity in activities:
            self.require(
                self.shadow.activities.get(activity.number) == activity,
                f"I3: an activity began that is not committed as pending: {activity}",
            )
            self.require(activity.number not in self._running, f"X2: an activity began twice: {activity}")
            self._running.add(activity.number)

    def activities_ended(self, results: Sequence[ActivityResult]) -> None:
        self.run_count += len(results)
        for result in results:
            self._results.setdefault(result.activity.number, []).append(result)

    # Messages of clients

    def sent(self, envelope: Envelope, client: str, creation: Creation | None = None) -> None:
        """A client's message is on its way to the store."""
        self.shadow.in_flight[id(envelope)] = (envelope, self.shadow.custody(envelope, client))
        if creation is not None:
            self.shadow.creations[id(envelope)] = creation

    def refused(self, envelope: Envelope) -> None:
        """The store did not take it."""
        self.shadow.in_flight.pop(id(envelope), None)
        self.shadow.creations.pop(id(envelope), None)

    def answered(self, envelope: Envelope) -> None:
        """The store says that it is durable or consumed."""
        self.see_rows()
        self.require(id(envelope) not in self.shadow.in_flight, f"I3: answered before its commit: {envelope}")

    def see_rows(self) -> None:
        """Take notice of messages that got rows without a round: nobody held the partition."""
        shadow = self.shadow
        for key, (envelope, sent) in list(shadow.in_flight.items()):
            if envelope.position is not None:
                del shadow.in_flight[key]
                shadow.commit_count += 1
                self._store(envelope, sent)

    def _store(self, envelope: Envelope, sent: Sent) -> None:
        creation = self.shadow.creations.pop(id(envelope), None)
        if creation is None:
            self.shadow.insert_row(self.shadow.position_of(envelope), sent)
            return
        former = self.shadow.instances.get(envelope.target)
        self.require(self._may_replace(former), f"X4: a start replaced a living instance: {envelope}")
        self.shadow.create(creation, sent)

    def _may_replace(self, former: ShadowInstance | None) -> bool:
        return former is None or former.is_terminal or self.reuse is ReusePolicy.ANY

    # Deliveries

    def received(self, envelopes: Iterable[Envelope]) -> None:
        """The store handed these out, each once."""
        for envelope in envelopes:
            position = envelope.position
            if position is None:
                self.require(id(envelope) in self.shadow.in_flight, f"a message from nowhere: {envelope}")
                continue
            self.require(position not in self._given_out, f"a message was handed out twice: {envelope}")
            self._given_out.add(position)
            self._as_stored(envelope)

    def read(self, envelopes: Iterable[Envelope]) -> None:
        """These rows were read."""
        for envelope in envelopes:
            self._as_stored(envelope)

    def _as_stored(self, envelope: Envelope) -> None:
        assert envelope.position is not None
        sent = self.shadow.rows.get(envelope.position)
        if sent is not None:
            same = (sent.target, sent.message, sent.due_at) == (envelope.target, envelope.message, envelope.due_at)
            self.require(same, f"sent as {sent}, stored as {envelope}")

    def inbox_read(self, instance_id: str, envelopes: Sequence[Envelope], now: datetime) -> None:
        """All rows of one instance that are due were read, in order."""
        self.read(envelopes)
        wanted = sorted(p for p, s in self.shadow.rows_of(instance_id).items() if s.due_at is None or s.due_at <= now)
        self.require(
            wanted == [e.position for e in envelopes],
            f"the inbox of '{instance_id}' holds {wanted}, read was {[e.position for e in envelopes]}",
        )

    def recovered(self, backlog: Backlog, until: datetime) -> None:
        """A new process was given all there is."""
        rows = [*backlog.ready, *backlog.due]
        self.read(rows)
        self._given_out.update(e.position for e in rows if e.position is not None)
        wanted = {p for p, s in self.shadow.rows.items() if s.due_at is None or s.due_at <= until}
        self.require(
            wanted == {e.position for e in rows},
            f"recovered {sorted(e.position or 0 for e in rows)}, stored were {sorted(wanted)}",
        )
        pending = {activity.number: activity for activity in backlog.activities}
        self.require(pending == self.shadow.activities, f"recovered {pending}, pending were {self.shadow.activities}")

    # Commits

    def committed(self, round_: Round, committed: Committed) -> None:
        """A round is durable."""
        shadow = self.shadow
        shadow.commit_count += 1
        before = {c.origin.instance_id: shadow.instances.get(c.origin.instance_id) for c in round_.checkpoints}
        self.require(len(before) == len(round_.checkpoints), "one instance had two episodes in one round")
        orders = {c.origin.instance_id: self._order_of_start(c) for c in round_.checkpoints}
        made = [self._creation_in(checkpoint) for checkpoint in round_.checkpoints]
        for checkpoint in round_.checkpoints:
            for envelope in checkpoint.consumed:
                sent = self._take(envelope, checkpoint.origin.instance_id)
                began = orders[checkpoint.origin.instance_id]
                self.require(self._is_meant(sent, began), f"meant for what had the id before: {envelope}")
        discarded = [(envelope, shadow.instances.get(envelope.target)) for envelope in round_.discarded]
        self._taken = {(c.origin.instance_id, type(e.message)) for c in round_.checkpoints for e in c.consumed}
        for checkpoint, creation in zip(round_.checkpoints, made, strict=True):
            self._checkpoint(checkpoint, creation, orders[checkpoint.origin.instance_id])
        for checkpoint in round_.checkpoints:
            if checkpoint.progress.status.is_terminal:
                shadow.drop_messages(checkpoint.origin.instance_id)
                shadow.drop_activities(checkpoint.origin.instance_id)
        kept = [(envelope, self._release(envelope)) for envelope in round_.kept]
        for envelope, sent in kept:
            if sent is None:
                # The late result of an activity that nobody waits for any more.
                self.require(envelope.ends_activity is not None, f"kept, but never sent: {envelope}")
                sent = shadow.custody(envelope, None)
            self._store(envelope, sent)
        for envelope, former in discarded:
            self._discard(envelope, former)
        for answer in round_.answers:
            self._answer(answer)
        for checkpoint in round_.checkpoints:
            self._send(checkpoint, {i for i, creation in zip(before, made, strict=True) if creation is not None})
        self._add_activities(round_.checkpoints, committed)
        self._find_stuck()
        self._locks.check_all()

    def _answer(self, answer: Answer) -> None:
        """What a rewound parent hears of a child that is gone."""
        message = answer.envelope.message
        refused = isinstance(message, ms.ChildFailed) and message.failure.error_type == CHILD_GONE
        self.require(refused, f"an answer that nobody asked for: {answer.envelope}")
        sent = self.shadow.custody(answer.envelope, None)
        self.shadow.insert_row(self.shadow.position_of(answer.envelope), sent)

    def _is_meant(self, sent: Sent, began: int) -> bool:
        """Whether a message is for the instance whose start was sent as ``began``."""
        return sent.order > began or not isinstance(sent.message, _WITHOUT_EXECUTION)

    def _order_of_start(self, checkpoint: Checkpoint) -> int:
        starts = (e for e in checkpoint.consumed if e.position is None and type(e.message) is ms.StartExecution)
        made = (self.shadow.in_flight.get(id(envelope)) for envelope in starts)
        former = self.shadow.instances.get(checkpoint.origin.instance_id)
        return next((found[1].order for found in made if found is not None), 0 if former is None else former.order)

    def _creation_in(self, checkpoint: Checkpoint) -> Creation | None:
        for envelope in checkpoint.consumed:
            if envelope.position is None and type(envelope.message) is ms.StartExecution:
                return self.shadow.creations.pop(id(envelope), None)
        return None

    def _take(self, envelope: Envelope, instance_id: str) -> Sent:
        self.require(envelope.target == instance_id, f"'{instance_id}' consumed what is not its own: {envelope}")
        sent = self._release(envelope)
        self.require(sent is not None, f"I1: consumed twice, or never sent: {envelope}")
        assert sent is not None
        due_at = sent.due_at
        self.require(due_at is None or due_at <= self._latest(), f"I7: taken before it was due: {envelope}")
        if sent.sender is not None and due_at is None and isinstance(sent.message, _ORDERED):
            newest = self._newest.get((sent.target, sent.sender), 0)
            self.require(sent.order > newest, f"X3: taken after a later message of the same sender: {sent}")
            self._newest[sent.target, sent.sender] = sent.order
        return sent

    def _release(self, envelope: Envelope) -> Sent | None:
        """The message leaves where it was: a row, a pending activity, or a client's hands."""
        shadow = self.shadow
        if id(envelope) in shadow.in_flight:
            return shadow.in_flight.pop(id(envelope))[1]
        if envelope.ends_activity is not None and envelope.ends_activity in shadow.activities:
            self._check_result(envelope, shadow.activities.pop(envelope.ends_activity))
            return shadow.custody(envelope, None)
        if envelope.position is None:
            return None
        self._as_stored(envelope)
        return shadow.remove_row(envelope.position)

    def _check_result(self, envelope: Envelope, activity: PendingActivity) -> None:
        message = envelope.message
        assert isinstance(message, ms.ActivityCompleted | ms.ActivityFailed)
        result = message.result if isinstance(message, ms.ActivityCompleted) else None
        failure = message.failure if isinstance(message, ms.ActivityFailed) else None
        self.require(
            (envelope.target, message.execution_id, message.scheduled_seq)
            == (activity.instance_id, activity.execution_id, activity.seq),
            f"the result of {activity} went elsewhere: {envelope}",
        )
        self.require(
            any((r.result, r.failure) == (result, failure) for r in self._results.get(activity.number, ())),
            f"a result that no run of {activity} gave: {envelope}",
        )

    def _discard(self, envelope: Envelope, former: ShadowInstance | None) -> None:
        sent = self._release(envelope)
        now = self.shadow.instances.get(envelope.target)
        if sent is None:
            # Its row went with the instance it was for, or its activity is no longer waited for.
            known = envelope.position is not None or envelope.ends_activity is not None
            self.require(known, f"dropped, but never sent: {envelope}")
            return
        if any(instance is not None and sent.order < instance.order for instance in (former, now)):
            # Sent before what has the id now was created.
            return
        if now is not None and self._is_before(envelope, now):
            return
        if former is None or former.is_terminal or now is None or now.is_terminal:
            is_work = isinstance(envelope.message, ms.OperationRequest | ms.LockRequest)
            self.require(not (is_work and envelope.target.startswith("@")), f"an operation was dropped: {envelope}")
            return
        if former.order != now.order and self._may_go_with(envelope):
            # It was on its way together with the start that gave the id away.
            return
        if former.order != now.order:
            # It was for what has the id from this commit on.
            former = msgspec.structs.replace(now, is_suspended=False)
        self.require(self._is_void(envelope.message, former, now), f"X8: a message was dropped: {envelope}")

    def _latest(self) -> datetime:
        """Up to when messages may have been due."""
        return self._clock.latest

    def _may_go_with(self, envelope: Envelope) -> bool:
        """Whether a message may have been for what is replaced in the same commit."""
        return envelope.position is None

    def _is_before(self, envelope: Envelope, now: ShadowInstance) -> bool:
        """Whether it was stored before the instance was: it was sent to both that had the id and to neither."""
        number = now.origin.number
        return number is not None and envelope.position is not None and envelope.position < number

    def _is_void(self, message: ms.AnyMessage, former: ShadowInstance, now: ShadowInstance) -> bool:
        """Whether a message means nothing to a living instance."""
        if isinstance(message, ms.StartExecution):
            started = any(isinstance(event, ev.ExecutionStarted) for event in now.history)
            return message.execution_id != now.origin.execution_id or started
        if isinstance(message, ms.Suspend | ms.Resume):
            # It is so already; or a message like this one was or is just being taken in the same batch.
            instance_id, kind = now.origin.instance_id, type(message)
            taken = (instance_id, kind) in self._taken
            taken = taken or any(type(sent.message) is kind for sent in self.shadow.rows_of(instance_id).values())
            return taken or former.is_suspended is (kind is ms.Suspend)
        if isinstance(message, ms.Terminate) and message.at_once:
            return any(Instance.loaded(holder.record, holder.history).sections for holder in (former, now))
        if isinstance(message, ms.RaiseEvent | ms.Terminate):
            return False
        if isinstance(message, ms.Rewind):
            # Only what failed takes one; a living child answers by itself.
            return True
        if isinstance(message, ms.LockRelease):
            return self._locks.is_void(message, now)
        if isinstance(message, ms.OperationRequest | ms.LockRequest | ms.RemoveWhenEmpty):
            return now.origin.kind is InstanceKind.ORCHESTRATION or isinstance(message, ms.RemoveWhenEmpty)
        return message.execution_id != now.origin.execution_id or message.scheduled_seq not in open_work(now.history)

    def _checkpoint(self, checkpoint: Checkpoint, creation: Creation | None, order: int) -> None:
        origin, progress = checkpoint.origin, checkpoint.progress
        instance_id = origin.instance_id
        former = self.shadow.instances.get(instance_id)
        if creation is not None:
            self.require(self._may_replace(former), f"X4: a start replaced the living '{instance_id}'")
            if former is not None:
                self.shadow.drop_activities(instance_id)
            self.shadow.send_releases(creation)
            origin_before = msgspec.structs.replace(creation.record.origin)
            former = ShadowInstance(origin_before, creation.record.progress, [], order)
        elif former is None:
            self.require(origin.kind is InstanceKind.ENTITY, f"'{instance_id}' had an episode and no start")
            former = ShadowInstance(origin, Progress(RuntimeStatus.Running, origin.created_at), [], 0)
        rewound = any(isinstance(envelope.message, ms.Rewind) for envelope in checkpoint.consumed)
        self.require(rewound or not former.is_terminal, f"'{instance_id}' had an episode after its end")
        self._check_square(former, checkpoint)
        if checkpoint.history is HistoryChange.REMOVE:
            empty = former.progress.state is None and former.progress.locked_by is None
            empty = empty and progress.state is None and progress.locked_by is None
            self.require(empty, f"an entity in use was removed: {former}")
            self.shadow.forget(instance_id)
            self.note("removed", instance_id)
            return
        if checkpoint.history is HistoryChange.REPLACE:
            self.shadow.drop_activities(instance_id)
            history = list(checkpoint.events)
        else:
            history = former.history + checkpoint.events
        suspended = former.is_suspended and not rewound
        for envelope in checkpoint.consumed:
            if isinstance(envelope.message, ms.Suspend | ms.Resume):
                suspended = isinstance(envelope.message, ms.Suspend)
        now = ShadowInstance(msgspec.structs.replace(origin), progress, history, former.order, suspended)
        if not rewound or checkpoint.events or checkpoint.history is HistoryChange.REPLACE:
            self._check_status(former, now)
        if origin.kind is InstanceKind.ENTITY:
            self._check_ledger(former, now, checkpoint)
        else:
            check_history(now, self.require)
        self.shadow.put(now)
        self.note(
            "commit", instance_id, origin.execution_id, int(progress.status), progress.last_seq, checkpoint.events,
            progress.state, len(checkpoint.consumed), [e.target for e in checkpoint.outbox],
        )  # fmt: skip

    def _check_square(self, former: ShadowInstance, checkpoint: Checkpoint) -> None:
        anew = decided_anew(self._registry, self._limits, former.record, former.history, checkpoint)
        found = difference(checkpoint, anew)
        if found is not None and (anew := begun_without_code(self._limits, former.record, former.history, checkpoint)):
            found = difference(checkpoint, anew)
        self.require(found is None, f"I2, X6: '{checkpoint.origin.instance_id}' would decide otherwise: {found}")

    def _check_status(self, former: ShadowInstance, now: ShadowInstance) -> None:
        instance_id, status = now.origin.instance_id, now.progress.status
        self.require(
            status in ALLOWED_MOVES[former.progress.status],
            f"'{instance_id}' moved from {former.progress.status.name} to {status.name}",
        )
        if now.origin.kind is InstanceKind.ENTITY:
            return
        last = now.history[-1] if now.history else None
        ended = last.status if isinstance(last, ev.ExecutionCompleted) else None
        self.require(
            ended is (status if status.is_terminal else None),
            f"I8: '{instance_id}' is {status.name}, its history ends with {last}",
        )
        self.require(
            status.is_terminal or (status is RuntimeStatus.Suspended) == now.is_suspended,
            f"I8: '{instance_id}' is {status.name}; suspended by its messages: {now.is_suspended}",
        )
        self.require(
            now.progress.last_seq == len(now.history) - 1,
            f"I8: '{instance_id}' has {len(now.history)} events and last seq {now.progress.last_seq}",
        )
        failure = now.progress.failure
        self.require(
            failure is None or failure.error_type in EXPECTED_FAILURES, f"'{instance_id}' failed with {failure}"
        )

    def _check_ledger(self, former: ShadowInstance, now: ShadowInstance, checkpoint: Checkpoint) -> None:
        now.tags = list(former.tags)
        for envelope in checkpoint.consumed:
            request = envelope.message
            if isinstance(request, ms.OperationRequest) and request.operation != "refuse":
                now.tags.append(read_json(request.input))
        self._locks.check_moves(former, now, checkpoint)
        self.require(
            (read_json(now.progress.state) or []) == now.tags,
            f"I6: '{now.origin.instance_id}' holds {now.progress.state}, it accepted {now.tags}",
        )

    def _send(self, checkpoint: Checkpoint, just_started: set[str]) -> None:
        shadow = self.shadow
        sender = f"{checkpoint.origin.instance_id}/{checkpoint.origin.execution_id}"
        for creation in checkpoint.children:
            child_id = creation.record.origin.instance_id
            present = shadow.instances.get(child_id)
            lives = present is not None and (creation.keeps_finished or not present.is_terminal)
            if shadow.position_of(creation.start) is not None:
                self.require(not lives, f"X4: a child replaced the living '{child_id}'")
                shadow.create(creation, shadow.custody(creation.start, sender))
            else:
                claimed = lives or child_id in just_started
                claimed = claimed or any(e.target == child_id for e, _ in shadow.in_flight.values())
                self.require(claimed, f"the child '{child_id}' was refused, but nobody has its id")
                assert creation.if_taken is not None
                shadow.insert_row(shadow.position_of(creation.if_taken), shadow.custody(creation.if_taken, None))
        for envelope in checkpoint.outbox:
            shadow.insert_row(shadow.position_of(envelope), shadow.custody(envelope, sender))

    def _add_activities(self, checkpoints: Sequence[Checkpoint], committed: Committed) -> None:
        asked = [
            (c.origin.instance_id, c.origin.execution_id, a.seq, a.task_id, a.name, a.input)
            for c in checkpoints
            for a in c.activities
        ]
        given = [(a.instance_id, a.execution_id, a.seq, a.task_id, a.name, a.input) for a in committed.activities]
        self.require(asked == given, f"asked for the activities {asked}, the store made {given}")
        for activity in committed.activities:
            self.shadow.activities[activity.number] = activity

    def _find_stuck(self) -> None:
        shadow = self.shadow
        for instance in shadow.living():
            for finding in stuck(instance.record, instance.history, shadow):
                self.require(False, f"I5: '{finding.instance_id}' is stuck: {finding.what}")

    def stored(self, instance_id: str, record: InstanceRecord | None, history: Sequence[ev.HistoryEvent]) -> None:
        """What the store says of an instance."""
        instance = self.shadow.instances.get(instance_id)
        if instance is None or record is None:
            self.require(instance is None and record is None, f"'{instance_id}' is stored as {record}, not {instance}")
            return
        same = record.progress == instance.progress and list(history) == instance.history
        same = same and record.origin == instance.origin
        self.require(same, f"'{instance_id}' is stored as {record} {history}, committed was {instance}")
