"""Spans of a worker: one trace from the client's start to the last activity, and none where nobody traces."""

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
from durabletask.client import TaskHubGrpcClient
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.testing import InMemoryOrchestrationBackend, create_test_backend
from durabletask.worker import TaskHubGrpcWorker
from durabletask.working.orchestrator_items import Answer, OrchestratorItem
from durabletask.working.spans import WorkerSpans
from perdure.core import actions as ac
from perdure.core import events as ev

QUIET = logging.NullHandler()


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Keeps the spans that end."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


@pytest.fixture(scope="module")
def backend() -> Iterator[InMemoryOrchestrationBackend]:
    backend = create_test_backend(port=0)
    yield backend
    backend.stop()


def greet(ctx: task.ActivityContext, name: str) -> str:
    with trace.get_tracer("app").start_as_current_span("mine"):
        return f"Hello {name}"


async def awaited(ctx: task.ActivityContext, name: str) -> str:
    await asyncio.sleep(0)
    with trace.get_tracer("app").start_as_current_span("mine too"):
        raise ValueError(f"no {name}")


def counter(ctx: EntityContext, value: int) -> None:
    ctx.set_state(value)


def child(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_activity(greet, input="child")


def parent(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_activity(greet, input="you")
    yield ctx.create_timer(timedelta(milliseconds=20))
    with contextlib.suppress(task.TaskFailedError):
        yield ctx.call_activity(awaited, input="you")
    yield ctx.call_sub_orchestrator(child, input=1, instance_id=f"{ctx.instance_id}-child", version="2")
    yield ctx.call_entity(EntityInstanceId("counter", "a"), "set", 1)
    ctx.send_event("somebody", "hello")
    raise KeyError("the end")


def run(backend: InMemoryOrchestrationBackend, instance_id: str, *, emits: bool = True) -> None:
    with (
        TaskHubGrpcWorker(host_address=backend.address, log_handler=QUIET, emit_trace_spans=emits) as worker,
        TaskHubGrpcClient(host_address=backend.address, log_handler=QUIET, emit_trace_spans=emits) as client,
    ):
        play(worker, client, instance_id)


def run_embedded(instance_id: str, *, emits: bool = True) -> None:
    hub = f"Endpoint=embedded://{instance_id};TaskHub=spans"
    with (
        DurableTaskSchedulerWorker(hub, log_handler=QUIET, emit_trace_spans=emits) as worker,
        DurableTaskSchedulerClient(hub, mode="sync", log_handler=QUIET, emit_trace_spans=emits) as client,
    ):
        play(worker, client, instance_id)


def play(worker: TaskHubGrpcWorker, client: Any, instance_id: str) -> None:
    for code in (parent, child):
        worker.add_orchestrator(code)
    for activity in (greet, awaited):
        worker.add_activity(activity)
    worker.add_entity(counter)
    worker.start()
    client.schedule_new_orchestration(parent, input=1, instance_id=instance_id, version="1")
    client.wait_for_orchestration_completion(instance_id, timeout=20)


def parent_id(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def span_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


@pytest.mark.parametrize("place", ["server", "embedded"])
def test_one_trace_from_the_start_to_the_last_activity(
    backend: InMemoryOrchestrationBackend, exporter: InMemorySpanExporter, place: str
) -> None:
    if place == "server":
        run(backend, "traced")
    else:
        run_embedded("traced")
    spans = {(span.name, span.kind.name): span for span in exporter.get_finished_spans()}
    assert set(spans) == {
        ("create_orchestration:parent@(1)", "PRODUCER"),
        ("orchestration:parent@(1)", "SERVER"),
        ("activity:greet", "CLIENT"),
        ("activity:greet", "SERVER"),
        ("activity:awaited", "CLIENT"),
        ("activity:awaited", "SERVER"),
        ("mine", "INTERNAL"),
        ("mine too", "INTERNAL"),
        ("orchestration:parent:timer", "INTERNAL"),
        ("orchestration:child@(2)", "CLIENT"),
        ("orchestration:child@(2)", "SERVER"),
        ("entity:counter:set", "SERVER"),
        ("orchestration_event:hello", "PRODUCER"),
    }
    own = span_id(spans["orchestration:parent@(1)", "SERVER"])
    below = {
        ("orchestration:parent@(1)", "SERVER"): span_id(spans["create_orchestration:parent@(1)", "PRODUCER"]),
        ("activity:awaited", "CLIENT"): own,
        ("activity:awaited", "SERVER"): span_id(spans["activity:awaited", "CLIENT"]),
        ("mine too", "INTERNAL"): span_id(spans["activity:awaited", "SERVER"]),
        ("orchestration:parent:timer", "INTERNAL"): own,
        ("orchestration:child@(2)", "CLIENT"): own,
        ("orchestration:child@(2)", "SERVER"): span_id(spans["orchestration:child@(2)", "CLIENT"]),
        ("orchestration_event:hello", "PRODUCER"): own,
    }
    assert {key: parent_id(spans[key]) for key in below} == below
    greetings = [span for span in exporter.get_finished_spans() if span.name == "activity:greet"]
    callers = {span_id(span): parent_id(span) for span in greetings if span.kind.name == "CLIENT"}
    assert set(callers.values()) == {own, span_id(spans["orchestration:child@(2)", "SERVER"])}
    assert {parent_id(span) for span in greetings if span.kind.name == "SERVER"} == set(callers)
    traces = {span.context.trace_id for key, span in spans.items() if span.context and not key[0].startswith("entity:")}
    assert len(traces) == 1


def test_spans_tell_what_they_are_about(backend: InMemoryOrchestrationBackend, exporter: InMemorySpanExporter) -> None:
    run(backend, "told")
    spans = {(span.name, span.kind.name): span for span in exporter.get_finished_spans()}
    own = spans["orchestration:parent@(1)", "SERVER"]
    assert dict(own.attributes or {}) == {
        "durabletask.type": "orchestration",
        "durabletask.task.name": "parent",
        "durabletask.task.version": "1",
        "durabletask.task.instance_id": "told",
        "durabletask.task.status": "Failed",
    }
    assert own.status.status_code is trace.StatusCode.ERROR
    assert "the end" in str(own.status.description)
    for kind in ("CLIENT", "SERVER"):
        failed = spans["activity:awaited", kind]
        assert failed.status.description is not None
        assert "no you" in failed.status.description
        assert dict(failed.attributes or {})["durabletask.task.instance_id"] == "told"
    timer = spans["orchestration:parent:timer", "INTERNAL"]
    assert set(timer.attributes or {}) >= {"durabletask.fire_at", "durabletask.task.task_id"}
    assert timer.start_time is not None
    assert timer.end_time is not None
    assert timer.end_time - timer.start_time >= 19_000_000
    assert dict(spans["entity:counter:set", "SERVER"].attributes or {}) == {
        "durabletask.type": "entity",
        "durabletask.task.name": "counter",
        "durabletask.task.instance_id": "@counter@a",
        "durabletask.entity.operation": "set",
    }
    for span in spans.values():
        assert span.start_time is not None
        assert span.end_time is not None
        assert own.start_time is not None
        assert span.start_time <= span.end_time


def test_without_spans_of_its_own_the_context_travels(
    backend: InMemoryOrchestrationBackend, exporter: InMemorySpanExporter
) -> None:
    with trace.get_tracer("app").start_as_current_span("outside") as outside:
        run(backend, "quiet", emits=False)
    finished = exporter.get_finished_spans()
    assert sorted(span.name for span in finished) == ["mine", "mine", "mine too", "outside"]
    assert {span.context.trace_id for span in finished if span.context} == {outside.get_span_context().trace_id}


def history(trace_context: str | None) -> list[ev.HistoryEvent]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [ev.OrchestratorStarted(at), ev.ExecutionStarted("code", "e", trace_context=trace_context)]


PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
CALL = Answer([ac.ScheduleActivity(1, "greet")])


def test_a_turns_span_is_the_one_that_came_with_it(exporter: InMemorySpanExporter) -> None:
    answer, span = WorkerSpans().turn(OrchestratorItem("i", [], history(f"{PARENT} k=v")), CALL, None)
    assert span is not None
    (call,) = answer.actions
    assert isinstance(call, ac.ScheduleActivity)
    assert call.trace_context is not None
    assert call.trace_context.startswith(PARENT[:36])
    assert call.trace_context.endswith("-01 k=v")
    assert exporter.get_finished_spans() == ()
    ended = Answer([], ac.Complete("1"))
    assert WorkerSpans().turn(OrchestratorItem("i", history(PARENT), []), ended, span) == (ended, span)
    (own,) = exporter.get_finished_spans()
    assert span.startswith(f"{span_id(own):016x} 1767225600 0")
    assert own.start_time == 1_767_225_600_000_000_000


@pytest.mark.parametrize("context", [None, "", "nonsense", f"00-{'z' * 32}-{'b' * 16}-01"])
def test_what_is_not_traced_is_left_alone(exporter: InMemorySpanExporter, context: str | None) -> None:
    assert WorkerSpans().turn(OrchestratorItem("i", [], history(context)), CALL, "kept 1 2") == (CALL, "kept 1 2")
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize("span", ["  ", "nonsense  ", " 5 6", f"{'c' * 16}  "])
def test_spans_of_other_sdks_are_read_as_far_as_they_go(exporter: InMemorySpanExporter, span: str) -> None:
    _, kept = WorkerSpans().turn(OrchestratorItem("i", [], history(PARENT)), CALL, span)
    assert kept is not None
    span_id, seconds, nanoseconds = kept.split(" ")
    assert len(span_id) == 16
    assert int(seconds)
    assert int(nanoseconds) in (0, 6)


def test_a_program_without_opentelemetry_is_spared_the_import() -> None:
    program = (
        "import sys, logging\n"
        "from durabletask.testing import create_test_backend\n"
        "from durabletask.worker import TaskHubGrpcWorker\n"
        "from durabletask.client import TaskHubGrpcClient\n"
        "backend, quiet = create_test_backend(port=0), logging.NullHandler()\n"
        "def act(ctx, x): return x\n"
        "def code(ctx, x): return (yield ctx.call_activity(act, input=x))\n"
        "with TaskHubGrpcWorker(host_address=backend.address, log_handler=quiet) as worker:\n"
        "    worker.add_orchestrator(code); worker.add_activity(act); worker.start()\n"
        "    with TaskHubGrpcClient(host_address=backend.address, log_handler=quiet) as client:\n"
        "        i = client.schedule_new_orchestration(code, input=5)\n"
        "        print(client.wait_for_orchestration_completion(i, timeout=20).get_output())\n"
        "backend.stop()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout.split("\n")[:2] == ["5", "[]"], done.stderr
