"""Steps of an orchestrator → the JSON answer that its host reads (worker side, replay-protocol.md §4 to §6).

The text is that of ``json.dumps`` with its defaults, as the official package writes it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from perdure.core.replay import asked
from perdure.core.replay.transcript import Group, GroupKind, Leaf, Step
from perdure.core.retry import RetryPolicy
from perdure.formats.azure_json.numbers import MAX_INTERVAL_DEFAULT, STATE_LABEL, ActionType, SchemaVersion


@dataclass(frozen=True, slots=True)
class Answer:
    """How far an orchestrator is. ``output`` and ``custom_status`` are JSON texts; None leaves them out."""

    schema: SchemaVersion
    steps: Sequence[Step]
    is_done: bool
    output: str | None = None
    error: str | None = None
    custom_status: str | None = None


def write_answer(answer: Answer) -> str:
    """The answer's JSON text."""
    is_first_schema = answer.schema is SchemaVersion.V1
    fields = {
        "isDone": json.dumps(answer.is_done),
        "schemaVersion": None if is_first_schema else str(answer.schema.value),
        "actions": json.dumps(_lists(answer.steps) if is_first_schema else [_list(answer.steps)]),
        "output": answer.output,
        "error": json.dumps(answer.error) if answer.error else None,
        "customStatus": answer.custom_status,
    }
    return "{" + ", ".join(f'"{name}": {text}' for name, text in fields.items() if text is not None) + "}"


def write_failure(message: str, answer: Answer) -> str:
    """The text of the exception that carries the answer of an orchestrator that failed."""
    return f"{message}{STATE_LABEL}{write_answer(answer)}"


def _lists(steps: Sequence[Step]) -> list[list[dict[str, Any]]]:
    """The first schema: a list per step, groups flattened, known members repeated."""
    return [[_action(leaf.action) for leaf in _leaves(step)] for step in steps]


def _leaves(step: Step) -> Iterator[Leaf]:
    if isinstance(step, Leaf):
        yield step
    else:
        for member in step.members:
            yield from _leaves(member)


def _list(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Later schemas: one list for all, groups kept, without what is known."""
    return [written for step in steps if (written := _written(step)) is not None]


def _written(step: Step) -> dict[str, Any] | None:
    if isinstance(step, Group):
        members = [written for member in step.members if (written := _written(member)) is not None]
        return _group(_GROUPS[step.kind], members) if members else None
    if not step.is_new:
        return None
    action = _action(step.action)
    is_retried = isinstance(step.action, asked.AskedActivity | asked.AskedChild) and step.action.retry is not None
    return _group(ActionType.WhenAll, [action]) if is_retried else action


def _group(kind: ActionType, members: list[dict[str, Any]]) -> dict[str, Any]:
    return {"actionType": kind.value, "compoundActions": members}


_GROUPS = {GroupKind.ALL: ActionType.WhenAll, GroupKind.ANY: ActionType.WhenAny}


def _action(action: asked.AskedAction) -> dict[str, Any]:
    return _WRITERS[type(action)](action)


def _activity(action: asked.AskedActivity) -> dict[str, Any]:
    kind = ActionType.CallActivity if action.retry is None else ActionType.CallActivityWithRetry
    return _call(kind, action.name, action.input, action.retry)


def _child(action: asked.AskedChild) -> dict[str, Any]:
    kind = ActionType.CallSubOrchestrator if action.retry is None else ActionType.CallSubOrchestratorWithRetry
    call = _call(kind, action.name, action.input, action.retry)
    return call | {"instanceId": action.instance_id, "version": action.version}


def _call(kind: ActionType, name: str, input: str | None, retry: RetryPolicy | None) -> dict[str, Any]:
    call = {"actionType": kind.value, "functionName": name, "input": _input(input)}
    return call if retry is None else call | {"retryOptions": write_retry(retry)}


def write_retry(retry: RetryPolicy) -> dict[str, Any]:
    """The policy by the host's names; what is the host's default is left out."""
    written: dict[str, Any] = {
        "firstRetryIntervalInMilliseconds": _milliseconds(retry.first_interval),
        "maxNumberOfAttempts": retry.max_attempts,
    }
    if retry.backoff_coefficient != 1.0:
        written["backoffCoefficient"] = retry.backoff_coefficient
    if retry.max_interval is not None and retry.max_interval != MAX_INTERVAL_DEFAULT:
        written["maxRetryIntervalInMilliseconds"] = _milliseconds(retry.max_interval)
    if retry.retry_timeout is not None:
        written["retryTimeoutInMilliseconds"] = _milliseconds(retry.retry_timeout)
    return written


def _milliseconds(span: timedelta) -> int | float:
    whole, rest = divmod(span, timedelta(milliseconds=1))
    return whole + rest / timedelta(milliseconds=1) if rest else whole


def _timer(action: asked.AskedTimer) -> dict[str, Any]:
    fire_at = write_time(action.fire_at)
    return {"actionType": ActionType.CreateTimer.value, "fireAt": fire_at, "isCanceled": action.is_cancelled}


def write_time(at: datetime) -> str:
    """A UTC time with six digits of fraction and a ``Z``."""
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _event(action: asked.AskedEvent) -> dict[str, Any]:
    return {
        "actionType": ActionType.WaitForExternalEvent.value,
        "externalEventName": action.name,
        "reason": "ExternalEvent",
    }


def _entity_call(action: asked.AskedCall) -> dict[str, Any]:
    return _operation(ActionType.CallEntity, action)


def _signal(action: asked.AskedSignal) -> dict[str, Any]:
    if action.due_at is None:
        return _operation(ActionType.SignalEntity, action)
    return _operation(ActionType.ScheduledSignalEntity, action) | {"fireAt": write_time(action.due_at)}


def _operation(kind: ActionType, action: asked.AskedCall | asked.AskedSignal) -> dict[str, Any]:
    return {
        "actionType": kind.value,
        "instanceId": action.entity_id,
        "operation": action.operation,
        "input": _input(action.input),
    }


def _http(action: asked.AskedHttp) -> dict[str, Any]:
    return {"actionType": ActionType.CallHttp.value, "httpRequest": json.loads(action.request)}


def _continuation(action: asked.AskedContinuation) -> dict[str, Any]:
    return {"actionType": ActionType.ContinueAsNew.value, "input": _input(action.input)}


def _input(text: str | None) -> str:
    return "null" if text is None else text


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    asked.AskedActivity: _activity,
    asked.AskedChild: _child,
    asked.AskedTimer: _timer,
    asked.AskedEvent: _event,
    asked.AskedCall: _entity_call,
    asked.AskedSignal: _signal,
    asked.AskedHttp: _http,
    asked.AskedContinuation: _continuation,
}
