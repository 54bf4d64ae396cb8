"""Spans of a client's starts, events and signals, where the program uses OpenTelemetry; else nothing happens."""

import contextlib
from collections.abc import Iterator

from durabletask.opentelemetry_use import opentelemetry_in_use


@contextlib.contextmanager
def producing(name: str, attributes: dict[str, str], *, emit: bool) -> Iterator[str | None]:
    """A PRODUCER span round a request; gives what the request carries: traceparent and tracestate, or None.

    Without ``emit`` the context that is current is carried and no span is made.
    """
    otel = opentelemetry_in_use()
    if otel is None:
        yield None
        return
    if not emit:
        yield otel.current()
        return
    with otel.around(name, "PRODUCER", None, attributes):
        yield otel.current()


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
