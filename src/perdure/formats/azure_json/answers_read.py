"""The JSON answer of an out-of-process orchestrator → what it asks for (host side, replay-protocol.md §4 to §6)."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from perdure.core.failures import FailureDetails, failure_of
from perdure.core.replay import asked
from perdure.core.retry import RetryPolicy
from perdure.formats.azure_json.numbers import MAX_INTERVAL_DEFAULT, STATE_LABEL, ActionType

_encode = msgspec.json.encode
Fields = Mapping[str, Any]
_NONE = msgspec.Raw(b"null")


class _Answer(msgspec.Struct, frozen=True):
    """The outermost object; values of the user's stay the text that the code wrote."""

    actions: list[list[dict[str, Any]]] | None = None
    is_done: bool = msgspec.field(name="isDone", default=False)
    output: msgspec.Raw = _NONE
    error: Any = None
    custom_status: msgspec.Raw = msgspec.field(name="customStatus", default=_NONE)


_answer = msgspec.json.Decoder(_Answer).decode


class BadAnswer(ValueError):
    """The text is no answer of the protocol."""


def read_answer(text: str) -> asked.Asked:
    """Read the answer of a call that returned. Raises BadAnswer."""
    answer = _parse(text)
    failure = FailureDetails("Exception", str(answer.error)) if answer.error else None
    return _read(answer, failure)


def read_failed_answer(error: BaseException) -> asked.Asked | None:
    """Read the answer that a call's exception carries; None when it carries none. Raises BadAnswer."""
    message, label, state = str(error).partition(STATE_LABEL)
    if not label:
        return None
    answer = _parse(state)
    origin = failure_of(error.__cause__ or error.__context__ or error)
    return _read(answer, msgspec.structs.replace(origin, message=str(answer.error or message)))


def _parse(text: str) -> _Answer:
    try:
        return _answer(text)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"The orchestrator's answer is not laid out as the protocol says: {error}.") from error
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise BadAnswer(f"The orchestrator's answer is not JSON: {error}.") from error


def _read(answer: _Answer, failure: FailureDetails | None) -> asked.Asked:
    return asked.Asked(
        actions=tuple(_action(fields) for inner in answer.actions or () for fields in _leaves(inner)),
        is_done=answer.is_done,
        output=_text(answer.output),
        failure=failure,
        custom_status=_text(answer.custom_status),
    )


def _text(value: msgspec.Raw) -> str | None:
    text = bytes(value).decode()
    return None if text == "null" else text


def _leaves(actions: list[dict[str, Any]]) -> Iterator[Fields]:
    """Actions that are no groups, depth first."""
    rest = list(reversed(actions))
    while rest:
        action = rest.pop()
        if action.get("actionType") in _GROUPS:
            rest.extend(reversed(action.get("compoundActions") or []))
        else:
            yield action


_GROUPS = frozenset({ActionType.WhenAny.value, ActionType.WhenAll.value})


def _action(fields: Fields) -> asked.AskedAction:
    try:
        read = _READERS[ActionType(fields["actionType"])]
    except (KeyError, ValueError):
        raise BadAnswer(
            f"The orchestrator's answer has an action of unknown type {fields.get('actionType')!r}."
        ) from None
    try:
        return read(fields)
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswer(f"The orchestrator's answer has an action that cannot be read: {error!r}.") from error


def _activity(fields: Fields) -> asked.AskedActivity:
    return asked.AskedActivity(fields["functionName"], fields.get("input"))


def _activity_with_retry(fields: Fields) -> asked.AskedActivity:
    return asked.AskedActivity(fields["functionName"], fields.get("input"), _retry(fields["retryOptions"]))


def _child(fields: Fields) -> asked.AskedChild:
    name, instance_id = fields["functionName"], fields.get("instanceId")
    return asked.AskedChild(name, fields.get("input"), instance_id or None, fields.get("version"))


def _child_with_retry(fields: Fields) -> asked.AskedChild:
    child = _child(fields)
    retry = _retry(fields["retryOptions"])
    return asked.AskedChild(child.name, child.input, child.instance_id, child.version, retry)


def _retry(options: Fields) -> RetryPolicy:
    longest = options.get("maxRetryIntervalInMilliseconds")
    return RetryPolicy(
        first_interval=timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"]),
        max_attempts=options["maxNumberOfAttempts"],
        backoff_coefficient=options.get("backoffCoefficient") or 1.0,
        max_interval=MAX_INTERVAL_DEFAULT if longest is None else timedelta(milliseconds=longest),
    )


def _timer(fields: Fields) -> asked.AskedTimer:
    at = datetime.fromisoformat(fields["fireAt"])
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return asked.AskedTimer(at, bool(fields.get("isCanceled")))


def _event(fields: Fields) -> asked.AskedEvent:
    return asked.AskedEvent(fields["externalEventName"])


def _call(fields: Fields) -> asked.AskedCall:
    return asked.AskedCall(fields["instanceId"], fields["operation"], fields.get("input"))


def _signal(fields: Fields) -> asked.AskedSignal:
    return asked.AskedSignal(fields["instanceId"], fields["operation"], fields.get("input"))


def _scheduled_signal(fields: Fields) -> asked.AskedSignal:
    due_at = _timer(fields).fire_at
    return asked.AskedSignal(fields["instanceId"], fields["operation"], fields.get("input"), due_at)


def _http(fields: Fields) -> asked.AskedHttp:
    return asked.AskedHttp(_encode(fields["httpRequest"]).decode())


def _continuation(fields: Fields) -> asked.AskedContinuation:
    return asked.AskedContinuation(fields.get("input"))


_READERS: dict[ActionType, Callable[[Fields], asked.AskedAction]] = {
    ActionType.CallActivity: _activity,
    ActionType.CallActivityWithRetry: _activity_with_retry,
    ActionType.CallSubOrchestrator: _child,
    ActionType.CallSubOrchestratorWithRetry: _child_with_retry,
    ActionType.ContinueAsNew: _continuation,
    ActionType.CreateTimer: _timer,
    ActionType.WaitForExternalEvent: _event,
    ActionType.CallEntity: _call,
    ActionType.CallHttp: _http,
    ActionType.SignalEntity: _signal,
    ActionType.ScheduledSignalEntity: _scheduled_signal,
}


def operation_batch(
    *, name: str, key: str, state: str | None, operation: str, input: str | None, is_signal: bool
) -> str:
    """The text that an entity is called with for one operation (§8)."""
    return _encode(
        {
            "self": {"name": name, "key": key},
            "exists": state is not None,
            "state": state,
            "batch": [
                {"name": operation, "input": None if input is None else _encode(input).decode(), "isSignal": is_signal}
            ],
        }
    ).decode()


class EntityAnswer(msgspec.Struct, frozen=True):
    """What an entity answered to one operation; ``error`` is the failed operation's text."""

    state: str | None
    result: str | None
    error: str | None


def read_operation_answer(text: str) -> EntityAnswer:
    """Read the answer to a batch of one operation. Raises BadAnswer."""
    try:
        answer: Any = msgspec.json.decode(text)
        (outcome,) = answer["results"]
        result = outcome["result"]
        is_error = bool(outcome["isError"])
        state = answer["entityState"] if answer["entityExists"] else None
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise BadAnswer(f"The entity's answer cannot be read: {error!r}.") from error
    if is_error:
        return EntityAnswer(None, None, _plain_text(result))
    return EntityAnswer(state, result, None)


def _plain_text(text: str) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except msgspec.DecodeError:
        return text
