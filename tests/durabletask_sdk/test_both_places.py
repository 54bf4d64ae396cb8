"""What programs see of failures and of calls, the same at a worker over gRPC and in an embedded hub."""

import asyncio
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.client import OrchestrationFailedError, OrchestrationStatus
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.worker import (
    ActivityNotRegisteredError,
    EntityNotRegisteredError,
    OrchestratorNotRegisteredError,
)
from support.meeting_places import KINDS, MeetingPlace, meeting_place


class OrderRefused(Exception):
    """An error of the program."""


class Sold(OrderRefused):
    """One of its kinds."""


@pytest.fixture(scope="module", params=KINDS)
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeetingPlace]:
    with meeting_place(request.param, tmp_path_factory.mktemp("server")) as place:
        yield place


@task.orchestration
def tries(ctx: task.OrchestrationContext, call: list[Any]) -> Any:
    """Call an activity and tell how it failed."""
    try:
        return (yield ctx.call_activity(call[0], input=call[1]))
    except task.TaskFailedError as error:
        chain: list[str] = []
        link: task.FailureDetails | None = error.details
        while link is not None:
            chain.append(link.error_type)
            link = link.inner
        kinds = [error.details.is_caused_by(kind) for kind in (Sold, OrderRefused, Exception, ValueError)]
        return {"text": str(error), "chain": chain, "caused by": kinds, "properties": error.details.properties}


def refuses(ctx: task.ActivityContext, article: str) -> None:
    try:
        raise KeyError(article)
    except KeyError as error:
        raise Sold(f"no {article} left") from error


def test_an_activitys_failure_is_told_by_qualified_types(hub: MeetingPlace) -> None:
    with hub.worker(tries, refuses) as worker:
        worker.start()
        state = hub.ended(tries, ["refuses", "pen"])

    assert state.result == {
        "text": f"{state.instance_id}: Activity task #1 failed: no pen left",
        "chain": [f"{__name__}.Sold", "builtins.KeyError"],
        "caused by": [True, True, True, False],
        "properties": None,
    }


def test_properties_of_an_activitys_failure_arrive(hub: MeetingPlace) -> None:
    class Provider:
        def get_exception_properties(self, exception: BaseException) -> dict[str, Any] | None:
            return {"article": "pen"} if isinstance(exception, Sold) else None

    with hub.worker(tries, refuses, exception_properties_provider=Provider()) as worker:
        worker.start()
        assert hub.ended(tries, ["refuses", "pen"]).result["properties"] == {"article": "pen"}


def leaves(ctx: task.ActivityContext, how: str) -> None:
    if how == "exit":
        sys.exit(3)
    raise {"interrupt": KeyboardInterrupt, "cancel": asyncio.CancelledError}[how]("away")


async def leaves_soon(ctx: task.ActivityContext, how: str) -> None:
    await asyncio.sleep(0)
    leaves(ctx, how)


async def breaks_a_task(ctx: task.ActivityContext, how: str) -> None:
    await asyncio.create_task(leaves_soon(ctx, how))


async def echoes(ctx: task.ActivityContext, value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@pytest.mark.parametrize("activity", [leaves, leaves_soon])
@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("exit", "builtins.SystemExit"),
        ("interrupt", "builtins.KeyboardInterrupt"),
        ("cancel", "asyncio.exceptions.CancelledError"),
    ],
)
def test_an_activity_that_leaves_fails_and_the_worker_goes_on(
    hub: MeetingPlace, activity: Any, how: str, error: str
) -> None:
    with hub.worker(tries, activity, echoes) as worker:
        worker.start()
        assert hub.ended(tries, [activity.__name__, how]).result["chain"] == [error]
        assert hub.ended(tries, ["echoes", 1]).result == 1


def test_an_exit_in_a_task_of_an_activity_ends_that_activity_only(hub: MeetingPlace) -> None:
    with hub.worker(tries, breaks_a_task, echoes) as worker:
        worker.start()
        assert hub.ended(tries, ["breaks_a_task", "exit"]).result["chain"] == ["builtins.SystemExit"]
        assert hub.ended(tries, ["echoes", 1]).result == 1


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that says nothing of what it wraps."""

    def wrapper(*given: Any) -> Any:
        return function(*given)

    return wrapper


class Doubling:
    """An object that is called, and awaited."""

    async def __call__(self, ctx: task.ActivityContext, value: int) -> int:
        return 2 * value


@pytest.mark.parametrize("activity", [wrapped(echoes), Doubling(), functools.partial(echoes)])
def test_async_activities_are_awaited_however_they_are_hidden(hub: MeetingPlace, activity: Any) -> None:
    with hub.worker(tries) as worker:
        worker.add_activity(activity, name="hidden")
        worker.start()
        assert hub.ended(tries, ["hidden", 4]).result in (4, 8)


@task.orchestration
def misses(ctx: task.OrchestrationContext, kind: str) -> Any:
    calls: dict[str, Callable[[], task.Task[Any]]] = {
        "activity": lambda: ctx.call_activity("missing"),
        "orchestrator": lambda: ctx.call_sub_orchestrator("missing"),
        "entity": lambda: ctx.call_entity(EntityInstanceId("missing", "k"), "add"),
    }
    try:
        yield calls[kind]()
    except task.TaskFailedError as error:
        return [error.details.error_type, error.details.is_caused_by(ValueError), "'missing'" in str(error)]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("activity", ActivityNotRegisteredError),
        ("orchestrator", OrchestratorNotRegisteredError),
        ("entity", EntityNotRegisteredError),
    ],
)
def test_what_nobody_registered_is_told_by_its_error(hub: MeetingPlace, kind: str, error: type[ValueError]) -> None:
    with hub.worker(misses) as worker:
        worker.start()
        assert hub.ended(misses, kind).result == [f"durabletask.worker.{error.__name__}", True, True]
        failure = hub.ended("missing").failure_details
        assert failure is not None
        assert failure.is_caused_by(OrchestratorNotRegisteredError)


@task.orchestration
def ends_badly(ctx: task.OrchestrationContext, how: str) -> Any:
    if how == "exit":
        sys.exit(4)
    if how == "yields":
        yield 5
    yield ctx.call_activity(refuses, input="pen")


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("exit", "builtins.SystemExit", "4"),
        ("yields", "builtins.TypeError", "'int'"),
        ("passes", "durabletask.task.TaskFailedError", "Activity task #1 failed: no pen left"),
    ],
)
def test_an_orchestration_that_ends_badly_says_how(hub: MeetingPlace, how: str, error: str, message: str) -> None:
    with hub.worker(ends_badly, refuses) as worker:
        worker.start()
        state = hub.ended(ends_badly, how)

    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert state.failure_details.error_type == error
    assert message in state.failure_details.message
    with pytest.raises(OrchestrationFailedError, match=f"Orchestration '{state.instance_id}' failed: ") as raised:
        state.raise_if_failed()
    assert raised.value.failure_details == state.failure_details


def raises(ctx: EntityContext, value: Any) -> None:
    if ctx.operation == "exit":
        sys.exit(5)
    raise Sold("nothing left")


@task.orchestration
def asks_an_entity(ctx: task.OrchestrationContext, operation: str) -> Any:
    try:
        yield ctx.call_entity(EntityInstanceId("raises", "k"), operation)
    except task.TaskFailedError as error:
        return [str(error), error.details.error_type]


def test_an_entitys_failure_names_operation_and_entity(hub: MeetingPlace) -> None:
    with hub.worker(asks_an_entity, entities=(raises,)) as worker:
        worker.start()
        told = hub.ended(asks_an_entity, "sell").result
        left = hub.ended(asks_an_entity, "exit").result

    assert told == ["Operation 'sell' on entity '@raises@k' failed with error: nothing left", f"{__name__}.Sold"]
    assert left == ["Operation 'exit' on entity '@raises@k' failed with error: 5", "builtins.SystemExit"]


@task.orchestration
def counts(ctx: task.OrchestrationContext, n: int) -> Any:
    nothing = yield task.when_all([])
    if n < 2:
        ctx.continue_as_new(n + 1)
        ctx.continue_as_new(n + 100)
        ctx.set_custom_status("after")
        return "not counted"
    return [n, nothing]


def test_the_first_continue_as_new_counts_and_no_tasks_are_a_list_at_once(hub: MeetingPlace) -> None:
    with hub.worker(counts) as worker:
        worker.start()
        assert hub.ended(counts, 0).result == [2, []]


@task.orchestration
async def waits_a_little(ctx: task.OrchestrationContext, _: Any) -> Any:
    kept = ctx.wait_for_external_event("Kept", timeout=timedelta(hours=1))
    try:
        await ctx.wait_for_external_event("never", timeout=timedelta(milliseconds=50))
    except task.TaskFailedError as error:
        return [error.details.is_caused_by(TimeoutError), repr(error.__cause__), await kept]


def test_a_wait_with_a_limit_ends_at_it_or_with_the_event(hub: MeetingPlace) -> None:
    with hub.worker(waits_a_little) as worker, hub.client() as client:
        worker.start()
        instance_id = client.schedule_new_orchestration(waits_a_little)
        client.raise_orchestration_event(instance_id, "kEPT", data=7)
        state = client.wait_for_orchestration_completion(instance_id, timeout=20)

    is_late, cause, kept = state.result
    assert (is_late, kept) == (True, 7)
    assert "No event named 'never' came within 0:00:00.05" in cause


def test_one_client_serves_many_threads(hub: MeetingPlace) -> None:
    with hub.worker(tries, echoes) as worker, hub.client() as client:
        worker.start()
        seen: list[Any] = []

        def asks(number: int) -> None:
            instance_id = client.schedule_new_orchestration(tries, input=["echoes", number])
            state = client.wait_for_orchestration_completion(instance_id, timeout=20)
            seen.append(state.result)

        threads = [threading.Thread(target=asks, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(seen) == list(range(12))


def test_a_stopped_worker_starts_again_and_goes_on(hub: MeetingPlace) -> None:
    @task.orchestration
    async def waits(ctx: task.OrchestrationContext, _: Any) -> Any:
        return [await ctx.call_activity(echoes, input=1), await ctx.wait_for_external_event("go")]

    worker = hub.worker(waits, echoes)
    with hub.client() as client:
        assert worker.start().wait(20)
        instance_id = client.schedule_new_orchestration(waits)
        assert client.wait_for_orchestration_start(instance_id, timeout=20) is not None
        worker.stop()
        worker.stop()
        assert not worker.is_running
        client.raise_orchestration_event(instance_id, "go", data=2)
        assert worker.start().wait(20)
        with pytest.raises(RuntimeError, match="The worker is already running"):
            worker.start()
        assert client.wait_for_orchestration_completion(instance_id, timeout=20).result == [1, 2]
        worker.stop()
