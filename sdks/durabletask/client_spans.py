"""Spans of a client's starts, events and signals, where the program uses OpenTelemetry; else nothing happens."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

TRACER_NAME = "durabletask"


@contextlib.contextmanager
def producing(name: str, attributes: dict[str, str], *, emit: bool) -> Iterator[str | None]:
    """A PRODUCER span round a request; gives what the request carries: traceparent and tracestate, or None.

    Without ``emit`` the context that is current is carried and no span is made.
    """
    otel = _opentelemetry()
    if otel is None:
        yield None
        return
    if not emit:
        yield _current(otel)
        return
    tracer = otel.trace.get_tracer(TRACER_NAME)
    with tracer.start_as_current_span(name, kind=otel.trace.SpanKind.PRODUCER, attributes=attributes):
        yield _current(otel)


def creation(name: str, instance_id: str, version: str | None) -> tuple[str, dict[str, str]]:
    """Name and attributes of an orchestration's start."""
    attributes = {
        "durabletask.type": "orchestration",
        "durabletask.task.name": name,
        "durabletask.task.instance_id": instance_id,
    }
    if version is None:
        return f"create_orchestration:{name}", attributes
    return f"create_orchestration:{name}@({version})", {**attributes, "durabletask.task.version": version}


def event(name: str, instance_id: str) -> tuple[str, dict[str, str]]:
    """Name and attributes of an event for an orchestration."""
    return f"orchestration_event:{name}", {
        "durabletask.type": "event",
        "durabletask.task.name": name,
        "durabletask.event.target_instance_id": instance_id,
    }


def signal(entity: str, operation: str, instance_id: str) -> tuple[str, dict[str, str]]:
    """Name and attributes of a signal for an entity."""
    return f"entity:{entity}:{operation}", {
        "durabletask.type": "entity",
        "durabletask.task.name": entity,
        "durabletask.entity.operation": operation,
        "durabletask.event.target_instance_id": instance_id,
    }


class _OpenTelemetry:
    def __init__(self) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.trace: Any = trace
        self.propagator: Any = TraceContextTextMapPropagator()


_loaded: list[_OpenTelemetry] = []


def _opentelemetry() -> _OpenTelemetry | None:
    """None until the program has imported it: one that has not makes no spans, and is spared the import."""
    if not _loaded and "opentelemetry.trace" in sys.modules:
        _loaded.append(_OpenTelemetry())
    return _loaded[0] if _loaded else None


def _current(otel: _OpenTelemetry) -> str | None:
    headers: dict[str, str] = {}
    otel.propagator.inject(headers)
    parent, state = headers.get("traceparent"), headers.get("tracestate")
    return f"{parent} {state}" if parent and state else parent
