"""Spans for OpenTelemetry: begun and ended in one go, with ids and times of our own choice. Needs opentelemetry-sdk."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from perdure.telemetry.trace_contexts import SpanPlace

SERVICE_SETTING = "OTEL_SERVICE_NAME"
_wanted_id: ContextVar[int | None] = ContextVar("perdure_wanted_span_id", default=None)

Attributes = Mapping[str, str | int | bool]


class _ChosenIds(IdGenerator):
    """Random ids, except for the span that is just being made with an id of our choice."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_span_id(self) -> int:
        wanted = _wanted_id.get()
        return self._random.generate_span_id() if wanted is None else wanted

    def generate_trace_id(self) -> int:
        return self._random.generate_trace_id()


@dataclass(frozen=True, slots=True)
class Finished:
    """One span that is over. ``error`` is the failure's message, None when all went well."""

    name: str
    kind: SpanKind
    began_at: datetime
    ended_at: datetime
    parent: SpanPlace | None
    span_id: int | None = None
    attributes: Attributes = field(default_factory=dict[str, str | int | bool])
    error: str | None = None


class Spans:
    """Where spans go. Built only when tracing is on."""

    def __init__(self, processor: SpanProcessor, service_name: str) -> None:
        resource = Resource.create({} if SERVICE_SETTING in os.environ else {"service.name": service_name})
        self.provider = TracerProvider(resource=resource, id_generator=_ChosenIds(), shutdown_on_exit=False)
        self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("perdure")

    def emit(self, finished: Finished) -> SpanPlace:
        """Record a span that is over; returns its place."""
        token = _wanted_id.set(finished.span_id)
        try:
            span = self.tracer.start_span(
                finished.name,
                context=context_of(finished.parent),
                kind=finished.kind,
                attributes=dict(finished.attributes),
                start_time=_nanoseconds(finished.began_at),
            )
        finally:
            _wanted_id.reset(token)
        if finished.error is not None:
            span.set_status(Status(StatusCode.ERROR, finished.error))
        span.end(_nanoseconds(finished.ended_at))
        return place_of(span.get_span_context())

    @contextmanager
    def around(
        self, name: str, kind: SpanKind, parent: SpanPlace | None, attributes: Attributes
    ) -> Iterator[SpanPlace]:
        """A span around what is done inside, and the current one there; without ``parent`` under the current one."""
        context = None if parent is None else context_of(parent)
        with self.tracer.start_as_current_span(name, context, kind, dict(attributes)) as span:
            yield place_of(span.get_span_context())

    def serve_users(self) -> None:
        """Let spans that the app makes itself go the same way, unless it has a provider of its own."""
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(self.provider)

    def close(self) -> None:
        """Send what is left. Twice-safe."""
        self.provider.shutdown()


def context_of(place: SpanPlace | None) -> Context:
    """An OpenTelemetry context in which that span is the current one; an empty one for None."""
    if place is None:
        return Context()
    state = TraceState.from_header([place.state]) if place.state else None
    remote = SpanContext(place.trace_id, place.span_id, is_remote=True, trace_flags=TraceFlags(place.flags),
                         trace_state=state)  # fmt: skip
    return trace.set_span_in_context(NonRecordingSpan(remote), Context())


def place_of(context: SpanContext) -> SpanPlace:
    """How others refer to a span."""
    return SpanPlace(context.trace_id, context.span_id, int(context.trace_flags), context.trace_state.to_header())


def otlp_spans(service_name: str) -> Spans:
    """Spans sent over OTLP to the endpoint that the environment's OTEL_EXPORTER_OTLP_* name."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter: SpanExporter = OTLPSpanExporter()
    return Spans(BatchSpanProcessor(exporter), service_name)


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
