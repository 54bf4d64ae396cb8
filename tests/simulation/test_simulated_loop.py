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


def test_nothing_of_a_paused_process_runs_until_it_wakes_and_then_everything_in_order():
    seen = []

    async def tick(name, loop):
        while True:
            seen.append((name, loop.time()))
            await asyncio.sleep(1)

    async def main(loop):
        paused, other = SimulatedProcess(), SimulatedProcess()
        paused.run(lambda: tick("paused", loop))
        other.run(lambda: tick("other", loop))
        await asyncio.sleep(0.5)
        paused.pause()
        paused.call_soon(lambda: seen.append(("told", loop.time())))
        await asyncio.sleep(3)
        paused.wake()
        await asyncio.sleep(0.2)
        for process in (paused, other):
            await process.kill()

    run_simulated(main)

    others = [("other", at) for at in range(4)]
    assert seen == [("paused", 0), *others, ("told", 3.5), ("paused", 3.5)]


def test_a_timer_that_is_cancelled_before_its_process_wakes_does_not_run():
    seen = []

    async def main(loop):
        async def begin():
            second = loop.call_later(2, seen.append, "second")
            loop.call_later(1, lambda: (seen.append("first"), second.cancel()))

        process = SimulatedProcess()
        await process.run(begin)
        process.pause()
        await asyncio.sleep(5)
        process.wake()
        await asyncio.sleep(5)

    run_simulated(main)

    assert seen == ["first"]


def test_a_paused_process_can_be_killed():
    async def main(loop):
        process = SimulatedProcess()
        task = process.run(lambda: asyncio.sleep(1))
        await asyncio.sleep(0.5)
        process.pause()
        await asyncio.sleep(5)
        await process.kill()
        return task.cancelled() or task.done()

    assert run_simulated(main)


def test_a_process_counts_time_by_its_own_clock():
    async def main(loop):
        async def sleep():
            before = loop.time()
            await asyncio.sleep(10)
            return loop.time() - before

        begun = loop.time()
        counted = await SimulatedProcess(rate=2.0).run(sleep)
        return counted, loop.time() - begun

    assert run_simulated(main) == (10, 5)
