"""Spans of clients: made where the program uses OpenTelemetry, and carried with what is asked."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from durabletask.client_spans import creation, event, producing, signal


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Keeps the spans that end."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


@pytest.mark.parametrize(
    ("said", "name", "attributes"),
    [
        (
            creation("main", "i", None),
            "create_orchestration:main",
            {"durabletask.type": "orchestration", "durabletask.task.name": "main", "durabletask.task.instance_id": "i"},
        ),
        (
            creation("main", "i", "2"),
            "create_orchestration:main@(2)",
            {
                "durabletask.type": "orchestration",
                "durabletask.task.name": "main",
                "durabletask.task.instance_id": "i",
                "durabletask.task.version": "2",
            },
        ),
        (
            event("go", "i"),
            "orchestration_event:go",
            {
                "durabletask.type": "event",
                "durabletask.task.name": "go",
                "durabletask.event.target_instance_id": "i",
            },
        ),
        (
            signal("counter", "add", "@counter@a"),
            "entity:counter:add",
            {
                "durabletask.type": "entity",
                "durabletask.task.name": "counter",
                "durabletask.entity.operation": "add",
                "durabletask.event.target_instance_id": "@counter@a",
            },
        ),
    ],
)
def test_a_request_is_a_producers_span_that_travels_with_it(
    exporter: InMemorySpanExporter, said: tuple[str, dict[str, str]], name: str, attributes: dict[str, str]
) -> None:
    with producing(*said, emit=True) as carried:
        pass
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind, dict(span.attributes or {})) == (name, trace.SpanKind.PRODUCER, attributes)
    assert span.context is not None
    assert carried == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


def test_without_spans_of_its_own_the_current_context_travels(exporter: InMemorySpanExporter) -> None:
    with trace.get_tracer("app").start_as_current_span("mine") as mine, producing("x", {}, emit=False) as carried:
        pass
    assert [span.name for span in exporter.get_finished_spans()] == ["mine"]
    assert carried is not None
    assert f"{mine.get_span_context().span_id:016x}" in carried


def test_nothing_is_carried_where_nothing_is_traced(exporter: InMemorySpanExporter) -> None:
    with producing("x", {}, emit=False) as carried:
        assert carried is None
    assert exporter.get_finished_spans() == ()


def test_what_a_request_fails_with_is_told_by_its_span(exporter: InMemorySpanExporter) -> None:
    def refuse() -> None:
        with producing("x", {}, emit=True):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        refuse()
    assert exporter.get_finished_spans()[0].status.status_code is trace.StatusCode.ERROR
