"""Timer runs on a clock of our own: sleeping moves it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import azure.functions as func
import pytest

from perdure.formats.http_json import LinkTerms
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import TimerFunction, UserFunction
from perdure.functions.retry_policies import RetryPolicy
from perdure.functions.schedules import read_schedule
from perdure.functions.timer_status import NEVER, FileTimerStatuses, TimerStatus
from perdure.functions.timer_triggers import TimerTriggers

T = TypeVar("T")

START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
CLIENTS = ClientTexts(LinkTerms("http://localhost:7071/base", "Hub", "AzureWebJobsStorage"), "tok")


class World:
    """A clock, a sleep that moves it, and lanes that run in place. It ends the timers at its end of days."""

    def __init__(self, end: datetime) -> None:
        self.time = START
        self.ended = asyncio.Event()
        self._end = end

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if self.time + timedelta(seconds=seconds) > self._end:
            self.ended.set()
            await asyncio.Event().wait()
        self.time += timedelta(seconds=seconds)

    async def run_sync(self, job: Callable[[], T]) -> T:
        return job()

    def run_async(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        return begin()


Run = tuple[str, func.TimerRequest]


def live(
    folder: Path,
    schedule: str,
    minutes: float = 5,
    *,
    monitored: bool = True,
    on_startup: bool = False,
    body: Callable[[World, int], None] = lambda world, n: None,
) -> list[Run]:
    """Let a timer live for some minutes; what it was given, and when."""
    runs: list[Run] = []

    async def main() -> None:
        world = World(START + timedelta(minutes=minutes))

        def code(timer: func.TimerRequest) -> None:
            runs.append((f"{world.time:%H:%M:%S}", timer))
            body(world, len(runs))

        call = UserFunction("tick", code, "timer", str(folder))
        timer = TimerFunction(call, schedule, read_schedule(schedule, ZoneInfo("UTC")), on_startup, monitored)
        triggers = TimerTriggers([timer], world, CLIENTS, FileTimerStatuses(folder, "Hub"), world, world.sleep)
        triggers.start()
        await asyncio.wait_for(world.ended.wait(), 10)
        await triggers.stop()
        await triggers.stop()

    asyncio.run(main())
    return runs


def times(runs: list[Run]) -> list[str]:
    return [time for time, _ in runs]


def status(folder: Path) -> dict[str, str]:
    return json.loads((folder / "timers" / "hub" / "tick.json").read_text())


def test_runs_by_its_schedule(tmp_path: Path) -> None:
    runs = live(tmp_path, "0 */2 * * * *")
    assert times(runs) == ["12:02:00", "12:04:00"]
    assert not any(request.past_due for _, request in runs)
    first, second = (request.schedule_status for _, request in runs)
    assert first["Last"] == NEVER.isoformat()
    assert first["Next"] == "2026-03-01T12:02:00+00:00"
    assert second["Last"] == "2026-03-01T12:02:00+00:00"
    assert runs[0][1].schedule == {"AdjustForDST": True}
    assert status(tmp_path)["Next"] == "2026-03-01T12:06:00+00:00"


def test_a_time_span_is_a_gap_from_the_start(tmp_path: Path) -> None:
    assert times(live(tmp_path, "00:02:00")) == ["12:02:30", "12:04:30"]


def test_a_long_wait_is_slept_in_pieces(tmp_path: Path) -> None:
    assert times(live(tmp_path, "0 0 13 * * *", minutes=61)) == ["13:00:00"]


def test_missed_runs_are_made_up_for_once(tmp_path: Path) -> None:
    earlier = START - timedelta(hours=5)
    asyncio.run(FileTimerStatuses(tmp_path, "Hub").write("tick", TimerStatus("0 0 * * * *", NEVER, earlier, earlier)))
    runs = live(tmp_path, "0 0 * * * *", minutes=61, on_startup=True)
    assert times(runs) == ["12:00:30", "13:00:00"]
    assert [request.past_due for _, request in runs] == [True, False]


def test_a_changed_schedule_starts_anew_without_firing(tmp_path: Path) -> None:
    earlier = START - timedelta(hours=5)
    asyncio.run(FileTimerStatuses(tmp_path, "Hub").write("tick", TimerStatus("0 0 5 * * *", earlier, earlier, earlier)))
    runs = live(tmp_path, "0 */2 * * * *")
    assert times(runs) == ["12:02:00", "12:04:00"]
    assert runs[0][1].schedule_status["Last"] == earlier.isoformat()


def test_a_gap_that_had_begun_is_kept_over_a_restart(tmp_path: Path) -> None:
    due = START + timedelta(minutes=1)
    asyncio.run(FileTimerStatuses(tmp_path, "Hub").write("tick", TimerStatus("00:10:00", START, due, START)))
    assert times(live(tmp_path, "00:10:00")) == ["12:01:30"]


def test_run_on_startup(tmp_path: Path) -> None:
    runs = live(tmp_path, "0 */4 * * * *", on_startup=True)
    assert times(runs) == ["12:00:30", "12:04:00"]
    assert not runs[0][1].past_due


def test_an_unmonitored_timer_keeps_no_status(tmp_path: Path) -> None:
    runs = live(tmp_path, "0 */4 * * * *", monitored=False)
    assert times(runs) == ["12:04:00"]
    assert runs[0][1].schedule_status == {}
    assert not list(tmp_path.iterdir())


def test_a_long_run_is_followed_by_one_at_once_and_skips_what_was_missed(tmp_path: Path) -> None:
    def slow_first(world: World, n: int) -> None:
        if n == 1:
            world.time += timedelta(seconds=150)

    assert times(live(tmp_path, "0 * * * * *", body=slow_first)) == ["12:01:00", "12:03:30", "12:04:00", "12:05:00"]


def test_a_failed_run_is_logged_and_the_schedule_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(world: World, n: int) -> None:
        raise SystemExit(n)

    assert times(live(tmp_path, "0 */2 * * * *", body=fail)) == ["12:02:00", "12:04:00"]
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(failures) == 2
    assert "Executed 'Functions.tick' (Failed" in failures[0].getMessage()


def test_a_damaged_status_starts_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "timers" / "hub"
    folder.mkdir(parents=True)
    for damaged in ("{", "[]", "{}", '{"Schedule": "x", "Last": "2026-01-01", "Next": "2026-01-01", "LastUpdated": 5}'):
        (folder / "tick.json").write_text(damaged)
        assert times(live(tmp_path, "0 */4 * * * *")) == ["12:04:00"]
    assert caplog.text.count("starts anew") == 4


def test_a_status_that_cannot_be_written_does_not_stop_the_timer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "timers").write_text("a file in the way")
    assert times(live(tmp_path, "0 */4 * * * *")) == ["12:04:00"]
    assert "cannot be written" in caplog.text


def test_stopping_waits_for_the_run_under_way(tmp_path: Path) -> None:
    async def main() -> list[str]:
        events: list[str] = []
        entered, leave = asyncio.Event(), asyncio.Event()
        world = World(START + timedelta(days=1))

        async def code(timer: func.TimerRequest) -> None:
            events.append("began")
            entered.set()
            await leave.wait()
            events.append("ended")

        call = UserFunction("tick", code, "timer", str(tmp_path), is_async=True)
        timer = TimerFunction(call, "00:01:00", read_schedule("00:01:00", ZoneInfo("UTC")), True)
        triggers = TimerTriggers([timer], world, CLIENTS, FileTimerStatuses(tmp_path, "Hub"), world, world.sleep)
        triggers.start()
        await entered.wait()
        stopping = asyncio.create_task(triggers.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        leave.set()
        await stopping
        return events

    assert asyncio.run(main()) == ["began", "ended"]


def retried(folder: Path, policy: RetryPolicy, fails: Callable[[int], bool], minutes: float = 5) -> list[str]:
    """Let a timer with a retry policy live; when it ran, and what its context said."""
    said: list[str] = []

    async def main() -> None:
        world = World(START + timedelta(minutes=minutes))

        def code(timer: func.TimerRequest, context: func.Context) -> None:
            retries = context.retry_context
            said.append(f"{world.time:%H:%M:%S} {retries.retry_count}/{retries.max_retry_count} {retries.exception!r}")
            if fails(len(said)):
                raise ValueError(len(said))

        call = UserFunction("tick", code, "timer", str(folder), wants_context=True)
        schedule = read_schedule("0 */2 * * * *", ZoneInfo("UTC"))
        timer = TimerFunction(call, "0 */2 * * * *", schedule, retry=policy)
        triggers = TimerTriggers([timer], world, CLIENTS, FileTimerStatuses(folder, "Hub"), world, world.sleep)
        triggers.start()
        await asyncio.wait_for(world.ended.wait(), 10)
        await triggers.stop()

    asyncio.run(main())
    return said


def test_a_fixed_retry_policy(tmp_path: Path) -> None:
    policy = RetryPolicy(2, timedelta(seconds=5), timedelta(seconds=5))
    assert retried(tmp_path, policy, lambda n: n <= 3) == [
        "12:02:00 0/2 None",
        "12:02:05 1/2 ValueError(1)",
        "12:02:10 2/2 ValueError(2)",
        "12:04:00 0/2 None",
    ]


def test_a_growing_retry_policy_without_end(tmp_path: Path) -> None:
    policy = RetryPolicy(None, timedelta(seconds=4), timedelta(seconds=10))
    assert [line.split()[0] for line in retried(tmp_path, policy, lambda n: n <= 4, minutes=2)] == [
        "12:02:00",
        "12:02:04",
        "12:02:12",
        "12:02:22",
    ]
