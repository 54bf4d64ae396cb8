"""An ``async def`` orchestrator as a program that yields tasks, with clear words for whatever else it awaits."""

from collections.abc import Coroutine, Generator, Iterator
from types import FrameType, TracebackType
from typing import Any

from durabletask.failures import NonDeterminismError
from perdure.core.replay.misuse import describe_misuse
from perdure.core.replay.tasks import Task

_INSTEAD = {
    "sleep": "context.create_timer",
    "gather": "durabletask.task.when_all",
    "wait": "durabletask.task.when_any",
    "wait_for": "a timer and durabletask.task.when_any",
    "timeout": "a timer and durabletask.task.when_any",
    "to_thread": "an activity",
    "Event.wait": "context.wait_for_external_event",
    "Queue.get": "context.wait_for_external_event",
    "TaskGroup.__aenter__": "durabletask.task.when_all",
}
_FUTURES = ("get_event_loop", "get_running_loop", "new_event_loop")
"""What is found innermost when a future or a loop itself was asked for."""


class AwaitingProgram(Generator[Any, Any, Any]):
    """Drives a coroutine; raises NonDeterminismError when it waits for what is no task."""

    def __init__(self, orchestrator: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._orchestrator = orchestrator
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        """Go on with a value."""
        try:
            awaited = self._coroutine.send(value)
        except (RuntimeError, AttributeError) as error:
            self._explain(error)
            raise
        return awaited if isinstance(awaited, Task) else self._refuse(awaited)

    def throw(self, error: Any, value: Any = None, trace: TracebackType | None = None, /) -> Any:
        """Go on with an error."""
        try:
            awaited = self._coroutine.throw(error)
        except (RuntimeError, AttributeError) as raised:
            self._explain(raised)
            raise
        return awaited if isinstance(awaited, Task) else self._refuse(awaited)

    def close(self) -> None:
        """Let go of the coroutine."""
        self._coroutine.close()

    def _refuse(self, awaited: Any) -> Any:
        frames = list(_waiting_frames(self._coroutine))
        if any(map(_is_asyncios, frames)):
            raise NonDeterminismError(self._text(frames))
        raise NonDeterminismError(describe_misuse(self._orchestrator, self._coroutine, awaited))

    def _explain(self, error: RuntimeError | AttributeError) -> None:
        """Say in words that help what asyncio says when it finds no loop; any other error is left as it is."""
        frames = list(_raising_frames(error.__traceback__))
        if frames and _is_asyncios(frames[-1]):
            raise NonDeterminismError(self._text(frames)) from error.__cause__

    def _text(self, frames: list[FrameType]) -> str:
        """What of asyncio was awaited, by the frames from the orchestrator inwards; one at least is asyncio's."""
        first = next(n for n, frame in enumerate(frames) if _is_asyncios(frame))
        called = frames[first].f_code.co_qualname
        place = frames[first - 1]
        awaited = "a future of asyncio" if called.rpartition(".")[2] in _FUTURES else f"asyncio.{called}"
        return (
            f"Orchestrator '{self._orchestrator}' awaited {awaited} ({place.f_code.co_filename}, line "
            f"{place.f_lineno}, in {place.f_code.co_name}), which is not repeated when the code is replayed. Use "
            f"{_INSTEAD.get(called, 'tasks of the context')}; all other waiting belongs in activities."
        )


def _raising_frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _waiting_frames(awaiting: Any) -> Iterator[FrameType]:
    """The frames that are suspended, from the orchestrator's own inwards."""
    while awaiting is not None:
        frame = getattr(awaiting, "cr_frame", None) or getattr(awaiting, "gi_frame", None)
        if frame is not None:
            yield frame
        awaiting = getattr(awaiting, "cr_await", None) or getattr(awaiting, "gi_yieldfrom", None)


def _is_asyncios(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "asyncio"
