"""A tiny world around one Replayer: it writes the history an engine would write, and answers what code asks for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.registry import OrchestratorDefinition, Returned
from perdure.core.replay.policy import AllMode, FailedKind, ReplayPolicy, RetryIds, ScheduleAt
from perdure.core.replay.replayer import Replayer

T0 = datetime(2026, 1, 1, tzinfo=UTC)
EXECUTION = "9a528a9e-926f-4b46-b7d3-deaa134b7e8a"


class CallFailed(Exception):
    """What code sees of a failed call."""


def _call_failed(kind: FailedKind, name: str, failure: FailureDetails) -> BaseException:
    return CallFailed(f"{kind.value} {name}: {failure.message}")


FUNCTIONS = ReplayPolicy(
    ScheduleAt.FIRST_YIELD,
    AllMode.FAIL_FAST,
    RetryIds.NEW,
    first_task_id=0,
    make_error=_call_failed,
    longest_timer=timedelta(days=6),
    timer_hop=timedelta(days=3),
)
PORTABLE = ReplayPolicy(
    ScheduleAt.CALL,
    AllMode.WAIT_FOR_ALL,
    RetryIds.REUSED,
    first_task_id=1,
    make_error=_call_failed,
    longest_timer=timedelta(days=3),
    timer_hop=timedelta(days=3),
)


def text(value: str | None) -> Any:
    """A decoder that leaves the text as it is."""
    return value


def define(code: Callable[..., Any], policy: ReplayPolicy = FUNCTIONS) -> OrchestratorDefinition:
    """A definition whose code gets the recorder only; outputs are shown with ``repr``, None as None."""

    def begin(recorder: Any, input: str | None) -> Any:
        begun = code(recorder)
        return begun if hasattr(begun, "send") else Returned(begun)

    return OrchestratorDefinition("orchestrator", begin, lambda v: None if v is None else repr(v), policy)


SCHEDULED: dict[type, Callable[[Any], ev.ScheduledEvent]] = {
    ac.ScheduleActivity: lambda a: ev.TaskScheduled(a.task_id, a.name, a.input, a.version, a.tags, a.trace_context),
    ac.CreateTimer: lambda a: ev.TimerCreated(a.task_id, a.fire_at),
    ac.StartChild: lambda a: ev.SubOrchestrationCreated(
        a.task_id, a.name, a.instance_id or f"parent:{a.task_id:04x}", a.input, a.version, a.tags
    ),
    ac.CallEntity: lambda a: ev.EntityCalled(a.task_id, a.entity_id, a.operation, a.input, a.request_id),
    ac.SignalEntity: lambda a: ev.EntitySignaled(a.task_id, a.entity_id, a.operation, a.input, a.due_at, a.request_id),
    ac.SendEvent: lambda a: ev.EventSent(a.task_id, a.instance_id, a.name, a.input),
    ac.LockEntities: lambda a: ev.EntityLockRequested(a.task_id, a.section_id, a.entity_ids),
    ac.UnlockEntity: lambda a: ev.EntityUnlockSent(a.task_id, a.section_id, a.entity_id),
}

_COMPLETED: dict[type, Callable[..., ev.HistoryEvent]] = {
    ev.TaskScheduled: ev.TaskCompleted,
    ev.SubOrchestrationCreated: ev.SubOrchestrationCompleted,
    ev.EntityCalled: ev.EntityOperationCompleted,
}

_FAILED: dict[type, Callable[..., ev.HistoryEvent]] = {
    ev.TaskScheduled: ev.TaskFailed,
    ev.SubOrchestrationCreated: ev.SubOrchestrationFailed,
    ev.EntityCalled: ev.EntityOperationFailed,
}


class World:
    """One execution: its history, its open work, its live replayer."""

    def __init__(self, code: Callable[..., Any], policy: ReplayPolicy = FUNCTIONS) -> None:
        self.definition = define(code, policy)
        self.replayer = Replayer(self.definition, "order-1")
        self.now = T0
        self.history: list[ev.HistoryEvent] = []
        self.open: dict[int, ev.ScheduledEvent] = {}
        """Seq of a scheduled event without its completion → the event."""
        self.last = ac.TurnResult()

    def start(self, *more: ev.HistoryEvent, **fields: Any) -> ac.TurnResult:
        """The first turn."""
        return self.turn(ev.ExecutionStarted("orchestrator", EXECUTION, **fields), *more)

    def turn(self, *events: ev.HistoryEvent) -> ac.TurnResult:
        """Give the live replayer an episode of these events and write down what came of it."""
        episode = [ev.OrchestratorStarted(self.now), *events]
        return self.record(episode, self.replayer.advance(episode))

    def record(self, episode: list[ev.HistoryEvent], result: ac.TurnResult) -> ac.TurnResult:
        """Append an episode and its outcome to the history."""
        for event in episode:
            if (seq := getattr(event, "scheduled_seq", None)) is not None:
                self.open.pop(seq, None)
        self.history.extend(episode)
        for action in result.actions:
            scheduled = SCHEDULED[type(action)](action)
            if type(scheduled) not in (ev.EventSent, ev.EntitySignaled, ev.EntityUnlockSent):
                self.open[len(self.history)] = scheduled
            self.history.append(scheduled)
        self.last = result
        return result

    def fresh(self) -> Replayer:
        """A new replayer that has replayed the history so far."""
        replayer = Replayer(self.definition, "order-1")
        replayer.replay(self.history)
        return replayer

    def reload(self) -> None:
        """Forget the live replayer, as a restart does."""
        self.replayer.close()
        self.replayer = self.fresh()

    def seq_of(self, task_id: int) -> int:
        """Where the open scheduled event with this task id is."""
        return next(seq for seq, event in self.open.items() if event.task_id == task_id)

    def completion(self, task_id: int, result: str | None = None) -> ev.HistoryEvent:
        """The event that completes an open call or fires an open timer."""
        seq = self.seq_of(task_id)
        event = self.open[seq]
        if isinstance(event, ev.TimerCreated):
            return ev.TimerFired(task_id, seq, event.fire_at)
        if isinstance(event, ev.EntityLockRequested):
            return ev.EntityLockGranted(task_id, seq)
        return _COMPLETED[type(event)](task_id, seq, result)

    def failure(self, task_id: int, message: str = "broken", **fields: Any) -> ev.HistoryEvent:
        """The event that fails an open call."""
        seq = self.seq_of(task_id)
        return _FAILED[type(self.open[seq])](task_id, seq, FailureDetails("ValueError", message, **fields))

    def complete(self, task_id: int, result: str | None = None) -> ac.TurnResult:
        """A turn with one completion; time moves to a timer's due time."""
        completion = self.completion(task_id, result)
        if isinstance(completion, ev.TimerFired):
            self.now = max(self.now, completion.fire_at)
        return self.turn(completion)

    def fail(self, task_id: int, message: str = "broken", **fields: Any) -> ac.TurnResult:
        """A turn with one failure."""
        return self.turn(self.failure(task_id, message, **fields))

    def raise_event(self, name: str, input: str | None = None) -> ac.TurnResult:
        """A turn with one external event."""
        return self.turn(ev.EventRaised(name, input))

    @property
    def output(self) -> str | None:
        """The output of a completed execution."""
        assert isinstance(self.last.ending, ac.Complete), f"not completed: {self.last}"
        return self.last.ending.output

    @property
    def failed_with(self) -> FailureDetails:
        """The failure of a failed execution."""
        assert isinstance(self.last.ending, ac.Fail), f"not failed: {self.last}"
        return self.last.ending.failure
