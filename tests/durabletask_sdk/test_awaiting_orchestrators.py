"""What an ``async def`` orchestrator may await, and how it is told what it may not (portable-sdk.md §3.4)."""

import asyncio
import gc
import threading
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durabletask import task
from support.portable_world import PortableWorld

Awaits = Callable[[task.OrchestrationContext], Awaitable[Any]]


async def grouped(ctx: task.OrchestrationContext) -> None:
    async with asyncio.TaskGroup():
        await ctx.call_activity("a")


async def limited(ctx: task.OrchestrationContext) -> None:
    async with asyncio.timeout(1):
        await ctx.call_activity("a")


# From Python 3.12 on, asyncio.gather wraps what it is given before it looks for a loop.
@pytest.mark.filterwarnings("ignore:coroutine 'ensure_future.*' was never awaited:RuntimeWarning")
@pytest.mark.parametrize(
    ("awaits", "named", "instead"),
    [
        (lambda ctx: asyncio.sleep(1), "asyncio.sleep", "context.create_timer"),
        (lambda ctx: asyncio.sleep(0), "asyncio.sleep", "context.create_timer"),
        (lambda ctx: asyncio.gather(ctx.call_activity("a")), "asyncio.gather", "task.when_all"),
        (lambda ctx: asyncio.wait([ctx.call_activity("a")]), "asyncio.wait ", "task.when_any"),
        (lambda ctx: asyncio.wait_for(ctx.call_activity("a"), 1), "asyncio.wait_for", "a timer"),
        (lambda ctx: asyncio.to_thread(print), "asyncio.to_thread", "an activity"),
        (lambda ctx: asyncio.Event().wait(), "asyncio.Event.wait", "context.wait_for_external_event"),
        (lambda ctx: asyncio.Queue[int]().get(), "asyncio.Queue.get", "context.wait_for_external_event"),
        (lambda ctx: asyncio.Future[int](), "a future of asyncio", "tasks of the context"),
        (grouped, "asyncio.TaskGroup", "task.when_all"),
        (limited, "asyncio.timeout", "a timer"),
    ],
)
def test_what_asyncio_waits_for_is_named_with_its_place(awaits: Awaits, named: str, instead: str) -> None:
    async def orchestrator(ctx: task.OrchestrationContext, _: Any) -> Any:
        return await awaits(ctx)

    world = PortableWorld(orchestrator)
    # As at a worker: on a thread that has no loop.
    turn = threading.Thread(target=world.start)
    turn.start()
    turn.join()

    failure = world.failed_with
    assert failure.error_type == "NonDeterminismError"
    assert f"awaited {named}" in failure.message
    assert instead in failure.message
    assert f"({__file__}, line " in failure.message


def test_a_future_of_a_loop_that_is_there_is_refused_too() -> None:
    async def orchestrator(ctx: task.OrchestrationContext, _: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def turn() -> PortableWorld:
        world = PortableWorld(orchestrator)
        world.start()
        return world

    failure = asyncio.run(turn()).failed_with
    assert failure.error_type == "NonDeterminismError"
    assert "'Future'" in failure.message


def test_what_an_awaited_helper_waits_for_is_named_with_the_helpers_place() -> None:
    async def helper() -> None:
        await asyncio.sleep(0)

    async def orchestrator(ctx: task.OrchestrationContext, _: Any) -> None:
        await ctx.call_activity("a")
        await helper()

    world = PortableWorld(orchestrator)
    world.start()
    world.complete(1, "1")

    assert "in helper)" in world.failed_with.message


@pytest.mark.parametrize("error", [RuntimeError, AttributeError, ValueError])
def test_errors_of_the_code_keep_what_led_to_them(error: type[Exception]) -> None:
    async def orchestrator(ctx: task.OrchestrationContext, _: Any) -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise error("then")  # noqa: B904 - the chain that Python makes by itself is what is tried

    world = PortableWorld(orchestrator)
    world.start()

    assert (world.failed_with.error_type, world.failed_with.message) == (error.__name__, "then")
    assert world.failed_with.cause is not None
    assert world.failed_with.cause.error_type == "KeyError"


def test_a_waiting_orchestrator_is_let_go_of_without_a_word() -> None:
    async def orchestrator(ctx: task.OrchestrationContext, _: Any) -> None:
        await task.when_all([ctx.call_activity("a"), ctx.call_activity("b")])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        world = PortableWorld(orchestrator)
        world.start()
        world.reload()
        world.complete(1, "1")
        del world
        gc.collect()


def test_an_output_without_json_form_names_its_own_cause_only() -> None:
    def orchestrator(ctx: task.OrchestrationContext, _: Any) -> Any:
        yield ctx.call_activity("a")
        return object()

    world = PortableWorld(orchestrator)
    world.start()
    world.complete(1, "1")

    failure: Any = world.failed_with
    types = []
    while failure is not None:
        types.append(failure.error_type)
        failure = failure.cause
    assert types == ["JsonEncodeOutputException", "TypeError", "TypeError"]
