"""A portable worker and a real server: `perdure serve` in this process, workers on their own threads."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.grpc_options import GrpcWorkerResiliencyOptions
from durabletask.worker import (
    ConcurrencyOptions,
    TaskHubGrpcWorker,
    VersionFailureStrategy,
    VersioningOptions,
    VersionMatchStrategy,
)
from support.server_thread import ServerThread


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    with ServerThread(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def worker(server: ServerThread) -> Iterator[TaskHubGrpcWorker]:
    worker = TaskHubGrpcWorker(host_address=server.address)
    yield worker
    worker.stop()


def run(server: ServerThread, name: Any, input: Any = None, **options: Any) -> Any:
    with server.client() as client:
        instance_id = client.schedule_new_orchestration(name, input=input, **options)
        state = client.wait_for_orchestration_completion(instance_id, timeout=30)
    assert state is not None
    return state


def plus(ctx: task.ActivityContext, n: int) -> int:
    return n + 1


async def awaited_plus(ctx: task.ActivityContext, n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


def counter(ctx: Any, n: int) -> int:
    total = ctx.get_state(int, 0) + (n or 0)
    ctx.set_state(total)
    return total


async def awaited_counter(ctx: Any, n: int) -> int:
    await asyncio.sleep(0)
    return counter(ctx, n)


def test_everything_at_once(server: ServerThread, worker: TaskHubGrpcWorker) -> None:
    def child(ctx: task.OrchestrationContext, n: int) -> Any:
        yield ctx.create_timer(timedelta(milliseconds=1))
        return n * 10

    def parent(ctx: task.OrchestrationContext, n: int) -> Any:
        ctx.set_custom_status({"step": 1})
        first = yield ctx.call_activity(plus, input=n)
        second = yield ctx.call_activity(awaited_plus, input=first)
        fanned = yield task.when_all([ctx.call_activity(plus, input=i) for i in range(20)])
        below = yield ctx.call_sub_orchestrator(child, input=second)
        place = EntityInstanceId("counter", "one")
        with (yield ctx.lock_entities([place])):
            counted = yield ctx.call_entity(place, "add", 4)
        other = yield ctx.call_entity(EntityInstanceId("awaited", "x"), "add", 2)
        return [first, second, sum(fanned), below, counted, other]

    for function in (parent, child):
        worker.add_orchestrator(function)
    for function in (plus, awaited_plus):
        worker.add_activity(function)
    worker.add_entity(counter)
    worker.add_entity(awaited_counter, "awaited")
    assert worker.start().wait(20)
    state = run(server, parent, 1)
    assert state.get_output() == [2, 3, 210, 30, 4, 2]
    assert state.get_custom_status() == {"step": 1}


def test_async_orchestrators_events_and_continue_as_new(server: ServerThread, worker: TaskHubGrpcWorker) -> None:
    async def collecting(ctx: task.OrchestrationContext, seen: list[Any]) -> Any:
        value = await ctx.wait_for_external_event("item")
        seen = [*seen, value]
        if len(seen) < 3:
            ctx.continue_as_new(seen, save_events=True)
            return None
        return seen

    worker.add_orchestrator(collecting)
    worker.start()
    with server.client() as client:
        instance_id = client.schedule_new_orchestration(collecting, input=[])
        for n in range(3):
            client.raise_orchestration_event(instance_id, "item", data=n)
        state = client.wait_for_orchestration_completion(instance_id, timeout=30)
    assert state is not None
    assert state.get_output() == [0, 1, 2]


def test_failures_and_retries(server: ServerThread, worker: TaskHubGrpcWorker) -> None:
    tries: list[int] = []

    def flaky(ctx: Any, n: int) -> int:
        tries.append(n)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return n

    def broken(ctx: Any, n: int) -> int:
        raise ValueError("never")

    def trying(ctx: task.OrchestrationContext, n: int) -> Any:
        policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=1), max_number_of_attempts=3)
        got = yield ctx.call_activity(flaky, input=n, retry_policy=policy)
        try:
            yield ctx.call_activity(broken, input=n)
        except task.TaskFailedError as error:
            return [got, error.details.error_type, error.details.is_caused_by(ValueError)]

    worker.add_orchestrator(trying)
    worker.add_activity(flaky)
    worker.add_activity(broken)
    worker.start()
    assert run(server, trying, 7).get_output() == [7, "builtins.ValueError", True]


def test_an_orchestration_that_fails_says_how(server: ServerThread, worker: TaskHubGrpcWorker) -> None:
    def failing(ctx: task.OrchestrationContext, n: int) -> Any:
        yield ctx.create_timer(timedelta(0))
        raise LookupError("nothing here")

    worker.add_orchestrator(failing)
    worker.start()
    state = run(server, failing)
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert (state.failure_details.error_type, state.failure_details.message) == ("builtins.LookupError", "nothing here")


def test_terminated_while_holding_locks(server: ServerThread, worker: TaskHubGrpcWorker) -> None:
    def holding(ctx: task.OrchestrationContext, n: int) -> Any:
        with (yield ctx.lock_entities([EntityInstanceId("counter", "held")])):
            ctx.set_custom_status("holds")
            yield ctx.wait_for_external_event("never")

    def calling(ctx: task.OrchestrationContext, n: int) -> Any:
        return (yield ctx.call_entity(EntityInstanceId("counter", "held"), "add", 1))

    worker.add_orchestrator(holding)
    worker.add_orchestrator(calling)
    worker.add_entity(counter)
    worker.start()
    with server.client() as client:
        held = client.schedule_new_orchestration(holding)
        while (state := client.get_orchestration_state(held)) is None or state.get_custom_status() != "holds":
            client.wait_for_orchestration_start(held, timeout=10)
        client.terminate_orchestration(held, output="enough")
        state = client.wait_for_orchestration_completion(held, timeout=10)
        assert state is not None
        assert (state.runtime_status, state.get_output()) == (OrchestrationStatus.TERMINATED, "enough")
    assert run(server, calling).get_output() == 1


def test_another_worker_takes_the_other_version(server: ServerThread) -> None:
    def versioned(ctx: task.OrchestrationContext, n: int) -> str | None:
        return ctx.version

    workers = []
    for version in ("1.0", "2.0"):
        worker = TaskHubGrpcWorker(host_address=server.address)
        worker.add_orchestrator(versioned)
        worker.use_versioning(
            VersioningOptions(version, None, VersionMatchStrategy.STRICT, VersionFailureStrategy.REJECT)
        )
        worker.start().wait(10)
        workers.append(worker)
    try:
        assert [run(server, versioned, version=version).get_output() for version in ("1.0", "2.0")] == ["1.0", "2.0"]
    finally:
        for worker in workers:
            worker.stop()


def test_filters_keep_others_work_away(server: ServerThread) -> None:
    seen: list[str] = []

    def one(ctx: task.OrchestrationContext, n: int) -> Any:
        seen.append(threading.current_thread().name)
        return (yield ctx.call_activity("two", input=n))

    def two(ctx: Any, n: int) -> int:
        return n + 2

    first, second = TaskHubGrpcWorker(host_address=server.address), TaskHubGrpcWorker(host_address=server.address)
    first.add_orchestrator(one)
    second.add_activity(two)
    for worker in (first, second):
        worker.use_work_item_filters()
        worker.start()
    try:
        assert run(server, one, 1).get_output() == 3
    finally:
        first.stop()
        second.stop()


def test_a_stop_lets_what_runs_end_and_gives_back_the_rest(server: ServerThread) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ended: list[int] = []

    def slow(ctx: Any, n: int) -> int:
        begun.set()
        go_on.wait(20)
        ended.append(n)
        return n

    def fan(ctx: task.OrchestrationContext, n: int) -> Any:
        return (yield task.when_all([ctx.call_activity(slow, input=i) for i in range(n)]))

    first = TaskHubGrpcWorker(
        host_address=server.address, concurrency_options=ConcurrencyOptions(maximum_thread_pool_workers=1)
    )
    first.add_orchestrator(fan)
    first.add_activity(slow)
    first.start()
    with server.client() as client:
        instance_id = client.schedule_new_orchestration(fan, input=5)
        assert begun.wait(20)
        stopping = threading.Thread(target=first.stop)
        stopping.start()
        go_on.set()
        stopping.join(20)
        assert not stopping.is_alive()
        taken = len(ended)
        assert taken >= 1
        second = TaskHubGrpcWorker(host_address=server.address)
        second.add_orchestrator(fan)
        second.add_activity(slow)
        second.start()
        try:
            state = client.wait_for_orchestration_completion(instance_id, timeout=30)
        finally:
            second.stop()
    assert state is not None
    assert state.get_output() == [0, 1, 2, 3, 4]
    assert sorted(ended) == [0, 1, 2, 3, 4], "what was finished was answered before the worker ended"


def test_a_worker_waits_for_its_server(tmp_path: Path) -> None:
    quick = GrpcWorkerResiliencyOptions(reconnect_backoff_base_seconds=0.05, reconnect_backoff_cap_seconds=0.1)
    with ServerThread(tmp_path) as server:
        port = server.port
    worker = TaskHubGrpcWorker(
        host_address=f"localhost:{port}", resiliency_options=quick, log_handler=logging.NullHandler()
    )

    def one(ctx: task.OrchestrationContext, n: int) -> int:
        return n

    worker.add_orchestrator(one)
    start = worker.start()
    assert not start.connected
    with ServerThread(tmp_path, port=port) as server:
        assert start.wait(20)
        assert run(server, one, 1).get_output() == 1
    # The server went away, and comes back.
    with ServerThread(tmp_path, port=port) as server:
        assert run(server, one, 2).get_output() == 2
    worker.stop()


def test_a_worker_that_is_stopped_before_its_server_came() -> None:
    worker = TaskHubGrpcWorker(host_address="localhost:1", log_handler=logging.NullHandler())
    start = worker.start()
    worker.stop()
    assert not start.wait(1)
    assert not worker.is_running


def test_each_connection_is_told_of(server: ServerThread) -> None:
    told: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(f"{record.name} {record.levelname} {record.getMessage()}")

    worker = TaskHubGrpcWorker(host_address=server.address, log_handler=Listener())
    for _ in range(2):
        worker.start()
        run(server, "nobody has it")
        worker.stop()
    assert told == ["durabletask-worker INFO Connected to the server; waiting for work items."] * 2


def test_own_channels_stay_open(server: ServerThread) -> None:
    def one(ctx: task.OrchestrationContext, n: int) -> int:
        return n

    with grpc.insecure_channel(server.address) as channel:
        for n in range(2):
            worker = TaskHubGrpcWorker(channel=channel)
            worker.add_orchestrator(one)
            worker.start()
            assert run(server, one, n).get_output() == n
            worker.stop()


def test_subclasses_see_activities(server: ServerThread) -> None:
    seen: list[tuple[str, str]] = []

    class Watching(TaskHubGrpcWorker):
        def _on_activity_execution_started(self, req: Any) -> None:
            seen.append(("started", req.name))

        def _on_activity_execution_completed(self, req: Any) -> None:
            seen.append(("completed", req.name))

    def calls(ctx: task.OrchestrationContext, n: int) -> Any:
        yield ctx.call_activity(awaited_plus, input=n)
        return (yield ctx.call_activity(plus, input=n))

    worker = Watching(host_address=server.address)
    worker.add_orchestrator(calls)
    worker.add_activity(plus)
    worker.add_activity(awaited_plus)
    worker.start()
    try:
        run(server, calls, 1)
    finally:
        worker.stop()
    assert seen == [(what, name) for name in ("awaited_plus", "plus") for what in ("started", "completed")]


LIMIT = 128 * 1024
"""What the server of the next test takes in one message."""


def sized(ctx: task.ActivityContext, bytes: int) -> str:
    return "x" * bytes


async def awaited_sized(ctx: task.ActivityContext, bytes: int) -> str:
    return "x" * bytes


def keeps(ctx: Any, bytes: int) -> None:
    ctx.set_state("x" * bytes)


def test_an_answer_larger_than_a_message_may_be_is_a_failure(tmp_path: Path) -> None:
    def asks(ctx: task.OrchestrationContext, how: str) -> Any:
        if how == "returns":
            return "x" * LIMIT
        try:
            if how == "keeps":
                yield ctx.call_entity(EntityInstanceId("keeps", "k"), "keep", LIMIT)
            else:
                yield ctx.call_activity(how, input=LIMIT)
        except task.TaskFailedError as error:
            return error.details.error_type

    with (
        ServerThread(tmp_path, receive_bytes_max=LIMIT) as small,
        TaskHubGrpcWorker(host_address=small.address) as worker,
    ):
        worker.add_activity(sized)
        worker.add_activity(awaited_sized)
        worker.add_entity(keeps)
        worker.add_orchestrator(asks)
        worker.start()
        told = [run(small, asks, how).result for how in ("sized", "awaited_sized", "keeps")]
        failed = run(small, asks, "returns").failure_details

    assert told == ["durabletask.payload.PayloadTooLarge"] * 3
    assert failed.error_type == "durabletask.payload.PayloadTooLarge"
    assert "more than the server takes" in failed.message


def test_histories_beyond_a_megabyte_are_streamed(server: ServerThread, worker: TaskHubGrpcWorker) -> None:
    def long(ctx: task.OrchestrationContext, n: int) -> Any:
        total = 0
        for i in range(n):
            total += len((yield ctx.call_activity(wide, input=i)))
        return total

    def wide(ctx: Any, n: int) -> str:
        return "x" * 200_000

    worker.add_orchestrator(long)
    worker.add_activity(wide)
    worker.start()
    assert run(server, long, 30).get_output() == 6_000_000
