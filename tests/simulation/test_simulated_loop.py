"""Virtual time: exact, ordered, and honest about there being nothing left to do."""

import asyncio
from datetime import timedelta

import pytest

from perdure.testing.simulated_loop import EPOCH, NothingLeftToDo, SimulatedClock, SimulatedProcess, run_simulated

TEN_YEARS = timedelta(days=3653)


def test_far_times_are_exact():
    async def main(loop):
        clock = SimulatedClock(loop)
        await asyncio.sleep(TEN_YEARS.total_seconds())
        await asyncio.sleep(0.000_001)
        return clock.now()

    assert run_simulated(main) == EPOCH + TEN_YEARS + timedelta(microseconds=1)


def test_what_is_due_first_comes_first_and_ready_callbacks_keep_their_order():
    seen = []

    async def main(loop):
        loop.call_later(2, seen.append, "second")
        loop.call_later(1, seen.append, "first")
        for number in range(3):
            loop.call_soon(seen.append, number)
        await asyncio.sleep(3)

    run_simulated(main)

    assert seen == [0, 1, 2, "first", "second"]


def test_time_moves_only_while_everybody_waits():
    async def main(loop):
        for _ in range(1000):
            await asyncio.sleep(0)
        return loop.time()

    assert run_simulated(main) == 0


def test_a_wait_that_nothing_can_end_is_an_error():
    async def main(loop):
        await loop.create_future()

    with pytest.raises(NothingLeftToDo):
        run_simulated(main)


def test_a_clock_jumps_and_the_loop_does_not():
    async def main(loop):
        clock = SimulatedClock(loop)
        clock.jump(timedelta(hours=-1))
        await asyncio.sleep(10)
        return clock.now(), loop.time()

    assert run_simulated(main) == (EPOCH + timedelta(hours=-1, seconds=10), 10)


def test_killing_a_process_ends_its_tasks_and_theirs_and_no_others():
    ended = []

    async def run(name):
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(name)

    async def main(loop):
        async def parent():
            children = [asyncio.create_task(run("child"))]
            await run("parent")
            return children

        process = SimulatedProcess()
        process.run(parent)
        other = asyncio.create_task(run("other"))
        await asyncio.sleep(1)
        await process.kill()
        killed, at = sorted(ended), loop.time()
        await other
        return killed, at

    assert run_simulated(main) == (["child", "parent"], 1)
