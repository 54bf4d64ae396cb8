"""An orchestrator as the core sees it: how to begin it, how to write what it returns, and its policy."""

from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from perdure.core.actions import TurnResult
from perdure.core.events import HistoryEvent
from perdure.core.replay.policy import ReplayPolicy
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.task_types import CORE_TASKS, TaskTypes

Program = Generator[Any, Any, Any] | Coroutine[Any, Any, Any]
"""Orchestrator code that has begun: it yields (or awaits) tasks."""

AroundTurn = Callable[[str, Sequence[HistoryEvent], Sequence[HistoryEvent], TurnResult], TurnResult]
"""Sees each turn, and may add to what it brought about: instance id, committed history, the turn's events, result."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Orchestrator code that was a plain function: it is finished already."""

    value: Any


@dataclass(frozen=True, slots=True)
class OrchestratorDefinition:
    """An orchestrator as the core sees it.

    ``begin`` gets the recorder and the input text and returns the running program; the SDK closes over its own context.
    ``write_output`` turns the returned value into JSON text, or None for no output; what it raises fails the instance.
    """

    name: str
    begin: Callable[[Recorder, str | None], Program | Returned]
    write_output: Callable[[Any], str | None]
    policy: ReplayPolicy
    tasks: TaskTypes = CORE_TASKS
    around_turn: AroundTurn | None = None
