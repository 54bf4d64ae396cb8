"""FailureDetails, both ways. Whether there is a failure is said by the field's presence, never by its texts."""

from collections.abc import Mapping
from typing import Any, cast

from perdure.core.failures import CAUSES_MAX, FailureDetails
from perdure.formats.protobuf import messages as pb

_SAFE_INTEGER_MAX = 2**53
_VALUE_DEPTH_MAX = 32
_TOO_DEEP = "(nested too deeply)"


def write_failure(failure: FailureDetails) -> pb.TaskFailureDetails:
    """The failure with its causes, at most ``CAUSES_MAX`` links."""
    written = pb.TaskFailureDetails()
    link = written
    for n in range(CAUSES_MAX):
        link.errorType = failure.error_type
        link.errorMessage = failure.message
        link.isNonRetriable = failure.is_non_retriable
        if failure.stack_trace is not None:
            link.stackTrace.value = failure.stack_trace
            link.stackTrace.SetInParent()
        for name, value in (failure.properties or {}).items():
            link.properties[name].CopyFrom(_write_property(value))
        if failure.cause is None or n == CAUSES_MAX - 1:
            break
        failure = failure.cause
        link = link.innerFailure
        link.SetInParent()
    return written


def _write_property(value: Any) -> pb.Value:
    try:
        return write_value(value)
    except ValueError as error:
        # A failure must be tellable, whatever was noted of it.
        return pb.Value(string_value=f"({error})")


def failure_bytes(failure: FailureDetails) -> bytes:
    """``write_failure``, encoded."""
    return write_failure(failure).SerializeToString()


def read_failure(failure: pb.TaskFailureDetails) -> FailureDetails:
    """The inverse of ``write_failure``; causes beyond ``CAUSES_MAX`` links are cut off."""
    links = [failure]
    while len(links) < CAUSES_MAX and links[-1].HasField("innerFailure"):
        links.append(links[-1].innerFailure)
    read: FailureDetails | None = None
    for link in reversed(links):
        properties = {name: read_value(value) for name, value in link.properties.items()}
        read = FailureDetails(
            link.errorType,
            link.errorMessage,
            link.stackTrace.value if link.HasField("stackTrace") else None,
            read,
            link.isNonRetriable,
            properties or None,
        )
    assert read is not None
    return read


def write_value(value: Any, depth: int = _VALUE_DEPTH_MAX) -> pb.Value:
    """A JSON value. Raises ValueError for what is none, or is nested too deeply for any reader."""
    if depth == 0:
        raise ValueError(f"The value is nested more than {_VALUE_DEPTH_MAX} levels deep.")
    if value is None:
        return pb.Value(null_value=0)  # type: ignore[arg-type]  # the enum's only member
    if isinstance(value, bool):
        return pb.Value(bool_value=value)
    if isinstance(value, int | float):
        return pb.Value(number_value=_number(value))
    if isinstance(value, str):
        return pb.Value(string_value=value)
    written = pb.Value()
    if isinstance(value, Mapping):
        written.struct_value.SetInParent()
        for key, member in cast(Mapping[Any, Any], value).items():
            if not isinstance(key, str):
                raise ValueError(f"The key {key!r} is no text, so the value cannot be written as JSON.")
            written.struct_value.fields[key].CopyFrom(write_value(member, depth - 1))
    elif isinstance(value, list | tuple):
        written.list_value.SetInParent()
        members = cast("list[Any] | tuple[Any, ...]", value)
        written.list_value.values.extend(write_value(member, depth - 1) for member in members)
    else:
        raise ValueError(f"A value of type {type(value).__name__} cannot be written as JSON.")
    return written


def _number(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"The number {str(value)[:20]}… is too large to be written.") from None


def read_value(value: pb.Value, depth: int = _VALUE_DEPTH_MAX) -> Any:
    """A JSON value; whole numbers become integers, what JSON cannot hold and what is nested too deeply a text."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        if number != number or number in (float("inf"), float("-inf")):
            return str(number)
        return int(number) if number.is_integer() and abs(number) <= _SAFE_INTEGER_MAX else number
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind is None or kind == "null_value":
        return None
    if depth == 1:
        return _TOO_DEEP
    if kind == "struct_value":
        return {name: read_value(member, depth - 1) for name, member in value.struct_value.fields.items()}
    return [read_value(member, depth - 1) for member in value.list_value.values]
