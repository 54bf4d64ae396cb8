"""What outside code asked for → the tasks of a recorder, each made once."""

from collections.abc import Callable
from typing import Any, ClassVar

from perdure.core.replay import asked
from perdure.core.replay.recorder import HTTP_ACTIVITY, Recorder
from perdure.core.replay.tasks import Task, TimerTask


class AskedTasks:
    """The tasks of one execution of outside code, which asks for all of them anew each time."""

    __slots__ = ("_issued", "_own", "_recorder", "_timers")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._issued = 0
        """How many of the code's actions have become tasks."""
        self._own: set[Task] = set()
        """Open tasks that end with their first completion; any other open task belongs to a retry."""
        self._timers: dict[int, TimerTask] = {}
        """Position of the action → its timer, to cancel it when the code says so later."""

    def is_retried(self, task: Task) -> bool:
        """Whether the task is an attempt, or a timer, of a call that is tried again."""
        return task not in self._own

    def forget(self, task: Task) -> None:
        """The task has ended."""
        self._own.discard(task)

    def let_go(self) -> None:
        """Forget all."""
        self._own.clear()
        self._timers.clear()

    def issue_all(self, answer: asked.Asked) -> None:
        """Make tasks of what is new, and cancel timers that the code has cancelled since."""
        for position in [position for position in self._timers if position < len(answer.actions)]:
            action = answer.actions[position]
            if isinstance(action, asked.AskedTimer) and action.is_cancelled:
                timer = self._timers.pop(position)
                if not timer.is_completed and not timer.is_cancelled:
                    timer.cancel()
                    self._own.discard(timer)
        while self._issued < len(answer.actions):
            action = answer.actions[self._issued]
            if isinstance(action, asked.AskedTimer) and action.is_cancelled:
                # It takes its id and asks for nothing.
                timer = self._recorder.create_timer(action.fire_at)
                timer.cancel()
                self._recorder.schedule(timer)
                self._issued += 1
            else:
                self.issue_next(answer)

    def issue_next(self, answer: asked.Asked) -> bool:
        """Make a task of the next new action, cancelled since or not; False when there is none."""
        position = self._issued
        if position == len(answer.actions):
            return False
        self._issued = position + 1
        action = answer.actions[position]
        self._makers[type(action)](self, position, action)
        return True

    def cancelled_timer_ids(self, answer: asked.Asked) -> set[int]:
        """Ids of timers that the code has cancelled by now."""
        return {
            timer.id
            for position, timer in self._timers.items()
            if isinstance(action := answer.actions[position], asked.AskedTimer)
            and action.is_cancelled
            and timer.id is not None
        }

    def _activity(self, position: int, action: asked.AskedActivity) -> None:
        recorder = self._recorder
        if action.retry is None:
            self._open(recorder.call_activity(action.name, action.input, _as_it_is))
        else:
            recorder.schedule(recorder.call_activity_with_retry(action.name, action.input, _as_it_is, action.retry))

    def _child(self, position: int, action: asked.AskedChild) -> None:
        recorder = self._recorder
        call = (action.name, action.input, action.instance_id, action.version, _as_it_is)
        if action.retry is None:
            self._open(recorder.call_child(*call))
        else:
            recorder.schedule(recorder.call_child_with_retry(*call, action.retry))

    def _timer(self, position: int, action: asked.AskedTimer) -> None:
        timer = self._recorder.create_timer(action.fire_at)
        self._timers[position] = timer
        self._open(timer)

    def _event(self, position: int, action: asked.AskedEvent) -> None:
        self._recorder.schedule(self._recorder.wait_for_event(action.name, _as_it_is))

    def _call(self, position: int, action: asked.AskedCall) -> None:
        self._open(self._recorder.call_entity(action.entity_id, action.operation, action.input, _as_it_is))

    def _signal(self, position: int, action: asked.AskedSignal) -> None:
        self._recorder.signal_entity(action.entity_id, action.operation, action.input, action.due_at)

    def _http(self, position: int, action: asked.AskedHttp) -> None:
        # Polling would take ids that the code does not count; it goes on with the first answer, as on its own host.
        self._open(self._recorder.call_activity(HTTP_ACTIVITY, action.request, _as_it_is))

    def _continuation(self, position: int, action: asked.AskedContinuation) -> None:
        self._recorder.continue_as_new(action.input)

    def _open(self, task: Task) -> None:
        self._own.add(task)
        self._recorder.schedule(task)

    _makers: ClassVar[dict[type, Callable[["AskedTasks", int, Any], None]]] = {
        asked.AskedActivity: _activity,
        asked.AskedChild: _child,
        asked.AskedTimer: _timer,
        asked.AskedEvent: _event,
        asked.AskedCall: _call,
        asked.AskedSignal: _signal,
        asked.AskedHttp: _http,
        asked.AskedContinuation: _continuation,
    }


def _as_it_is(text: str | None) -> str | None:
    return text
