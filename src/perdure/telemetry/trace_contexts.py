"""W3C trace contexts as the text kept with an instance, and span ids that follow from what a span is about. Pure."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from perdure.core.instance import Origin

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_STATE_LENGTH_MAX = 512


@dataclass(frozen=True, slots=True)
class SpanPlace:
    """A span as others refer to it."""

    trace_id: int
    span_id: int
    flags: int = 1
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The W3C header."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"

    def text(self) -> str:
        """What is kept with an instance: the headers traceparent and tracestate, a space between."""
        return f"{self.traceparent} {self.state}" if self.state else self.traceparent

    def at(self, span_id: int) -> "SpanPlace":
        """Another span of the same trace."""
        return SpanPlace(self.trace_id, span_id, self.flags, self.state)


def read_place(text: str | None) -> SpanPlace | None:
    """The span that a kept text or a traceparent header names; None for what is none."""
    parent, _, state = (text or "").strip().partition(" ")
    match = _TRACEPARENT.fullmatch(parent.lower())
    if match is None or parent.startswith("ff"):
        return None
    trace_id, span_id = int(match[1], 16), int(match[2], 16)
    if not trace_id or not span_id:
        return None
    return SpanPlace(trace_id, span_id, int(match[3], 16), state if len(state) <= _STATE_LENGTH_MAX else "")


def orchestration_span(instance_id: str, created_at: datetime) -> int:
    """The span of an orchestration, through all its executions."""
    return _span_id("orchestration", instance_id, created_at.isoformat())


def activity_span(execution_id: str, task_id: int) -> int:
    """The span of an activity as its orchestration sees it."""
    return _span_id("activity", execution_id, str(task_id))


def call_span(execution_id: str, seq: int) -> int:
    """The span of a child or an entity call as the caller sees it; ``seq`` is that of the event that asked for it."""
    return _span_id("call", execution_id, str(seq))


def parent_of(origin: Origin) -> SpanPlace | None:
    """The span that an orchestration's own span hangs under; None when the instance has no trace."""
    place = read_place(origin.trace_context)
    if place is None or origin.parent is None:
        return place
    return place.at(call_span(origin.parent.execution_id, origin.parent.scheduled_seq))


def _span_id(*words: str) -> int:
    digest = hashlib.blake2b("\0".join(words).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1
