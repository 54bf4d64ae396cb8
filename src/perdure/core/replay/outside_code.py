"""OutsideReplayer: drives orchestrator code that keeps nothing between turns and is asked anew with its whole past.

The other kind of code, a live program, is driven by ``Replayer``; to the engine both are the same.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.errors import NonDeterminism
from perdure.core.failures import FailureDetails, failure_of
from perdure.core.replay.asked import Asked
from perdure.core.replay.asked_tasks import AskedTasks
from perdure.core.replay.matching import ERROR_TYPE, find_divergence
from perdure.core.replay.outside_definition import OutsideCode, OutsideDefinition
from perdure.core.replay.policy import AllMode, FailedKind, ReplayPolicy, RetryIds, ScheduleAt
from perdure.core.replay.protocol_retries import TrailingRetryTask
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.task_types import TaskTypes


def _error_of(kind: FailedKind, name: str, failure: FailureDetails) -> BaseException:
    """The code reads its failures out of its past; here they only end tasks."""
    return RuntimeError(failure.message)


OUTSIDE_POLICY = ReplayPolicy(
    schedule_at=ScheduleAt.FIRST_YIELD,
    all_mode=AllMode.FAIL_FAST,
    retry_ids=RetryIds.NEW,
    first_task_id=0,
    make_error=_error_of,
)
_TASKS = TaskTypes(retry=TrailingRetryTask)


def replayer_of(definition: OutsideDefinition, instance_id: str) -> "OutsideReplayer":
    """Begin one execution."""
    return OutsideReplayer(instance_id, lambda: definition.open_code(instance_id))


class OutsideReplayer:
    """One execution of outside code; has the shape of ``Replayer``.

    Task ids must be those that the code counts by itself. Ids that the host takes while it works through the events of
    a turn (a retry's timer and its next attempt) therefore come after those of whatever the code asks for in answer to
    the events before them: at such an event the code is asked with the past up to there. Before an external event too,
    so that code which has ended by then does not swallow it.
    """

    __slots__ = (
        "_code",
        "_custom_status",
        "_divergence",
        "_ending",
        "_is_over",
        "_new_status",
        "_open_code",
        "_recorder",
        "_seq",
        "_tasks",
        "_unmatched",
        "_untold",
        "_whole",
    )

    def __init__(self, instance_id: str, open_code: Callable[[], OutsideCode]) -> None:
        self._recorder = Recorder(instance_id, OUTSIDE_POLICY, _TASKS)
        self._open_code = open_code
        self._code = open_code()
        self._whole: Asked | None = None
        """In replay: what the code asks for over the whole committed history."""
        self._tasks = AskedTasks(self._recorder)
        self._custom_status: str | None = None
        self._new_status: ac.NewStatus | None = None
        self._ending: ac.Ending | None = None
        self._is_over = False
        self._seq = 0
        self._unmatched: dict[int, ac.Action] = {}
        self._divergence: NonDeterminism | None = None
        self._untold = False
        """Whether something has happened since the code was asked."""

    @property
    def open_task_count(self) -> int:
        """How many calls and timers wait for their completion."""
        return len(self._recorder.open_calls) + len(self._recorder.open_timers)

    @property
    def is_over(self) -> bool:
        """The code has ended or was let go."""
        return self._is_over

    def replay(self, history: Sequence[ev.HistoryEvent]) -> None:
        """Take in committed history, comparing what the code asks for with what is recorded."""
        whole = self._open_code()
        # One more episode, so that to the code all of this is past.
        whole.tell([*history, ev.OrchestratorStarted(_newest_time(history))])
        try:
            self._whole = whole.ask()
        except BaseException as error:
            self._end(ac.Fail(failure_of(error)))
            return
        for event in history:
            if self._divergence is not None:
                return
            if type(event) is ev.OrchestratorStarted:
                self._untold = False
            elif self._untold and self._asks_before(event):
                self._issue_so_far()
            self._take(event)
            self._code.tell((event,))
            self._seq += 1
        remaining, self._whole = self._whole, None
        while self._tasks.issue_next(remaining):
            pass
        self._note_issued()
        for task_id in self._tasks.cancelled_timer_ids(remaining):
            # Perhaps cancelled before it was ever asked for: then it has an id and no place in the history.
            self._unmatched.pop(task_id, None)
        self._tasks.issue_all(remaining)
        self._custom_status = remaining.custom_status
        self._untold = False

    def advance(self, events: Sequence[ev.HistoryEvent]) -> ac.TurnResult:
        """Ask the code what it wants after these events, which hold no scheduled ones."""
        if self._divergence is not None:
            return self._report(self._divergence)
        for event in events:
            if self._untold and self._asks_before(event):
                self._consult()
            self._take(event)
            self._code.tell((event,))
        self._consult()
        recorder = self._recorder
        actions = (*self._unmatched.values(), *recorder.take_actions())
        self._unmatched.clear()
        self._code.tell([_scheduled(action) for action in actions])
        new_status, self._new_status = self._new_status, None
        ending, self._ending = self._ending, None
        if isinstance(ending, ac.ContinueAsNew):
            # Events after the code's end go along as well.
            ending = recorder.continuation()
        return ac.TurnResult(actions, ending, new_status, recorder.events.awaited_names())

    def close(self) -> None:
        """Let go. Twice-safe."""
        self._recorder.seal()
        self._tasks.let_go()
        self._is_over = True

    def _end(self, ending: ac.Ending) -> None:
        self._ending = ending
        self.close()

    def _report(self, divergence: NonDeterminism) -> ac.TurnResult:
        self._divergence = None
        self.close()
        return ac.TurnResult(ending=ac.Fail(FailureDetails(ERROR_TYPE, str(divergence))))

    def _issue_so_far(self) -> None:
        self._untold = False
        self._tasks.issue_all(self._code.ask())

    def _consult(self) -> None:
        if self._is_over or not self._untold:
            return
        self._untold = False
        try:
            answer = self._code.ask()
        except BaseException as error:
            self._end(ac.Fail(failure_of(error)))
            return
        self._tasks.issue_all(answer)
        if answer.custom_status is not None and answer.custom_status != self._custom_status:
            self._custom_status = answer.custom_status
            self._new_status = ac.NewStatus(answer.custom_status)
        if answer.failure is not None:
            self._end(ac.Fail(answer.failure))
        elif self._recorder.will_continue_as_new:
            self._end(self._recorder.continuation())
        elif answer.is_done:
            self._end(ac.Complete(answer.output))

    def _asks_before(self, event: ev.HistoryEvent) -> bool:
        """Whether what the code wants so far counts: a retry takes an id here, or an event finds its waiter."""
        if isinstance(event, ev.EventRaised):
            return True
        if isinstance(event, ev.TimerFired):
            task = self._recorder.open_timers.get(event.task_id)
        elif isinstance(event, ev.TaskFailed | ev.SubOrchestrationFailed):
            task = self._recorder.open_calls.get(event.task_id)
        else:
            return False
        return task is not None and self._tasks.is_retried(task)

    def _take(self, event: ev.HistoryEvent) -> None:
        step = self._steps.get(type(event))
        if step is not None:
            step(self, event)

    def _orchestrator_started(self, event: ev.OrchestratorStarted) -> None:
        if event.at > self._recorder.now:
            self._recorder.now = event.at

    def _execution_started(self, event: ev.ExecutionStarted) -> None:
        self._recorder.begin(event)
        self._untold = True

    def _call_completed(
        self, event: ev.TaskCompleted | ev.SubOrchestrationCompleted | ev.EntityOperationCompleted
    ) -> None:
        task = self._recorder.open_calls.pop(event.task_id, None)
        if task is not None:
            task.take_result(event.result)
            self._tasks.forget(task)
            self._untold = True

    def _call_failed(self, event: ev.TaskFailed | ev.SubOrchestrationFailed | ev.EntityOperationFailed) -> None:
        task = self._recorder.open_calls.pop(event.task_id, None)
        if task is not None:
            # The code knows no failure that is not to be tried again, and counts ids as if there were none.
            failure = msgspec.structs.replace(event.failure, is_non_retriable=False)
            task.take_failure(failure, _error_of(task.kind, task.name, failure))
            self._tasks.forget(task)
            self._untold = True

    def _timer_fired(self, event: ev.TimerFired) -> None:
        timer = self._recorder.open_timers.pop(event.task_id, None)
        if timer is not None:
            timer.fire()
            self._tasks.forget(timer)
            self._untold = True

    def _event_raised(self, event: ev.EventRaised) -> None:
        events = self._recorder.events
        waiter = None if self._is_over else events.take_waiter(event.name, None)
        if waiter is None:
            events.keep(event.name, event.input)
        else:
            waiter.take_event(event.input)
        self._untold = True

    def _scheduled(self, event: ev.ScheduledEvent) -> None:
        whole = self._whole
        assert whole is not None, "scheduled events are the outcome of turns, never their input"
        self._note_issued()
        while event.task_id not in self._unmatched and self._tasks.issue_next(whole):
            self._note_issued()
        self._divergence = find_divergence(event, self._seq, self._unmatched.pop(event.task_id, None))

    def _note_issued(self) -> None:
        for action in self._recorder.take_actions():
            self._unmatched[action.task_id] = action

    _steps: ClassVar[dict[type, Callable[["OutsideReplayer", Any], None]]] = {
        ev.OrchestratorStarted: _orchestrator_started,
        ev.ExecutionStarted: _execution_started,
        ev.TaskScheduled: _scheduled,
        ev.TaskCompleted: _call_completed,
        ev.TaskFailed: _call_failed,
        ev.SubOrchestrationCreated: _scheduled,
        ev.SubOrchestrationCompleted: _call_completed,
        ev.SubOrchestrationFailed: _call_failed,
        ev.TimerCreated: _scheduled,
        ev.TimerFired: _timer_fired,
        ev.EventRaised: _event_raised,
        ev.EntityCalled: _scheduled,
        ev.EntitySignaled: _scheduled,
        ev.EntityOperationCompleted: _call_completed,
        ev.EntityOperationFailed: _call_failed,
    }


def _newest_time(history: Sequence[ev.HistoryEvent]) -> datetime:
    return next(event.at for event in reversed(history) if isinstance(event, ev.OrchestratorStarted))


def _scheduled(action: ac.Action) -> ev.HistoryEvent:
    return _SCHEDULED[type(action)](action)


def _task_scheduled(action: ac.ScheduleActivity) -> ev.TaskScheduled:
    return ev.TaskScheduled(action.task_id, action.name, action.input, action.version, action.tags)


def _timer_created(action: ac.CreateTimer) -> ev.TimerCreated:
    return ev.TimerCreated(action.task_id, action.fire_at)


def _child_created(action: ac.StartChild) -> ev.SubOrchestrationCreated:
    return ev.SubOrchestrationCreated(
        action.task_id, action.name, action.instance_id or "", action.input, action.version, action.tags
    )


def _entity_called(action: ac.CallEntity) -> ev.EntityCalled:
    return ev.EntityCalled(action.task_id, action.entity_id, action.operation, action.input)


def _entity_signaled(action: ac.SignalEntity) -> ev.EntitySignaled:
    return ev.EntitySignaled(action.task_id, action.entity_id, action.operation, action.input, action.due_at)


_SCHEDULED: dict[type, Callable[[Any], ev.HistoryEvent]] = {
    ac.ScheduleActivity: _task_scheduled,
    ac.CreateTimer: _timer_created,
    ac.StartChild: _child_created,
    ac.CallEntity: _entity_called,
    ac.SignalEntity: _entity_signaled,
}
"""How an action will stand in the history."""
