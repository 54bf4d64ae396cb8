"""``durabletask.testing.replay``: code against recorded histories, of the engine in process and of its server."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
from durabletask.client import TaskHubGrpcClient
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.history import HistoryEvent
from durabletask.testing import create_test_backend, replay

QUIET = logging.NullHandler()


def plus(ctx: task.ActivityContext, n: int) -> int:
    return n + 1


def breaks(ctx: task.ActivityContext, n: int) -> int:
    raise ValueError(f"no {n}")


def child(ctx: task.OrchestrationContext, n: int) -> int:
    return n * 10


def failing_child(ctx: task.OrchestrationContext, n: int) -> int:
    raise KeyError("gone")


def counter(ctx: EntityContext, value: int) -> int:
    if ctx.operation == "break":
        raise ValueError("broken")
    ctx.set_state(ctx.get_state(int, 0) + value)
    return ctx.get_state(int, 0)


def everything(ctx: task.OrchestrationContext, n: int) -> Any:
    """One of each event."""
    place = EntityInstanceId("counter", ctx.instance_id)
    said: list[Any] = [(yield ctx.call_activity(plus, input=n))]
    ctx.set_custom_status({"said": said})
    yield ctx.create_timer(timedelta(milliseconds=1))
    said.append((yield ctx.call_sub_orchestrator(child, input=n)))
    for call in (
        lambda: ctx.call_activity(breaks, input=n),
        lambda: ctx.call_sub_orchestrator(failing_child, input=n),
        lambda: ctx.call_entity(place, "break", n),
    ):
        try:
            yield call()
        except task.TaskFailedError as error:
            said.append(error.details.error_type.rpartition(".")[2])
    ctx.signal_entity(place, "add", 1)
    with (yield ctx.lock_entities([place])):
        said.append((yield ctx.call_entity(place, "add", n)))
    ctx.send_event("nobody", "hello", data=1)
    said.append((yield ctx.wait_for_external_event("go")))
    said.append((yield task.when_all([ctx.call_activity(plus, input=i) for i in range(3)])))
    return [*said, ctx.new_uuid(), ctx.current_utc_datetime.isoformat()]


def ends_while_it_holds(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.lock_entities([EntityInstanceId("counter", "held"), EntityInstanceId("counter", "too")])
    return n


def fails(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_activity(plus, input=n)
    raise ValueError("the end")


def waits(ctx: task.OrchestrationContext, n: int) -> Any:
    first = yield ctx.call_activity(plus, input=n)
    second = yield ctx.wait_for_external_event("go")
    return first + second


async def awaited(ctx: task.OrchestrationContext, n: int) -> int:
    return await ctx.call_activity(plus, input=n)


Record = Callable[..., list[HistoryEvent]]


@contextmanager
def recorder(kind: str, name: str) -> Iterator[Record]:
    """Gives what runs an orchestrator and fetches its history."""
    backend = create_test_backend(port=0) if kind == "grpc" else None
    endpoint = f"embedded://{name}" if backend is None else f"http://{backend.address}"
    text = f"Endpoint={endpoint};Authentication=None"
    try:
        with (
            DurableTaskSchedulerWorker(text, log_handler=QUIET) as worker,
            DurableTaskSchedulerClient(text, mode="sync", log_handler=QUIET) as client,
        ):
            for code in (everything, ends_while_it_holds, fails, waits, awaited, child, failing_child):
                worker.add_orchestrator(code)
            worker.add_activity(plus)
            worker.add_activity(breaks)
            worker.add_entity(counter)
            worker.start().wait(20)
            yield lambda code, events=0, until=None: recorded(client, code, events, until)
    finally:
        if backend is not None:
            backend.stop()


def recorded(client: TaskHubGrpcClient, code: Any, events: int, until: str | None) -> list[HistoryEvent]:
    instance_id = client.schedule_new_orchestration(code, input=4)
    for _ in range(events):
        client.raise_orchestration_event(instance_id, "go", data=6)
    if until is None:
        client.wait_for_orchestration_completion(instance_id, timeout=20)
        return client.get_orchestration_history(instance_id)
    while True:
        history = client.get_orchestration_history(instance_id)
        if any(type(event).__name__ == until for event in history):
            return history


@pytest.fixture(scope="module", params=["embedded", "grpc"])
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    with recorder(request.param, "test-replay") as record:
        yield record


def as_exported(history: Sequence[HistoryEvent]) -> list[dict[str, Any]]:
    return json.loads(json.dumps([{"event_type": type(event).__name__, **event.to_dict()} for event in history]))


def test_unchanged_code_fits_its_history(record: Record) -> None:
    history = record(everything, 1)
    result = replay(everything, history)
    assert result.divergence is None
    assert result.matches
    assert result.is_complete
    assert result.output[:7] == [
        5, 40, "ValueError", "KeyError", "ValueError", 5, 6
    ]  # fmt: skip
    assert result.custom_status == {"said": [5]}
    assert result.new_actions == []
    result.raise_if_diverged()
    assert replay(everything, as_exported(history)) == result
    header = {"kind": "metadata", "schema_version": "1.0", "instance_id": result.instance_id}
    assert replay(everything, [header, *as_exported(history)]) == result


@pytest.mark.parametrize("code", [ends_while_it_holds, fails, awaited])
def test_all_ends_fit(record: Record, code: Any) -> None:
    result = replay(code, record(code))
    assert result.divergence is None
    assert result.is_complete
    assert (result.failure_details is not None) == (code is fails)


def test_an_orchestration_that_waits_fits(record: Record) -> None:
    result = replay(waits, record(waits, until="TaskCompletedEvent"))
    assert result.divergence is None
    assert not result.is_complete
    assert result.output is None


def test_a_changed_call_is_told(record: Record) -> None:
    def waits(ctx: task.OrchestrationContext, n: int) -> Any:
        first = yield ctx.call_activity("minus", input=n)
        return first + (yield ctx.wait_for_external_event("go"))

    result = replay(waits, record(globals()["waits"], 1))
    assert not result.matches
    assert result.divergence is not None
    assert "plus" in result.divergence
    assert "minus" in result.divergence
    with pytest.raises(task.NonDeterminismError, match="minus"):
        result.raise_if_diverged()


def test_another_result_is_told(record: Record) -> None:
    def waits(ctx: task.OrchestrationContext, n: int) -> Any:
        first = yield ctx.call_activity(plus, input=n)
        return first - (yield ctx.wait_for_external_event("go"))

    result = replay(waits, record(globals()["waits"], 1))
    assert (
        result.divergence == "The history says that the orchestration returned 11; the code says that it returned -1."
    )


def test_a_new_call_is_told(record: Record) -> None:
    def waits(ctx: task.OrchestrationContext, n: int) -> Any:
        yield ctx.call_activity(plus, input=n)
        yield ctx.wait_for_external_event("go")
        yield ctx.call_activity(plus, input=n)

    result = replay(waits, record(globals()["waits"], 1))
    assert result.new_actions == ["ScheduleActivity 'plus' #3"] or len(result.new_actions) == 1
    assert result.divergence is not None
    assert "asks for what the history does not have" in result.divergence


@pytest.mark.parametrize(
    ("history", "error"),
    [
        ([], "no ExecutionStartedEvent"),
        ([{"event_type": "SomethingEvent", "event_id": 3}], "Event 3 is of the kind SomethingEvent"),
        ([{"event_type": "TimerFiredEvent", "event_id": -1}], "TimerFiredEvent -1 of the history is incomplete"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused(history: list[Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        replay(waits, history)
