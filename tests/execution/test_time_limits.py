"""Functions that do not return in time: what becomes of them, of their threads, and of the others."""

import asyncio
import sys
import threading
import time

import pytest

from perdure.contracts.records import PendingActivity
from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode, Registry
from perdure.execution.black_box import NoBox
from perdure.execution.local_activities import LocalActivities
from perdure.execution.threads import ThreadPool
from perdure.execution.time_limits import FunctionTimedOut, within
from perdure.execution.user_loop import UserLoop

LIMIT = 0.1


def test_what_returns_in_time_is_given_back():
    async def job() -> int:
        return 7

    async def main() -> None:
        assert await within(5, job()) == 7
        assert await within(None, job()) == 7

    asyncio.run(main())


def test_a_time_out_of_the_code_itself_is_its_own():
    async def job() -> None:
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        asyncio.run(within(5, job()))


def test_what_takes_too_long_is_cancelled():
    cancelled: list[bool] = []

    async def job() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(FunctionTimedOut, match=r"within 0:00:00\.1.*functionTimeout"):
        asyncio.run(within(LIMIT, job()))
    assert cancelled == [True]


def test_no_clock_runs_while_somebody_debugs():
    released = asyncio.Event()

    async def main() -> int:
        loop = asyncio.get_running_loop()
        before = sys.gettrace()
        sys.settrace(lambda *_: None)
        loop.call_later(LIMIT * 3, released.set)
        try:
            return await within(LIMIT, asyncio.wait_for(_seven_when(released), 10))
        finally:
            sys.settrace(before)

    assert asyncio.run(main()) == 7


async def _seven_when(event: asyncio.Event) -> int:
    await event.wait()
    return 7


def test_a_thread_that_is_kept_is_replaced():
    async def main() -> None:
        pool, release = ThreadPool(2), threading.Event()
        try:
            for _ in range(5):
                with pytest.raises(FunctionTimedOut):
                    await within(LIMIT, pool.run(release.wait))
            assert await asyncio.wait_for(pool.run(lambda: 1), 10) == 1
        finally:
            release.set()
            pool.stop()

    asyncio.run(main())


def test_a_job_that_has_not_begun_is_taken_back():
    ran: list[int] = []

    async def main() -> None:
        pool, release = ThreadPool(1), threading.Event()
        first = asyncio.ensure_future(pool.run(release.wait))
        second = asyncio.ensure_future(pool.run(lambda: ran.append(2)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        release.set()
        assert await first
        await pool.run(lambda: ran.append(3))
        pool.stop()

    asyncio.run(main())
    assert ran == [3]


class Stage:
    """Activities under a limit: one that is quick, one that keeps its thread, one that waits on the loop."""

    def __init__(self, *, threads: int = 1, mixed: bool) -> None:
        self.release = threading.Event()
        self.user_loop = UserLoop()
        registry = Registry()
        registry.add_activity(ActivityDefinition("echo", lambda call: call.input))
        registry.add_activity(ActivityDefinition("stuck", self._stuck))
        if mixed:
            registry.add_activity(ActivityDefinition("waits", self._waits, ActivityMode.LOOP))
        self.activities = LocalActivities(
            registry,
            self.user_loop,
            threads_max=threads,
            concurrent_max=threads + 1,
            payload_bytes_max=1000,
            box=NoBox(),
            seconds_max=LIMIT,
        )
        self._number = 0

    def _stuck(self, call: ActivityCall) -> str:
        self.release.wait(20)
        return "late"

    async def _waits(self, call: ActivityCall) -> str:
        await asyncio.Event().wait()
        return "never"

    async def results(self, *names: str) -> dict[int, str | None]:
        """Run activities; what each returned, or the type and message of its failure."""
        pending: list[PendingActivity] = []
        for name in names:
            self._number += 1
            pending.append(
                PendingActivity(self._number, "order-1", "", self._number, self._number, name, str(self._number))
            )
        self.activities.begin(pending)
        taken: dict[int, str | None] = {}
        while len(taken) < len(names):
            for result in await asyncio.wait_for(self.activities.results(), 10):
                assert result.activity.number not in taken
                failure = result.failure
                text = result.result if failure is None else f"{failure.error_type}: {failure.message}"
                taken[result.activity.number] = text
        return taken

    async def __aenter__(self) -> "Stage":
        self.user_loop.start()
        self.activities.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.release.set()
        self.activities.stop()
        self.user_loop.stop()


@pytest.mark.parametrize("mixed", [False, True])
def test_stuck_activities_fail_and_the_others_go_on(mixed: bool):
    async def main() -> None:
        async with Stage(mixed=mixed) as stage:
            results = await stage.results("stuck", "stuck", "echo")
            for number in (1, 2):
                assert results[number] is not None
                assert str(results[number]).startswith(
                    "TimeoutError: Activity 'stuck' failed. It has not returned within"
                )
            assert results[3] == "3"
            # What returns after all has nobody who waits for it.
            stage.release.set()
            assert await stage.results(*["echo"] * 5) == {number: str(number) for number in range(4, 9)}
            assert await stage.activities.drain(5)

    asyncio.run(main())


def test_a_coroutine_that_takes_too_long_is_cancelled():
    async def main() -> None:
        async with Stage(mixed=True) as stage:
            results = await stage.results("waits", "echo", "waits")
            assert [str(results[n]).partition(":")[0] for n in (1, 2, 3)] == ["TimeoutError", "2", "TimeoutError"]

    asyncio.run(main())


def test_a_breakpoint_fails_no_activity():
    async def main() -> None:
        async with Stage(mixed=False) as stage:
            before = sys.gettrace()
            sys.settrace(lambda *_: None)
            asyncio.get_running_loop().call_later(LIMIT * 4, stage.release.set)
            began = time.monotonic()
            try:
                assert await stage.results("stuck") == {1: "late"}
            finally:
                sys.settrace(before)
            assert time.monotonic() - began >= LIMIT * 4

    asyncio.run(main())
