"""The users' loop: jobs beside each other, code that blocks it, cancelling, and the end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure.execution import user_loop as module
from perdure.execution.threads import ThreadPool
from perdure.execution.user_loop import UserLoop

LIMIT_SECONDS = 20


@asynccontextmanager
async def running() -> AsyncIterator[UserLoop]:
    user_loop = UserLoop()
    user_loop.start()
    try:
        yield user_loop
    finally:
        user_loop.stop()


def on_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), LIMIT_SECONDS))


def loop_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("perdure-user-loop-")}


async def where() -> str:
    return threading.current_thread().name


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def test_jobs_run_beside_each_other_on_one_other_thread():
    before = loop_threads()

    async def scenario() -> None:
        async with running() as user_loop:
            together = asyncio.Barrier(50)

            async def meet() -> str:
                await together.wait()
                return await where()

            names = await asyncio.gather(*(user_loop.run(meet) for _ in range(50)))
            assert len(set(names)) == 1
            assert names[0] != threading.current_thread().name

    on_loop(scenario)
    assert loop_threads() == before


def test_what_a_job_raises_reaches_its_caller_and_nobody_else():
    async def scenario() -> None:
        async with running() as user_loop:

            async def raise_(error: BaseException) -> None:
                raise error

            for error in (ValueError("no"), SystemExit(3), KeyboardInterrupt()):
                with pytest.raises(type(error)):
                    await user_loop.run(lambda error=error: raise_(error))
            assert await user_loop.run(where)

    on_loop(scenario)


def test_code_that_blocks_the_loop_holds_up_neither_new_jobs_nor_those_behind_it(gate, monkeypatch):
    monkeypatch.setattr(module, "BLOCKED_AFTER_SECONDS", 0.05)

    async def scenario() -> None:
        async with running() as user_loop:
            inside = threading.Event()

            async def blocks() -> str:
                inside.set()
                gate.wait()
                return await where()

            blocked = asyncio.ensure_future(user_loop.run(blocks))
            await asyncio.to_thread(inside.wait)
            behind = asyncio.ensure_future(user_loop.run(where))
            second = await behind
            assert await user_loop.run(where) == second
            assert not blocked.done()
            gate.set()
            assert await blocked != second

    on_loop(scenario)


def test_cancelling_the_caller_cancels_the_job():
    async def scenario() -> None:
        async with running() as user_loop:
            inside, cancelled = threading.Event(), threading.Event()

            async def waits() -> None:
                inside.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.set()

            caller = asyncio.ensure_future(user_loop.run(waits))
            await asyncio.to_thread(inside.wait)
            caller.cancel()
            await asyncio.wait([caller])
            assert caller.cancelled()
            assert await asyncio.to_thread(cancelled.wait, LIMIT_SECONDS)

    on_loop(scenario)


def test_stop_cancels_what_runs_and_abandons_what_blocks(gate):
    before = loop_threads()

    async def scenario() -> None:
        cancelled, begun, inside = threading.Event(), threading.Event(), threading.Event()

        async def waits() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async def blocks() -> None:
            inside.set()
            gate.wait()

        async with running() as user_loop:
            waiting = asyncio.ensure_future(user_loop.run(waits))
            # Only what has begun can notice that it is cancelled.
            await asyncio.to_thread(begun.wait)
        assert await asyncio.to_thread(cancelled.wait, LIMIT_SECONDS)
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        user_loop.stop()

        async with running() as user_loop:
            blocked = asyncio.ensure_future(user_loop.run(blocks))
            await asyncio.to_thread(inside.wait)
        blocked.cancel()
        await asyncio.wait([blocked])

    on_loop(scenario)
    stuck = loop_threads() - before
    gate.set()
    for thread in stuck:
        thread.join(LIMIT_SECONDS)
    assert loop_threads() == before


def test_stop_lets_nothing_begin_that_has_not(monkeypatch):
    before = loop_threads()

    async def scenario() -> None:
        has_begun = False

        async def begins() -> None:
            nonlocal has_begun
            has_begun = True

        async with running() as user_loop:
            held, release = threading.Event(), threading.Event()

            async def holds_the_loop() -> None:
                held.set()
                release.wait()

            holding = asyncio.ensure_future(user_loop.run(holds_the_loop))
            await asyncio.to_thread(held.wait)
            behind = asyncio.ensure_future(user_loop.run(begins))
            await asyncio.sleep(0)
            (thread,) = loop_threads() - before
            join = thread.join

            def let_go_and_join(timeout: float) -> None:
                # By now the loop knows that it is to end.
                release.set()
                join(timeout)

            monkeypatch.setattr(thread, "join", let_go_and_join)
        await asyncio.wait([holding, behind])
        assert behind.cancelled()
        assert not has_begun

    on_loop(scenario)
    for thread in loop_threads() - before:
        thread.join(LIMIT_SECONDS)
    assert loop_threads() == before


def test_the_pool_runs_plain_functions_within_its_bound(gate):
    async def scenario() -> None:
        pool = ThreadPool(2)
        inside = threading.Semaphore(0)

        def waits() -> str:
            inside.release()
            gate.wait()
            return threading.current_thread().name

        def fails() -> None:
            raise SystemExit(3)

        running = [asyncio.ensure_future(pool.run(waits)) for _ in range(5)]
        for _ in range(2):
            await asyncio.to_thread(inside.acquire)
        assert not inside.acquire(blocking=False)
        gate.set()
        assert len(set(await asyncio.gather(*running))) <= 2
        with pytest.raises(SystemExit):
            await pool.run(fails)
        pool.stop()
        pool.stop()

    on_loop(scenario)
