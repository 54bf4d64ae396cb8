"""An ``async def`` orchestrator as a program that yields tasks, with clear words for whatever else it awaits."""

import traceback
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any

from durabletask.failures import NonDeterminismError
from perdure.core.replay.misuse import describe_misuse
from perdure.core.replay.tasks import Task

_INSTEAD = {
    "sleep": "context.create_timer",
    "gather": "durabletask.task.when_all",
    "wait": "durabletask.task.when_any",
    "wait_for": "a timer and durabletask.task.when_any",
    "to_thread": "an activity",
}


class AwaitingProgram(Generator[Any, Any, Any]):
    """Drives a coroutine; raises NonDeterminismError when it waits for what is no task."""

    def __init__(self, orchestrator: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._orchestrator = orchestrator
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        """Go on with a value."""
        try:
            return self._checked(self._coroutine.send(value))
        except RuntimeError as error:
            raise self._explained(error) from error.__cause__

    def throw(self, error: Any, value: Any = None, trace: TracebackType | None = None, /) -> Any:
        """Go on with an error."""
        try:
            return self._checked(self._coroutine.throw(error))
        except RuntimeError as raised:
            raise self._explained(raised) from raised.__cause__

    def close(self) -> None:
        """Let go of the coroutine."""
        self._coroutine.close()

    def _checked(self, awaited: Any) -> Any:
        if isinstance(awaited, Task):
            return awaited
        raise NonDeterminismError(describe_misuse(self._orchestrator, self._coroutine, awaited))

    def _explained(self, error: RuntimeError) -> BaseException:
        """What asyncio says when it finds no event loop, in words that help; any other error as it is."""
        frames = traceback.extract_tb(error.__traceback__)
        if not frames or "asyncio" not in frames[-1].filename.replace("\\", "/").split("/"):
            return error
        inside = [frame for frame in frames if "asyncio" in frame.filename.replace("\\", "/").split("/")]
        users = [frame for frame in frames if frame not in inside]
        called, place = inside[0].name, users[-1]
        instead = _INSTEAD.get(called, "tasks of the context")
        return NonDeterminismError(
            f"Orchestrator '{self._orchestrator}' awaited asyncio.{called} ({place.filename}, line {place.lineno}, in "
            f"{place.name}), which is not repeated when the code is replayed. Use {instead}; all other waiting belongs "
            "in activities."
        )
