"""Encoded work items for workers: turns, activities, pings; and what makes a long history fit (grpc.md §6.1, §6.3)."""

from collections.abc import Sequence
from typing import Any

from perdure.contracts.records import PendingActivity
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.events import NEW_EVENTS, joined
from perdure.formats.protobuf.traces import span_field, trace_field
from perdure.formats.protobuf.wire import message, string, tag, text, texts, varint

_T1, _T2, _T3, _T4, _T6, _T7, _T8 = (tag(field) for field in (1, 2, 3, 4, 6, 7, 8))
_TOKEN = tag(10)
_STREAMING = b"\x30\x01"

HEALTH_PING = pb.WorkItem(healthPing=pb.HealthPing()).SerializeToString()


def orchestrator_item(
    *,
    instance_id: str,
    execution_id: str,
    past: bytes,
    new: Sequence[bytes],
    token: str,
    span: str | None = None,
) -> bytes:
    """A turn with its past, both as ``HistoryWriter`` gives them; ``new`` begins with ``orchestratorStarted``."""
    parts = (
        string(_T1, instance_id),
        text(_T2, execution_id),
        past,
        joined(NEW_EVENTS, new),
        span_field(_T8, span),
    )
    return b"".join((_T1, varint(sum(map(len, parts))), *parts, string(_TOKEN, token)))


def streaming_item(
    *, instance_id: str, execution_id: str, new: Sequence[bytes], token: str, span: str | None = None
) -> bytes:
    """A turn whose past the worker asks for by ``StreamInstanceHistory``."""
    parts = (
        string(_T1, instance_id),
        text(_T2, execution_id),
        joined(NEW_EVENTS, new),
        _STREAMING,
        span_field(_T8, span),
    )
    return b"".join((_T1, varint(sum(map(len, parts))), *parts, string(_TOKEN, token)))


def activity_item(activity: PendingActivity, token: str) -> bytes:
    """One run of an activity."""
    place = string(_T1, activity.instance_id) + text(_T2, activity.execution_id)
    parts = (
        string(_T1, activity.name),
        text(_T2, activity.version),
        text(_T3, activity.input),
        message(_T4, place),
        b"\x28" + varint(activity.task_id),
        trace_field(_T6, activity.trace_context),
        texts(_T7, activity.tags),
    )
    return b"".join((_T2, varint(sum(map(len, parts))), *parts, string(_TOKEN, token)))


def stripped(past: bytes) -> bytes:
    """The past without the inputs of what was asked for, which no worker reads when it replays.

    For a copy that is sent when the whole does not fit; never for what is stored.
    """
    request = pb.OrchestratorRequest.FromString(past)
    for event in request.pastEvents:
        kind = event.WhichOneof("eventType")
        if kind in _UNREAD_INPUTS:
            scheduled: Any = getattr(event, kind)
            scheduled.ClearField("input")
    return request.SerializeToString()


_UNREAD_INPUTS = frozenset(
    {
        "taskScheduled",
        "subOrchestrationInstanceCreated",
        "eventSent",
        "entityOperationCalled",
        "entityOperationSignaled",
    }
)
