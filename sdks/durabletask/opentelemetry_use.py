"""OpenTelemetry, where the program uses it: spans of chosen ids and times, and the contexts that requests carry.

A context is kept as text: the headers traceparent and tracestate, with a space between.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

TRACER_NAME = "durabletask"

_chosen_id: ContextVar[int | None] = ContextVar("durabletask_chosen_span_id", default=None)

Attributes = Mapping[str, str]


class OpenTelemetry:
    """What we use of it."""

    def __init__(self) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.trace: Any = trace
        self._context: Any = context
        self._propagator: Any = TraceContextTextMapPropagator()

    def current(self) -> str | None:
        """The current context; None when nothing is traced."""
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        parent, state = headers.get("traceparent"), headers.get("tracestate")
        return f"{parent} {state}" if parent and state else parent

    def context_of(self, kept: str | None) -> Any:
        """A context under that one's span; None leaves the current one."""
        if kept is None:
            return None
        parent, _, state = kept.partition(" ")
        headers = {"traceparent": parent, **({"tracestate": state} if state else {})}
        return self._propagator.extract(headers, self._context.Context())

    @contextlib.contextmanager
    def within(self, kept: str | None) -> Iterator[None]:
        """Make a context the current one."""
        if kept is None:
            yield
            return
        token = self._context.attach(self.context_of(kept))
        try:
            yield
        finally:
            self._context.detach(token)

    @contextlib.contextmanager
    def around(self, name: str, kind: str, parent: str | None, attributes: Attributes) -> Iterator[Any]:
        """A span round what is done inside, current there. Under the current one without a parent."""
        with self._tracer().start_as_current_span(
            name, context=self.context_of(parent), kind=self.trace.SpanKind[kind], attributes=dict(attributes)
        ) as span:
            yield span

    def record(
        self,
        name: str,
        kind: str,
        parent: str | None,
        attributes: Attributes,
        *,
        began_at: int,
        ended_at: int,
        span_id: int | None = None,
        error: str | None = None,
    ) -> None:
        """A span that is over; times in nanoseconds since 1970. ``error``: what it failed with.

        The id is kept where the tracer is the one of opentelemetry-sdk.
        """
        token = _chosen_id.set(span_id)
        try:
            span = self._tracer().start_span(
                name,
                context=self.context_of(parent),
                kind=self.trace.SpanKind[kind],
                attributes=dict(attributes),
                start_time=began_at,
            )
        finally:
            _chosen_id.reset(token)
        if error is not None:
            self.fail(span, error)
        span.end(ended_at)

    def fail(self, span: Any, error: str) -> None:
        """Mark a span as failed."""
        span.set_status(self.trace.Status(self.trace.StatusCode.ERROR, error))

    def _tracer(self) -> Any:
        tracer = self.trace.get_tracer(TRACER_NAME)
        ids = getattr(tracer, "id_generator", None)
        if ids is not None and not isinstance(ids, _ChosenIds):
            tracer.id_generator = _ChosenIds(ids)
        return tracer


class _ChosenIds:
    """The tracer's own ids, but for a span that is just made with one of ours."""

    def __init__(self, usual: Any) -> None:
        self._usual = usual

    def generate_span_id(self) -> int:
        chosen = _chosen_id.get()
        return self._usual.generate_span_id() if chosen is None else chosen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)


_loaded: list[OpenTelemetry] = []


def opentelemetry_in_use() -> OpenTelemetry | None:
    """None until the program has imported it: one that has not makes no spans, and is spared the import."""
    if not _loaded and "opentelemetry.trace" in sys.modules:
        _loaded.append(OpenTelemetry())
    return _loaded[0] if _loaded else None
