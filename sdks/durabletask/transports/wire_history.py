"""History events of the wire as users read them: every field under its name, texts and times unwrapped."""

import functools
import re
from typing import Any

from google.protobuf import json_format

from durabletask import history
from durabletask.failures import shown_failure
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.failures import read_failure
from perdure.formats.protobuf.times import read_time

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def shown_event(event: pb.HistoryEvent) -> history.HistoryEvent:
    """One event. Raises ValueError for one of a kind that is not known."""
    kind = event.WhichOneof("eventType")
    if kind is None:
        raise ValueError(f"Event {event.eventId} of the history is of a kind that this version does not know.")
    message: Any = getattr(event, kind)
    shown = _class_of(message.DESCRIPTOR.name)
    fields = {_snake(field.name): _value(message, field) for field in message.DESCRIPTOR.fields}
    return shown(event_id=event.eventId, timestamp=read_time(event.timestamp), **fields)


@functools.cache
def _class_of(name: str) -> type[Any]:
    return getattr(history, name)


@functools.cache
def _snake(name: str) -> str:
    return _WORD_START.sub("_", name).lower()


def _value(message: Any, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is None:
        return list(value) if _is_list(field) else value
    if field.message_type.GetOptions().map_entry:
        return dict(value) or None
    if not message.HasField(field.name):
        return None
    return _READ[field.message_type.name](value)


def _is_list(field: Any) -> bool:
    """Whether the field is repeated; newer and older releases of protobuf say it in different ways."""
    repeated = getattr(field, "is_repeated", None)
    return field.label == field.LABEL_REPEATED if repeated is None else bool(repeated)


def _instance(message: pb.OrchestrationInstance) -> history.OrchestrationInstance:
    return history.OrchestrationInstance(message.instanceId, message.executionId.value or None)


def _parent(message: pb.ParentInstanceInfo) -> history.ParentInstanceInfo:
    return history.ParentInstanceInfo(
        message.taskScheduledId,
        message.name.value or None,
        message.version.value or None,
        _instance(message.orchestrationInstance) if message.HasField("orchestrationInstance") else None,
    )


def _trace(message: pb.TraceContext) -> history.TraceContext:
    return history.TraceContext(message.traceParent, message.spanID, message.traceState.value or None)


_READ: dict[str, Any] = {
    "StringValue": lambda message: message.value,
    "Timestamp": read_time,
    "TaskFailureDetails": lambda message: shown_failure(read_failure(message)),
    "OrchestrationInstance": _instance,
    "ParentInstanceInfo": _parent,
    "TraceContext": _trace,
    "OrchestrationState": lambda message: json_format.MessageToDict(message, preserving_proto_field_name=True),
}
