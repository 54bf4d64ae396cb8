"""Activities on real threads and the users' loop: many at once, limits, slow mates, failures, and the end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure.contracts.executor import ActivityResult
from perdure.contracts.records import PendingActivity
from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode, Registry
from perdure.execution import local_activities as module
from perdure.execution.black_box import NoBox
from perdure.execution.local_activities import LocalActivities
from perdure.execution.user_loop import UserLoop

LIMIT_SECONDS = 30


class Gauge:
    """How many are inside at once, now and at most."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self.now -= 1


class Lane:
    """Activities by decorator, and their results."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.activities: LocalActivities
        self._number = 0

    def plain(self, code: Callable[[str | None], Any]) -> None:
        self.registry.add_activity(ActivityDefinition(code.__name__, lambda call: code(call.input)))

    def coroutine(self, code: Callable[[str | None], Any]) -> None:
        async def run(call: ActivityCall) -> Any:
            return await code(call.input)

        self.registry.add_activity(ActivityDefinition(code.__name__, run, ActivityMode.LOOP))

    def pending(self, name: str, input: str | None = None) -> PendingActivity:
        self._number += 1
        return PendingActivity(self._number, "order-1", "", self._number, self._number, name, input)

    def begin(self, name: str, *inputs: str | None) -> None:
        self.activities.begin([self.pending(name, input) for input in inputs])

    async def take(self, count: int) -> list[ActivityResult]:
        taken: list[ActivityResult] = []
        while len(taken) < count:
            taken.extend(await self.activities.results())
        assert len(taken) == count
        return taken

    async def take_one(self) -> ActivityResult:
        return (await self.take(1))[0]


@asynccontextmanager
async def running(lane: Lane, *, threads: int = 4, at_once: int = 100, payload: int = 1000) -> AsyncIterator[Lane]:
    user_loop = UserLoop()
    lane.activities = LocalActivities(
        lane.registry, user_loop, threads_max=threads, concurrent_max=at_once, payload_bytes_max=payload, box=NoBox()
    )
    user_loop.start()
    lane.activities.start()
    try:
        yield lane
    finally:
        lane.activities.stop()
        user_loop.stop()


def on_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), LIMIT_SECONDS))


def activity_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("perdure-activity-")}


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def test_thousands_of_short_ones_each_end_once():
    async def scenario() -> None:
        lane = Lane()
        lane.plain(echo)
        async with running(lane, threads=8):
            for first in range(0, 10_000, 100):
                lane.begin("echo", *(str(number) for number in range(first, first + 100)))
                if first % 700 == 0:
                    # Let threads run dry and fall asleep in between.
                    await asyncio.sleep(0)
            results = await lane.take(10_000)
            assert sorted(int(result.result or "") for result in results) == list(range(10_000))
            assert len(activity_threads()) <= 8

    on_loop(scenario)


def test_one_after_the_other_none_is_left_asleep():
    async def scenario() -> None:
        lane = Lane()
        lane.plain(echo)
        async with running(lane, threads=3):
            for number in range(2_000):
                lane.begin("echo", str(number))
                assert (await lane.take_one()).result == str(number)

    on_loop(scenario)


def test_a_slow_one_holds_up_nobody_while_there_is_a_thread(gate):
    async def scenario() -> None:
        lane = Lane()
        lane.plain(echo)
        lane.plain(lambda_named("slow", lambda input: str(gate.wait())))
        async with running(lane, threads=2):
            lane.begin("slow", None)
            lane.begin("echo", *map(str, range(500)))
            assert all(result.activity.name == "echo" for result in await lane.take(500))
            gate.set()
            assert (await lane.take_one()).activity.name == "slow"

    on_loop(scenario)


def test_no_more_threads_than_the_lower_limit(gate):
    async def scenario() -> None:
        lane, gauge = Lane(), Gauge()

        def counted(input: str | None) -> None:
            with gauge:
                inside.release()
                gate.wait()

        inside = threading.Semaphore(0)
        lane.plain(counted)
        async with running(lane, threads=8, at_once=3):
            lane.begin("counted", *[None] * 20)
            for _ in range(3):
                await asyncio.to_thread(inside.acquire)
            gate.set()
            await lane.take(20)
            assert gauge.most == 3

    on_loop(scenario)


def test_both_kinds_together_keep_to_one_limit():
    async def scenario() -> None:
        lane, gauge = Lane(), Gauge()

        @lane.plain
        def plain(input: str | None) -> None:
            with gauge:
                threading.Event().wait(0.001)

        @lane.coroutine
        async def coroutine(input: str | None) -> None:
            with gauge:
                await asyncio.sleep(0.001)

        async with running(lane, threads=4, at_once=5):
            for _ in range(30):
                lane.begin("plain", *[None] * 5)
                lane.begin("coroutine", *[None] * 5)
            await lane.take(300)
            assert gauge.most == 5

    on_loop(scenario)


def test_plain_ones_do_without_the_loop_while_no_coroutine_is_in_use():
    """Also after one was: the host itself brings one that few apps use."""

    async def scenario() -> None:
        lane, done = Lane(), threading.Event()

        @lane.plain
        def plain(input: str | None) -> None:
            if input == "last":
                done.set()

        @lane.coroutine
        async def coroutine(input: str | None) -> None:
            await asyncio.sleep(0)

        async with running(lane, threads=1, at_once=2):
            for _ in range(2):
                done.clear()
                lane.begin("plain", *[None] * 40, "last")
                # The loop stands still, and all of them run.
                assert done.wait(LIMIT_SECONDS)
                await lane.take(41)
                lane.begin("coroutine", None)
                lane.begin("plain", None)
                await lane.take(2)

    on_loop(scenario)


@pytest.mark.parametrize("busy", ["plain", "coroutine"])
def test_many_of_one_kind_do_not_starve_the_other(busy: str, gate: threading.Event):
    """Older ones begin first, and what needs no thread does not wait for one."""

    async def scenario() -> None:
        lane = Lane()
        lane.plain(lambda_named("plain", lambda input: str(gate.wait())))

        @lane.coroutine
        async def coroutine(input: str | None) -> None:
            if busy == "coroutine":
                await asyncio.to_thread(gate.wait)

        async with running(lane, threads=2, at_once=3):
            lane.begin(busy, *[None] * 10)
            if busy == "plain":
                # Both threads are taken and eight wait for them; the third place is for whoever needs none.
                lane.begin("coroutine", *[None] * 5)
                assert {result.activity.name for result in await lane.take(5)} == {"coroutine"}
                gate.set()
                await lane.take(10)
                return
            lane.begin("plain", None)
            gate.set()
            assert len(await lane.take(11)) == 11

    on_loop(scenario)


def test_a_coroutine_one_runs_on_the_users_loop_and_its_failures_are_results():
    async def scenario() -> None:
        lane = Lane()
        loops: list[asyncio.AbstractEventLoop] = []

        @lane.coroutine
        async def outcome(input: str | None) -> str | None:
            loops.append(asyncio.get_running_loop())
            if input == "raise":
                raise ValueError("no")
            if input == "cancel":
                raise asyncio.CancelledError
            if input == "exit":
                raise SystemExit(3)
            await asyncio.sleep(0)
            return input

        async with running(lane):
            for input, error_type in [
                ("1", None), ("raise", "ValueError"), ("cancel", "CancelledError"), ("exit", "SystemExit"), ("2", None),
            ]:  # fmt: skip
                lane.begin("outcome", input)
                result = await lane.take_one()
                assert (result.failure.error_type if result.failure else None) == error_type
            assert asyncio.get_running_loop() not in loops

    on_loop(scenario)


class Odd(BaseException):
    """Not even an Exception."""


def test_whatever_a_plain_one_raises_is_its_result_and_the_thread_goes_on():
    async def scenario() -> None:
        lane = Lane()
        errors = [ValueError("no"), SystemExit(1), KeyboardInterrupt(), Odd(), StopIteration(), GeneratorExit()]

        @lane.plain
        def raises(input: str | None) -> None:
            raise errors[int(input or 0)]

        async with running(lane, threads=1):
            lane.begin("raises", *map(str, range(len(errors))))
            results = await lane.take(len(errors))
            assert [result.failure.error_type for result in results if result.failure] == [
                type(error).__name__ for error in errors
            ]

    on_loop(scenario)


def test_an_unknown_name_fails_and_lists_what_there_is():
    async def scenario() -> None:
        lane = Lane()
        lane.plain(echo)
        async with running(lane):
            lane.begin("ecko", None)
            result = await lane.take_one()
            assert result.failure is not None
            assert "'echo'" in result.failure.message

    on_loop(scenario)


@pytest.mark.parametrize(("size", "is_refused"), [(99, False), (100, False), (101, True)])
@pytest.mark.parametrize("letter", ["a", "ä"])
def test_a_result_over_the_limit_fails_with_its_size(size: int, is_refused: bool, letter: str):
    async def scenario() -> None:
        lane = Lane()
        bytes_each = len(letter.encode())
        lane.plain(lambda_named("make", lambda input: letter * (size // bytes_each) + "b" * (size % bytes_each)))
        async with running(lane, payload=100):
            lane.begin("make", None)
            result = await lane.take_one()
            assert (result.failure is not None) == is_refused
            if result.failure is not None:
                assert result.failure.error_type == "PayloadTooLarge"
                assert f"{size} bytes" in result.failure.message

    on_loop(scenario)


def test_drain_begins_nothing_more_and_waits_for_what_runs(gate):
    async def scenario() -> None:
        lane, inside = Lane(), threading.Event()

        def slow(input: str | None) -> str:
            inside.set()
            return str(gate.wait())

        lane.plain(slow)
        async with running(lane, threads=1):
            lane.begin("slow", "1", "2")
            await asyncio.to_thread(inside.wait)
            assert await lane.activities.drain(0) is False
            draining = asyncio.ensure_future(lane.activities.drain(LIMIT_SECONDS))
            lane.begin("slow", "3")
            gate.set()
            assert await draining is True
            assert [result.activity.input for result in await lane.activities.results()] == ["1"]

    on_loop(scenario)


def test_drain_waits_for_coroutines_too():
    async def scenario() -> None:
        lane, gate = Lane(), asyncio.Event()
        loops: list[asyncio.AbstractEventLoop] = []
        inside = threading.Event()

        @lane.coroutine
        async def slow(input: str | None) -> None:
            loops.append(asyncio.get_running_loop())
            inside.set()
            await gate.wait()

        async with running(lane, at_once=1):
            lane.begin("slow", "1", "2")
            await asyncio.to_thread(inside.wait)
            assert await lane.activities.drain(0) is False
            loops[0].call_soon_threadsafe(gate.set)
            assert await lane.activities.drain(LIMIT_SECONDS) is True
            assert [result.activity.input for result in await lane.activities.results()] == ["1"]

    on_loop(scenario)


def test_stop_ends_the_threads_and_abandons_what_is_stuck(gate):
    before = activity_threads()

    async def scenario() -> None:
        lane = Lane()
        lane.plain(echo)
        lane.plain(lambda_named("stuck", lambda input: str(gate.wait())))
        async with running(lane, threads=4):
            lane.begin("echo", *map(str, range(100)))
            await lane.take(100)
            lane.begin("stuck", None)
        lane.activities.stop()

    on_loop(scenario)
    stuck = activity_threads() - before
    gate.set()
    for thread in stuck:
        thread.join(LIMIT_SECONDS)
    assert activity_threads() == before


def test_when_no_thread_can_be_made_the_activity_waits_for_one(monkeypatch, caplog):
    async def scenario() -> None:
        lane = Lane()
        lane.plain(echo)
        refused: list[None] = []
        make = module.Doorbell

        def refuse_once() -> Any:
            if not refused:
                refused.append(None)
                raise OSError(24, "Too many open files")
            return make()

        monkeypatch.setattr(module, "Doorbell", refuse_once)
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
        async with running(lane):
            lane.begin("echo", "1")
            assert (await lane.take_one()).result == "1"
        assert "No thread can be made" in caplog.text

    on_loop(scenario)


def echo(input: str | None) -> str | None:
    return input


def lambda_named(name: str, code: Callable[[str | None], Any]) -> Callable[[str | None], Any]:
    code.__name__ = name
    return code
