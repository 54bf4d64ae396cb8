"""Trace contexts: kept as the headers traceparent and tracestate with a space between; sent as a message."""

from typing import Any

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.wire import message, string, text


def write_trace(kept: str) -> pb.TraceContext:
    """The message of a kept text."""
    return pb.TraceContext.FromString(_body(kept))


def trace_field(opening: bytes, kept: str | None) -> bytes:
    """The message as an encoded field; nothing for None."""
    return b"" if kept is None else message(opening, _body(kept))


def read_trace(holder: Any, field: str = "parentTraceContext") -> str | None:
    """What is kept of the message in that field; None when it is absent or names no parent."""
    if not holder.HasField(field):
        return None
    trace: pb.TraceContext = getattr(holder, field)
    if not trace.traceParent:
        return None
    return f"{trace.traceParent} {trace.traceState.value}" if trace.traceState.value else trace.traceParent


def read_span(response: Any) -> str | None:
    """What is kept of ``orchestrationTraceContext``: ``id seconds nanoseconds``, in full. None: it says nothing."""
    span: pb.OrchestrationTraceContext = response.orchestrationTraceContext
    if not span.HasField("spanStartTime"):
        return f"{span.spanID.value}  " if span.spanID.value else None
    return f"{span.spanID.value} {span.spanStartTime.seconds} {span.spanStartTime.nanos}"


def write_span(kept: str) -> pb.OrchestrationTraceContext:
    """The inverse of ``read_span``."""
    span_id, seconds, nanos = kept.rsplit(" ", 2)
    written = pb.OrchestrationTraceContext()
    if span_id:
        written.spanID.value = span_id
    if seconds:
        written.spanStartTime.seconds = int(seconds)
        written.spanStartTime.nanos = int(nanos)
        written.spanStartTime.SetInParent()
    return written


def span_field(opening: bytes, kept: str | None) -> bytes:
    """The span of an orchestration's turns, as a worker gave it, as an encoded field; nothing for None."""
    return b"" if kept is None else message(opening, write_span(kept).SerializeToString())


def _body(kept: str) -> bytes:
    parent, _, state = kept.partition(" ")
    # The span's id once more, in a deprecated field that readers of histories are shown.
    span_id = parent[36:52] if len(parent) >= 52 else ""
    return string(b"\x0a", parent) + string(b"\x12", span_id) + text(b"\x1a", state or None)
