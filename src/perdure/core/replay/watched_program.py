"""WatchedProgram: orchestrator code whose end is kept as objects, and whose ``is_replaying`` follows each single task.

For answers that carry the exception itself, to hosts that cut the past into parts event by event.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from perdure.core.replay.definition import OrchestratorDefinition, Program, Returned
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.tasks import GroupTask, Task

NOTHING: Any = object()
"""In place of a value, where the code returned none."""


class WatchedProgram:
    """One execution's code, in place of the program that its definition begins."""

    def __init__(self, definition: OrchestratorDefinition) -> None:
        self.error: BaseException | None = None
        """What left the code, or came of writing its output."""
        self.value: Any = NOTHING
        """What the code returned, unless it was a plain function."""
        self.has_returned = False
        self._definition = definition
        self._program: Any = None
        self._recorder: Recorder | None = None
        self._yielded: Task | None = None
        self._was_complete = False
        self._open: set[Task] = set()
        self._completed: dict[Task, bool] = {}
        """Task that completed in a part that is over → whether the code had seen that part before."""

    def definition(self) -> OrchestratorDefinition:
        """The definition with this program in the place of the one that it would begin."""
        return dataclasses.replace(self._definition, begin=self._begin, write_output=self.write_output)

    def send(self, value: Any) -> Any:
        """Go on with a value."""
        return self._go_on(lambda: self._program.send(value))

    def throw(self, error: BaseException) -> Any:
        """Go on with an exception."""
        return self._go_on(lambda: self._program.throw(error))

    def close(self) -> None:
        """Let the code go."""
        self._program.close()

    def __getattr__(self, name: str) -> Any:
        # Whoever looks for the line that the code stands on finds its frames.
        return getattr(self._program, name)

    def end_part(self, *, was_seen: bool) -> None:
        """A part of the past is over; ``was_seen``: the code has run over it before."""
        for task in [task for task in self._open if task.is_completed]:
            self._open.discard(task)
            self._completed[task] = was_seen

    def _begin(self, recorder: Recorder, input: str | None) -> Program | Returned:
        self._recorder = recorder
        begun = self._keeping_error(lambda: self._definition.begin(recorder, input))
        if isinstance(begun, Returned):
            self.has_returned = True
            return begun
        self._program = begun
        watched: Any = self
        return watched

    def write_output(self, value: Any) -> str | None:
        """As the definition writes it; what it raises is kept."""
        return self._keeping_error(lambda: self._definition.write_output(value))

    def _go_on(self, step: Callable[[], Any]) -> Any:
        recorder = self._recorder
        assert recorder is not None, "only code that was begun goes on"
        in_seen_part = recorder.is_replaying
        if self._yielded is not None and self._was_complete:
            recorder.is_replaying = self._was_seen(self._yielded, in_seen_part)
        try:
            yielded = self._keeping_error(step)
        except StopIteration as stop:
            self.value = stop.value
            self.has_returned = True
            raise
        finally:
            recorder.is_replaying = in_seen_part
        if isinstance(yielded, Task):
            self._yielded = yielded
            self._was_complete = yielded.is_completed
            self._meet(yielded)
        return yielded

    def _keeping_error(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise

    def _meet(self, task: Task) -> None:
        unmet = [task]
        while unmet:
            member = unmet.pop()
            if member not in self._open and member not in self._completed:
                self._open.add(member)
                if isinstance(member, GroupTask):
                    unmet.extend(member.children)

    def _was_seen(self, task: Task, otherwise: bool) -> bool:
        """Whether a complete task was completed in a part seen before.

        A group that was complete when it was made counts as its last complete member, as in the official package.
        """
        while (known := self._completed.get(task)) is None:
            children = task.children if isinstance(task, GroupTask) else ()
            complete = next((child for child in reversed(children) if child.is_completed), None)
            if complete is None:
                return otherwise
            task = complete
        return known
