"""One orchestration in memory: receive → advance its session → decide."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from perdure.contracts.executor import Executor, OrchestrationSession, OrchestrationTurn, Turn
from perdure.core.actions import Fail, TurnResult
from perdure.core.checkpoint import Checkpoint, HistoryChange
from perdure.core.control import (
    Rewound,
    answer_rewind,
    completed_regain,
    completed_rewind,
    refusals,
    regained,
    rewind,
)
from perdure.core.decisions import DecisionLimits, decide, leave_sections
from perdure.core.events import HistoryEvent, OrchestratorStarted
from perdure.core.failures import FailureDetails
from perdure.core.instance import Instance, InstanceRecord, WorkKind, is_regaining, leaves_activities
from perdure.core.messages import AnyMessage, Envelope, LockGranted, Resume, Rewind, Suspend, Terminate
from perdure.core.numbering import was_before
from perdure.core.partial_intake import take_only
from perdure.core.receiving import Intake, awaits_start, ends, receive
from perdure.core.status import TERMINAL
from perdure.core.versioning import Failed, Rejected, Versioning, check
from perdure.engine.live import Begun

CHARGE_PER_INSTANCE = 4096
CHARGE_PER_OPEN_WORK = 200
NEAR = timedelta(seconds=10)


class LiveOrchestration:
    """See ``LiveInstance``."""

    __slots__ = (
        "_accepted", "_ended", "_history", "_intake", "_is_without_code", "_limits", "_regained", "_regaining",
        "_rewound", "_session", "_versioning", "execution_id", "instance", "instance_id", "leaves_activities",
        "left_behind", "queue",
        "turn", "used_at",
    )  # fmt: skip

    def __init__(
        self,
        record: InstanceRecord,
        history: Sequence[HistoryEvent],
        limits: DecisionLimits,
        versioning: Versioning,
        history_bytes: int = 0,
    ) -> None:
        self.instance = Instance.loaded(record, history)
        self.instance.history_bytes = history_bytes
        self.instance_id = record.origin.instance_id
        self.execution_id = record.origin.execution_id
        self.queue: list[Envelope] = []
        self.left_behind: list[Envelope] = []
        """What was there for the instance that had the id before; it goes with the first episode."""
        self.turn: Turn | None = None
        self.used_at = 0.0
        self.leaves_activities = False
        self._limits = limits
        self._versioning = versioning
        self._accepted = False
        self._history: Sequence[HistoryEvent] = history
        self._session: OrchestrationSession | None = None
        self._intake: Intake | None = None
        self._ended = record.progress.status.is_terminal
        """Loaded after its end: it takes a rewind and nothing else."""
        self._rewound: Rewound | None = None
        self._regained: Rewound | None = None
        self._regaining = is_regaining(history)
        """Rewound, and waiting for its locks: whatever else comes waits in the queue."""
        self._is_without_code = False
        """What begins it anew is committed next, without its turn, which was recalled."""

    def begin(self, now: datetime, executor: Executor) -> Begun:
        """Take the queue in."""
        if self._is_without_code:
            return self._begin_without_code()
        if self._ended:
            return self._begin_after_end(now, executor)
        if self._regaining:
            return self._begin_regained(now, executor)
        envelopes, self.queue = self.queue, []
        if self.instance.origin.generation and awaits_start(self.instance, envelopes):
            self.queue = envelopes
            return Begun(kept=envelopes)
        failed: TurnResult | None = None
        if not self._accepted:
            verdict = self._judge()
            if not isinstance(verdict, Rejected):
                failed = verdict
            elif not any(ends(self.instance, envelope.message) for envelope in envelopes):
                # Left for a process that runs its version: the messages stay in the inbox. Its end needs no code.
                return Begun(kept=envelopes, rejected=verdict.text)
        intake = receive(self.instance, envelopes, now)
        if intake.foreign is not None:
            if self.instance.origin.number is not None:
                return self._refuse_parent(envelopes, intake.foreign, now)
            # Its start comes first, with everything else.
            self.queue = [envelope for envelope in envelopes if isinstance(envelope.message, Rewind)]
            intake = receive(self.instance, [e for e in envelopes if not isinstance(e.message, Rewind)], now)
        begun = Begun(kept=[*intake.held, *self.queue] if self.queue else intake.held, dropped=intake.dropped)
        if self.left_behind:
            begun.dropped += self.left_behind
            self.left_behind = []
        if not intake.events:
            return begun
        self._intake = intake
        if failed is not None or not intake.runs_code:
            begun.checkpoint = decide(self.instance, intake, failed if intake.runs_code else None, self._limits)
        else:
            begun.turn = self._turn_of(intake, executor, self._history)
        return begun

    def _turn_of(self, intake: Intake, executor: Executor, history: Sequence[HistoryEvent]) -> Turn:
        """User code runs with what was taken in; ``history`` is what a session is opened with when there is none."""
        session = self._session
        if session is None:
            session = self._session = executor.open(self.instance.origin, history)
            self._history = ()
        turn = self.turn = OrchestrationTurn(session, [OrchestratorStarted(intake.at), *intake.events])
        return turn

    def _judge(self) -> TurnResult | Rejected | None:
        """Whether its version runs here: None when it does, else how it fails, or that it is left to others."""
        verdict = check(self._versioning, self.instance.origin.version, self.instance.origin.name)
        if isinstance(verdict, Failed):
            return TurnResult(ending=Fail(FailureDetails("VersionMismatch", verdict.text, is_non_retriable=True)))
        if isinstance(verdict, Rejected):
            return verdict
        self._accepted = True
        return None

    def _begin_after_end(self, now: datetime, executor: Executor) -> Begun:
        """Take the first rewind, a parent's before others; what came after it waits."""
        envelopes, self.queue = self.queue, []
        rewinds = [envelope for envelope in envelopes if isinstance(envelope.message, Rewind)]
        if not rewinds:
            return Begun(dropped=envelopes)
        taken = max(rewinds, key=_comes_from_parent)
        record = InstanceRecord(self.instance.origin, self.instance.progress)
        rewound = rewind(record, self._history, taken, now)
        failed = None if rewound is None else self._judge()
        if isinstance(failed, Rejected):
            return Begun(kept=envelopes, rejected=failed.text)
        begun = Begun(dropped=[envelope for envelope in rewinds if envelope is not taken])
        later = envelopes[envelopes.index(rewinds[0]) :]
        self.queue = begun.kept = [envelope for envelope in later if not isinstance(envelope.message, Rewind)]
        begun.dropped += envelopes[: len(envelopes) - len(later)]
        if rewound is None:
            begun.checkpoint = answer_rewind(record, taken, now)
            self._intake = Intake(now, [], [taken], [], [])
            return begun
        rewound.check_child_id = self._limits.check_child_id
        self._ended, self._rewound, self._intake = False, rewound, rewound.intake
        self.instance, self.execution_id = rewound.instance, rewound.instance.origin.execution_id
        if failed is not None or not rewound.intake.runs_code:
            begun.checkpoint = self._decide(failed)
        else:
            begun.turn = self._turn_of(rewound.intake, executor, rewound.history)
        return begun

    def _begin_regained(self, now: datetime, executor: Executor) -> Begun:
        """Take the grant of the locks that a rewind asked for, or the end; everything else stays in the queue."""
        failed = None if self._accepted else self._judge()
        begun = Begun(rejected=failed.text if isinstance(failed, Rejected) else None)
        wanted = (Terminate,) if begun.rejected is not None else (Terminate, LockGranted)
        intake: Intake | None = None
        waiting: list[Envelope] = []
        for envelope in self.queue:
            if intake is not None or not isinstance(envelope.message, wanted):
                waiting.append(envelope)
                continue
            intake = receive(self.instance, [envelope], now)
            if not intake.events:
                begun.dropped.append(envelope)
                intake = None
        self.queue = begun.kept = waiting
        if intake is None:
            return begun
        self._intake = intake
        if intake.terminated is not None:
            begun.checkpoint = self._decide(None)
            return begun
        record = InstanceRecord(self.instance.origin, self.instance.progress)
        self._regained = regained(record, self._history, intake)
        self._regained.check_child_id = self._limits.check_child_id
        if isinstance(failed, TurnResult):
            begun.checkpoint = self._decide(failed)
        else:
            begun.turn = self._turn_of(intake, executor, self._history)
        return begun

    def _refuse_parent(self, envelopes: list[Envelope], message: Rewind, now: datetime) -> Begun:
        """Tell a rewound parent that this is not its child; everything else waits for the next round."""
        [taken] = [envelope for envelope in envelopes if envelope.message is message]
        self.queue = [envelope for envelope in envelopes if envelope is not taken]
        self._intake = Intake(now, [], [taken], [], [])
        record = InstanceRecord(self.instance.origin, self.instance.progress)
        return Begun(checkpoint=answer_rewind(record, taken, now), kept=self.queue)

    def _decide(self, result: TurnResult | None) -> Checkpoint:
        assert self._intake is not None
        checkpoint = decide(self.instance, self._intake, result, self._limits)
        if self.queue and checkpoint.progress.status in TERMINAL:
            # Their rows go with its end, and who sent them waits.
            checkpoint.outbox += refusals(self.instance.origin, self.queue)
        if self._rewound is not None:
            return completed_rewind(self._rewound, checkpoint)
        return checkpoint if self._regained is None else completed_regain(self._regained, checkpoint)

    @property
    def revives(self) -> bool:
        """Whether its episode follows its end: then what is stored may be purged meanwhile."""
        return self._ended or self._rewound is not None

    def leave_behind(self, envelope: Envelope) -> bool:
        """What was in the inbox before it was for whoever had the id."""
        number = self.instance.origin.number
        if number is None or envelope.position is None or not was_before(envelope.position, number):
            return False
        if type(envelope.message) is Rewind:
            # Whoever sent it is told that its child is gone.
            return False
        self.left_behind.append(envelope)
        return True

    def releases(self) -> list[Envelope]:
        """What lets go of all that it has locked or asked to lock, as far as that is committed."""
        return leave_sections(self.instance_id, self.instance.sections)

    def in_hand(self) -> list[Envelope]:
        """What the turn in user code consumes."""
        return self._intake.consumed if self._intake is not None else []

    def may_take_back(self, message: AnyMessage) -> bool:
        """A turn that begins an execution anew is part of what begins it; only an end comes before it."""
        return (self._rewound is None and self._regained is None) or ends(self.instance, message)

    def take_back(self, envelope: Envelope) -> None:
        """What it was given is in the queue again, in order; but nothing is begun after it was suspended."""
        self.turn = None
        if self._rewound is not None or self._regained is not None:
            self.close()
            self._is_without_code = True
            self.queue.append(envelope)
            return
        intake, self._intake = self._intake, None
        assert intake is not None
        self.queue = [*intake.consumed, *self.queue, envelope]
        if not any(type(waiting.message) is Resume for waiting in self.queue):
            self.queue.sort(key=_is_no_suspension)

    def can_be_left(self) -> bool:
        """Not in the middle of a rewind, and not with entities locked."""
        return not self.revives and not self.instance.sections

    def leave(self) -> list[Envelope]:
        """What its turn consumes, and its queue."""
        envelopes = [*self.in_hand(), *self.queue]
        self._intake, self.queue = None, []
        return envelopes

    def _begin_without_code(self) -> Begun:
        """Commit what begins the execution anew; its end comes next."""
        self._is_without_code = False
        return Begun(checkpoint=self._decide(None), kept=list(self.queue))

    def finish(self) -> Checkpoint:
        """What the finished turn commits."""
        turn = self.turn
        assert isinstance(turn, OrchestrationTurn)
        result = turn.result
        assert result is not None
        self.turn = None
        return (
            self._decide(result) if result.events_taken is None else self._finish_in_part(result, result.events_taken)
        )

    def _finish_in_part(self, result: TurnResult, count: int) -> Checkpoint:
        assert self._intake is not None
        if self._rewound is not None or self._regained is not None:
            # What begins an execution anew is one event, and taken.
            return self._decide(result)
        part = take_only(self.instance, self._intake, count, self.queue)
        self._intake = part.intake
        if part.again:
            taken = {id(envelope) for envelope in part.intake.consumed}
            self.queue = [envelope for envelope in self.queue if id(envelope) not in taken]
        self.queue[:0] = part.left
        checkpoint = self._decide(result)
        if not checkpoint.progress.status.is_terminal:
            checkpoint.outbox = [*checkpoint.outbox, *part.again]
        return checkpoint

    def refuse(self, envelopes: list[Envelope], now: datetime, failure: FailureDetails) -> Begun:
        """All envelopes are consumed: nothing comes after the failure."""
        at = self.instance.progress.episode_at
        self.queue, self.turn = [], None
        if self._ended:
            return Begun(dropped=envelopes)
        self._intake = Intake(now if at is None or now > at else at, [], envelopes, [], [])
        return Begun(checkpoint=self.fail(failure))

    def fail(self, failure: FailureDetails) -> Checkpoint:
        """The episode fails the orchestration, whatever its code asked for."""
        return self._decide(TurnResult(ending=Fail(failure)))

    def apply(self, checkpoint: Checkpoint) -> bool:
        """The checkpoint is durable."""
        instance, intake = self.instance, self._intake
        assert intake is not None
        self._intake = None
        events = checkpoint.events
        if (rewound := self._rewound) is not None:
            self._rewound = None
            events = events[len(rewound.history) :]
        self._regained = None
        if self._regaining or rewound is not None:
            self._regaining = is_regaining(events)
        if checkpoint.history is HistoryChange.REPLACE and not events:
            self.close()
            self._history = ()
            self._ended = False
            instance = self.instance = Instance.loaded(InstanceRecord(checkpoint.origin, checkpoint.progress), ())
            self.execution_id = checkpoint.origin.execution_id
            return intake.reread_inbox
        if instance.open_work and checkpoint.progress.status.is_terminal:
            self.leaves_activities = leaves_activities(instance.open_work, events)
        instance.fold(events, instance.progress.last_seq + 1)
        instance.progress = checkpoint.progress
        instance.history_bytes += checkpoint.history_bytes
        if self._session is None:
            self._history = [*self._history, *checkpoint.events] if rewound is None else checkpoint.events
        elif (follow := self._session.follow) is not None:
            follow(events)
        if checkpoint.progress.status in TERMINAL:
            self.close()
            return False
        return intake.reread_inbox

    @property
    def history_bytes(self) -> int:
        """The size of its history as stored."""
        return self.instance.history_bytes

    def is_finished(self) -> bool:
        """It takes no more messages."""
        return self.instance.progress.status in TERMINAL

    def may_rest(self, now: datetime) -> bool:
        """It waits only for events, or for timers that are not near (architecture.md J7)."""
        if self.turn is not None or self.queue:
            return False
        return all(
            work.kind is WorkKind.TIMER and (work.due_at is None or work.due_at - now > NEAR)
            for work in self.instance.open_work.values()
        )

    def charge(self) -> int:
        """An estimate of the memory it holds, in bytes."""
        session = self._session
        return (
            CHARGE_PER_INSTANCE
            + len(self.instance.origin.input or "")
            + CHARGE_PER_OPEN_WORK * (len(self.instance.open_work) + len(self._history))
            + (self.instance.history_bytes if self._history else 0)
            # While a turn is in user code the session is not ours to look at.
            + (session.charge() if session is not None and self.turn is None else 0)
        )

    def close(self) -> None:
        """Let go of the session; while a turn is in user code nothing happens: call it again when that has returned."""
        if self.turn is not None:
            return
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _is_no_suspension(envelope: Envelope) -> bool:
    return type(envelope.message) is not Suspend


def _comes_from_parent(envelope: Envelope) -> bool:
    return isinstance(envelope.message, Rewind) and envelope.message.parent is not None
