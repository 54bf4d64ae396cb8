"""Timers run in the process that holds the first partition, and nowhere else."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import pytest

from perdure.contracts.errors import Unavailable
from perdure.contracts.observer import PartitionsHeld
from perdure.functions.timer_status import TimerStatus
from perdure.host import timer_notes
from perdure.host.timer_duty import TimerDuty
from perdure.host.timer_notes import NotedTimerStatuses


class Timers:
    """Notes what it is told; a stop lasts until a run under way has ended."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    def start(self) -> None:
        self.told.append("start")

    async def stop(self) -> None:
        self.told.append("stop")
        await self.may_end.wait()
        self.told.append("stopped")


def held(*partitions: int) -> PartitionsHeld:
    return PartitionsHeld(frozenset(partitions))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_they_run_once_the_host_is_ready() -> None:
    async def run() -> None:
        timers = Timers()
        duty = TimerDuty(timers)
        duty.announce(held(0, 1))
        await settled()
        assert timers.told == []
        duty.begin()
        await settled()
        assert timers.told == ["start"]
        await duty.stop()
        await duty.stop()
        duty.announce(held(0))
        await settled()
        assert timers.told == ["start", "stop", "stopped"]

    asyncio.run(run())


def test_they_follow_the_first_partition() -> None:
    async def run() -> list[str]:
        timers = Timers()
        duty = TimerDuty(timers)
        duty.begin()
        for partitions in [(3,), (3, 0), (0,), (3,), (3, 4), (0,)]:
            duty.announce(held(*partitions))
            await settled()
        return timers.told

    assert asyncio.run(run()) == ["start", "stop", "stopped", "start"]


def test_a_long_run_ends_before_they_start_anew() -> None:
    async def run() -> None:
        timers = Timers()
        duty = TimerDuty(timers)
        duty.begin()
        duty.announce(held(0))
        await settled()
        timers.may_end.clear()
        duty.announce(held())
        await settled()
        duty.announce(held(0))
        await settled()
        assert timers.told == ["start", "stop"]
        timers.may_end.set()
        await settled()
        assert timers.told == ["start", "stop", "stopped", "start"]

    asyncio.run(run())


class Notes:
    """The notes of a hub whose store is away now and then."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.failures = 0

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")

    async def read(self, prefix: str) -> dict[str, str]:
        self._fail()
        return {name: text for name, text in self.kept.items() if name.startswith(prefix)}

    async def add(self, notes: Mapping[str, str]) -> None:
        raise AssertionError("a status is put")

    async def put(self, notes: Mapping[str, str]) -> None:
        self._fail()
        self.kept.update(notes)

    async def remove(self, names: Collection[str]) -> None:
        raise AssertionError("a status is put")


def test_a_status_is_not_lost_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_notes, "AGAIN_SECONDS", 0)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    status = TimerStatus("0 0 * * * *", at, at, at)

    async def run() -> TimerStatus | None:
        notes = Notes()
        statuses = NotedTimerStatuses(notes)
        assert await statuses.read("tick") is None
        notes.failures = 2
        await statuses.write("Tick", status)
        await statuses.write("tick_tock", TimerStatus("other", at, at, at))
        notes.failures = 2
        return await statuses.read("tick")

    assert asyncio.run(run()) == status


def test_a_text_that_is_no_status_starts_anew(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> TimerStatus | None:
        notes = Notes()
        notes.kept["timer/tick"] = "{}"
        return await NotedTimerStatuses(notes).read("tick")

    assert asyncio.run(run()) is None
    assert "starts anew" in caplog.text
