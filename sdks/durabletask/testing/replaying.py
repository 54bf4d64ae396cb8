"""Code against a recorded history: does it still ask for what it asked for, and end as it ended?"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from durabletask.failures import FailureDetails, NonDeterminismError, shown_failure
from durabletask.history import HistoryEvent
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.testing.recorded_events import read_events
from durabletask.working.effect_order import EffectOrder
from durabletask.working.functions import Functions, define
from perdure.core import events as ev
from perdure.core.actions import Complete, ContinueAsNew, Ending, Fail
from perdure.core.replay.matching import ERROR_TYPE
from perdure.core.replay.replayer import Replayer
from perdure.core.status import RuntimeStatus


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What came of it. ``divergence`` None: the code does what the history says."""

    instance_id: str
    divergence: str | None
    """Where code and history part, and what each of them says."""
    is_complete: bool
    """Whether the code came to its end."""
    output: Any = None
    """What it returned."""
    failure_details: FailureDetails | None = None
    """What it failed with."""
    custom_status: Any = None
    new_actions: list[str] = field(default_factory=list[str])
    """What the code asks for that the history does not have."""

    @property
    def matches(self) -> bool:
        """Whether the code does what the history says."""
        return self.divergence is None

    def raise_if_diverged(self) -> None:
        """Raise NonDeterminismError for code that no longer fits."""
        if self.divergence is not None:
            raise NonDeterminismError(self.divergence)


def replay(
    orchestrator: Callable[..., Any],
    history: Iterable[HistoryEvent | Mapping[str, Any]],
    *,
    data_converter: DataConverter = DEFAULT_DATA_CONVERTER,
    maximum_timer_interval: Any = None,
) -> ReplayResult:
    """Run the orchestrator over a history as ``get_orchestration_history`` gives it, or as it was exported.

    Nothing is called and nothing is sent: what activities returned is in the history. Give the converter and the
    timer interval of the worker that recorded it. Raises ValueError for a history that code cannot be replayed with.
    """
    functions = Functions()
    name = functions.add_orchestrator(orchestrator)
    definition = define(functions, data_converter, longest_timer=maximum_timer_interval).orchestrators[name]
    recorded = read_events(history)
    replayer = Replayer(definition, recorded.instance_id)
    try:
        for event in EffectOrder().take(recorded.events):
            if type(event) is ev.EntityUnlockSent and replayer.is_over and event.task_id >= replayer.next_task_id:
                continue  # an end lets go of what the code still held
            replayer.replay((event,))
        turn = replayer.advance(())
        status = replayer.custom_status
    finally:
        replayer.close()
    end = next((e for e in reversed(recorded.events) if isinstance(e, ev.ExecutionCompleted)), None)
    actions = [_said(action) for action in turn.actions]
    ending = turn.ending
    return ReplayResult(
        instance_id=recorded.instance_id,
        divergence=_divergence(ending, end, actions),
        is_complete=ending is not None,
        output=data_converter.deserialize(ending.output) if isinstance(ending, Complete) else None,
        failure_details=shown_failure(ending.failure) if isinstance(ending, Fail) else None,
        custom_status=data_converter.deserialize(status),
        new_actions=actions,
    )


def _divergence(ending: Ending | None, end: ev.ExecutionCompleted | None, actions: list[str]) -> str | None:
    if isinstance(ending, Fail) and ending.failure.error_type == ERROR_TYPE:
        return ending.failure.message
    if end is not None and end.status in (RuntimeStatus.Terminated, RuntimeStatus.Canceled):
        return None
    if actions:
        return f"The code asks for what the history does not have: {', '.join(actions)}."
    recorded, now = _recorded_end(end), _end_of(ending)
    if recorded == now:
        return None
    return f"The history says that the orchestration {recorded}; the code says that it {now}."


def _recorded_end(end: ev.ExecutionCompleted | None) -> str:
    if end is None:
        return "still waits"
    if end.status is RuntimeStatus.Failed:
        return "failed" if end.failure is None else f"failed: {end.failure.error_type}: {end.failure.message}"
    return f"{_OUTCOMES.get(end.status, end.status.name)} {_normal(end.result)}"


def _end_of(ending: Ending | None) -> str:
    match ending:
        case None:
            return "still waits"
        case Complete():
            return f"{_OUTCOMES[RuntimeStatus.Completed]} {_normal(ending.output)}"
        case ContinueAsNew():
            return f"{_OUTCOMES[RuntimeStatus.ContinuedAsNew]} {_normal(ending.input)}"
        case Fail():
            return f"failed: {ending.failure.error_type}: {ending.failure.message}"


_OUTCOMES = {RuntimeStatus.Completed: "returned", RuntimeStatus.ContinuedAsNew: "continued as new with"}


def _normal(text: str | None) -> str:
    """The same value in the same words."""
    if text is None:
        return "nothing"
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text


def _said(action: Any) -> str:
    name = getattr(action, "name", None) or getattr(action, "operation", None)
    kind = type(action).__name__
    return f"{kind} #{action.task_id}" if name is None else f"{kind} '{name}' #{action.task_id}"
