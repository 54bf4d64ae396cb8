"""Replayer: drives one orchestrator's code by history events and returns what it newly asks for."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from perdure.core import events as ev
from perdure.core.actions import Action, Complete, ContinueAsNew, Ending, Fail, TurnResult
from perdure.core.errors import NonDeterminism, OrchestratorMisuse
from perdure.core.failures import FailureDetails
from perdure.core.replay.definition import OrchestratorDefinition, Program, Returned
from perdure.core.replay.matching import ERROR_TYPE, find_divergence
from perdure.core.replay.misuse import describe_misuse
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.tasks import Task, TaskState, completed_task
from perdure.core.status import RuntimeStatus

_RUNNING = TaskState.RUNNING
_BEGINNING = completed_task()
CLOSES_MAX = 10
"""How often code that answers closing with another yield is asked to close."""


class Replayer:
    """One execution of one orchestrator.

    ``replay`` the committed history first, if there is any; then ``advance`` with new events, again and again.
    A live session and a replayed one decide the same, however the events are cut into turns.
    """

    __slots__ = (
        "_awaited",
        "_definition",
        "_divergence",
        "_ending",
        "_ending_is_recorded",
        "_is_over",
        "_program",
        "_recorder",
        "_seq",
        "_unmatched",
    )

    def __init__(self, definition: OrchestratorDefinition, instance_id: str, recorder: Recorder | None = None) -> None:
        self._definition = definition
        self._recorder = recorder or Recorder(instance_id, definition.policy, definition.tasks)
        self._program: Program | None = None
        self._awaited: Task | None = None
        self._ending: Ending | None = None
        self._is_over = False
        self._seq = 0
        self._unmatched: dict[int, Action] = {}
        self._divergence: NonDeterminism | None = None
        self._ending_is_recorded = False

    @property
    def open_task_count(self) -> int:
        """How many calls and timers wait for their completion; what a live session is charged by."""
        return len(self._recorder.open_calls) + len(self._recorder.open_timers)

    @property
    def next_task_id(self) -> int:
        """The number that the code's next request would get."""
        return self._recorder.next_task_id

    @property
    def custom_status(self) -> str | None:
        """The custom status as the code has set it, replayed code too; JSON text."""
        return self._recorder.custom_status

    def charge(self) -> int:
        """An estimate of the text it holds, in bytes; only between turns."""
        recorder = self._recorder
        return recorder.events.size() + len(recorder.custom_status or "")

    def replay(self, history: Sequence[ev.HistoryEvent]) -> None:
        """Run the code over committed history, comparing what it asks for with what is recorded.

        A divergence is the result of the next ``advance``; actions the history does not have are, too.
        """
        self._recorder.is_replaying = True
        steps = self._steps
        for event in history:
            if self._divergence is not None and type(event) is not ev.ExecutionCompleted:
                continue
            steps[type(event)](self, event)
            self._seq += 1
        self._recorder.take_new_status()

    def advance(self, events: Sequence[ev.HistoryEvent]) -> TurnResult:
        """Run the code on new events, which hold no scheduled ones; returns all it brought about since the last turn.

        Whatever user code raises is the turn's ending; nothing of it leaves this method.
        """
        recorder = self._recorder
        recorder.is_replaying = False
        if self._divergence is not None:
            return self._report(self._divergence)
        steps = self._steps
        for event in events:
            steps[type(event)](self, event)
        actions = recorder.take_actions()
        if self._unmatched:
            actions = [*self._unmatched.values(), *actions]
            self._unmatched.clear()
        return TurnResult(
            tuple(actions), self._take_ending(), recorder.take_new_status(), recorder.events.awaited_names()
        )

    @property
    def is_replaying(self) -> bool:
        """Whether the code runs over what it did before."""
        return self._recorder.is_replaying

    @property
    def is_over(self) -> bool:
        """The code has ended or was let go."""
        return self._is_over

    def close(self) -> None:
        """Let go of the code: its ``finally`` blocks run, but ask for nothing and cannot object. Twice-safe."""
        self._recorder.seal()
        self._is_over = True
        self._awaited = None
        program, self._program = self._program, None
        if program is not None:
            _close(program)

    def _orchestrator_started(self, event: ev.OrchestratorStarted) -> None:
        if event.at > self._recorder.now:
            self._recorder.now = event.at

    def _execution_started(self, event: ev.ExecutionStarted) -> None:
        self._recorder.begin(event)
        try:
            begun = self._definition.begin(self._recorder, event.input)
        except BaseException as error:
            self._end(Fail(self._definition.policy.describe(error)))
            return
        if isinstance(begun, Returned):
            self._return(begun.value)
        else:
            self._program = begun
            self._resume(_BEGINNING)

    def _call_completed(
        self, event: ev.TaskCompleted | ev.SubOrchestrationCompleted | ev.EntityOperationCompleted
    ) -> None:
        task = self._recorder.open_calls.pop(event.task_id, None)
        if task is not None:
            task.take_result(event.result)
            self._resume_when_ready()

    def _call_failed(self, event: ev.TaskFailed | ev.SubOrchestrationFailed | ev.EntityOperationFailed) -> None:
        task = self._recorder.open_calls.pop(event.task_id, None)
        if task is not None:
            error = self._definition.policy.make_error(task.kind, task.name, event.failure)
            task.take_failure(event.failure, error)
            self._resume_when_ready()

    def _lock_granted(self, event: ev.EntityLockGranted) -> None:
        task = self._recorder.open_calls.pop(event.task_id, None)
        if task is not None:
            task.take_result(None)
            self._resume_when_ready()

    def _timer_fired(self, event: ev.TimerFired) -> None:
        timer = self._recorder.open_timers.pop(event.task_id, None)
        if timer is not None:
            timer.fire()
            self._resume_when_ready()

    def _event_raised(self, event: ev.EventRaised) -> None:
        events = self._recorder.events
        waiter = None if self._is_over else events.take_waiter(event.name, self._awaited)
        if waiter is None:
            events.keep(event.name, event.input)
        else:
            waiter.take_event(event.input)
            self._resume_when_ready()

    def _scheduled(self, event: ev.ScheduledEvent) -> None:
        assert self._recorder.is_replaying, "scheduled events are the outcome of turns, never their input"
        for action in self._recorder.take_actions():
            self._unmatched[action.task_id] = action
        self._divergence = find_divergence(event, self._seq, self._unmatched.pop(event.task_id, None))

    def _execution_completed(self, event: ev.ExecutionCompleted) -> None:
        self._ending_is_recorded = event.status is RuntimeStatus.Failed

    def _nothing(self, event: ev.HistoryEvent) -> None:
        """What happens to the instance and not to its code."""

    _steps: ClassVar[dict[type, Callable[["Replayer", Any], None]]] = {
        ev.OrchestratorStarted: _orchestrator_started,
        ev.ExecutionStarted: _execution_started,
        ev.ExecutionCompleted: _execution_completed,
        ev.ExecutionTerminated: _nothing,
        ev.ExecutionSuspended: _nothing,
        ev.ExecutionResumed: _nothing,
        ev.ExecutionRewound: _nothing,
        ev.TaskScheduled: _scheduled,
        ev.TaskCompleted: _call_completed,
        ev.TaskFailed: _call_failed,
        ev.SubOrchestrationCreated: _scheduled,
        ev.SubOrchestrationCompleted: _call_completed,
        ev.SubOrchestrationFailed: _call_failed,
        ev.TimerCreated: _scheduled,
        ev.TimerFired: _timer_fired,
        ev.EventRaised: _event_raised,
        ev.EventSent: _scheduled,
        ev.EntityCalled: _scheduled,
        ev.EntitySignaled: _scheduled,
        ev.EntityOperationCompleted: _call_completed,
        ev.EntityOperationFailed: _call_failed,
        ev.EntityLockRequested: _scheduled,
        ev.EntityLockGranted: _lock_granted,
        ev.EntityUnlockSent: _scheduled,
    }

    def _resume_when_ready(self) -> None:
        awaited = self._awaited
        if awaited is not None and awaited.state is not _RUNNING:
            self._resume(awaited)

    def _resume(self, task: Task) -> None:
        """Give the code a completed task's outcome, until it yields one that is not complete, or ends."""
        program = self._program
        recorder = self._recorder
        assert program is not None
        while True:
            try:
                yielded: Any = program.send(task.value) if task.error is None else program.throw(task.error)
            except StopIteration as stop:
                returned = stop.value
                break
            except BaseException as error:
                self._end(Fail(self._definition.policy.describe(error)))
                return
            if recorder.will_continue_as_new:
                self._end(recorder.continuation())
                return
            if not isinstance(yielded, Task):
                misuse = OrchestratorMisuse(describe_misuse(recorder.name, program, yielded))
                self._end(Fail(self._definition.policy.describe(misuse)))
                return
            if yielded.state is _RUNNING:
                recorder.schedule(yielded)
                if yielded.state is _RUNNING:
                    self._awaited = yielded
                    return
            elif not yielded.is_scheduled:
                # A group that was complete when it was made: the rest of it is asked for all the same.
                recorder.schedule(yielded)
            task = yielded
        # Not in the handler: what writing the output raises was not caused by the code's end.
        self._return(returned)

    def _return(self, value: Any) -> None:
        if self._recorder.will_continue_as_new:
            self._end(self._recorder.continuation())
            return
        try:
            output = self._definition.write_output(value)
        except BaseException as error:
            self._end(Fail(self._definition.policy.describe(error)))
        else:
            self._end(Complete(output))

    def _end(self, ending: Ending) -> None:
        self._ending = ending
        self.close()

    def _take_ending(self) -> Ending | None:
        ending, self._ending = self._ending, None
        # Events that came after the code's last word, in the same turn, are carried too.
        return self._recorder.continuation() if isinstance(ending, ContinueAsNew) else ending

    def _report(self, divergence: NonDeterminism) -> TurnResult:
        """The divergence, unless the code ended as recorded; an exception of the code's own is never lost."""
        ending, self._ending, self._divergence = self._ending, None, None
        self.close()
        own = ending.failure if isinstance(ending, Fail) else None
        if own is not None and self._ending_is_recorded:
            return TurnResult(ending=ending)
        return TurnResult(ending=Fail(FailureDetails(ERROR_TYPE, str(divergence), cause=own)))


def _close(program: Program) -> None:
    for _ in range(CLOSES_MAX):
        try:
            program.close()
            return
        except RuntimeError:
            # It yielded in a finally block; asked again, it goes on from there.
            continue
        except BaseException:
            # It failed in a finally block, and there is no turn to report that in.
            return
