"""Timer functions: when each runs, one at a time, and what it is told (functions-host.md §10)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any

import azure.functions as func

from perdure.contracts.clock import Clock
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import TimerFunction
from perdure.functions.http_triggers import UserCode
from perdure.functions.invocations import Retries
from perdure.functions.timer_status import NEVER, TimerStatus, TimerStatusStore
from perdure.functions.triggered_runs import TriggeredRuns

_log = logging.getLogger("perdure.functions.timers")

_SLEEP_SECONDS_MAX = 60.0
"""A longer wait is slept in pieces, so that a changed clock or a suspended machine is noticed."""

Sleep = Callable[[float], Awaitable[None]]


class TimerTriggers:
    """All timers of an app, between ``start`` and ``stop``."""

    def __init__(
        self,
        timers: Iterable[TimerFunction],
        user_code: UserCode,
        clients: ClientTexts,
        statuses: TimerStatusStore,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        runs = TriggeredRuns(user_code, clients)
        self._timers = tuple(timers)
        self._make: Callable[[TimerFunction], TimerRunner] = lambda timer: TimerRunner(
            timer, runs, statuses, clock, sleep
        )
        self._tasks: list[tuple[TimerRunner, asyncio.Task[None]]] = []

    def start(self) -> None:
        """Begin, after ``stop`` anew; must be called on the engine loop. Twice-safe."""
        if not self._tasks:
            runners = [self._make(timer) for timer in self._timers]
            self._tasks = [(runner, asyncio.create_task(runner.run())) for runner in runners]

    async def stop(self) -> None:
        """Begin no more runs and wait for those under way; cancelling this abandons them. Twice-safe."""
        tasks, self._tasks = self._tasks, []
        for runner, task in tasks:
            runner.finish()
            if not runner.is_in_user_code:
                task.cancel()
        try:
            await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
        finally:
            for _, task in tasks:
                task.cancel()


class TimerRunner:
    """One timer. Its runs never overlap; a failed run is logged and the schedule goes on."""

    def __init__(
        self,
        timer: TimerFunction,
        runs: TriggeredRuns,
        statuses: TimerStatusStore,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._timer = timer
        self._name = timer.call.name
        self._runs = runs
        self._statuses = statuses
        self._clock = clock
        self._sleep = sleep
        self._finishing = False
        self.is_in_user_code = False

    def finish(self) -> None:
        """Let the run under way be the last."""
        self._finishing = True

    async def run(self) -> None:
        """Run by the schedule until told to finish, or cancelled."""
        due = await self._begin()
        while not self._finishing:
            await self._sleep_until(due)
            due = await self._invoke(due, past_due=False)

    async def _begin(self) -> datetime:
        """Catch up with a missed run, or run once for the start; returns when the next one is due."""
        now = self._clock.now()
        due = self._timer.schedule.next_after(now)
        if self._timer.is_monitored:
            status = await self._statuses.read(self._name)
            if status is None or status.schedule != self._timer.schedule_text:
                last = NEVER if status is None else status.last
                await self._statuses.write(self._name, TimerStatus(self._timer.schedule_text, last, due, now))
            elif status.next <= now:
                _log.info("Timer '%s' is past due: it should have run at %s.", self._name, status.next.isoformat())
                return await self._invoke(now, past_due=True)
            else:
                due = min(due, status.next)
        if self._timer.runs_on_startup:
            return await self._invoke(now, past_due=False)
        return due

    async def _sleep_until(self, due: datetime) -> None:
        while (left := (due - self._clock.now()).total_seconds()) > 0:
            await self._sleep(min(left, _SLEEP_SECONDS_MAX))

    async def _invoke(self, scheduled: datetime, *, past_due: bool) -> datetime:
        """Run the function; returns when it is due again.

        That is counted from the start of this run, so a run that took long is followed by one at once, and what was
        missed in between is skipped.
        """
        status = await self._statuses.read(self._name) if self._timer.is_monitored else None
        started = max(self._clock.now(), scheduled)
        request = func.timer.TimerRequest(
            past_due=past_due,
            schedule_status=None if status is None else _shown(status),
            schedule={"AdjustForDST": True},
        )
        await self._call(request)
        due = self._timer.schedule.next_after(started)
        if self._timer.is_monitored:
            await self._statuses.write(
                self._name, TimerStatus(self._timer.schedule_text, started, due, self._clock.now())
            )
        return due

    async def _call(self, request: Any) -> None:
        """Run the function, again and again while its retry policy says so."""
        call, policy = self._timer.call, self._timer.retry
        retries_max = -1 if policy is None or policy.retries_max is None else policy.retries_max
        error: BaseException | None = None
        count = 0
        while True:
            self.is_in_user_code = True
            try:
                retries = None if policy is None else Retries(count, retries_max, error)
                error = await self._runs.run(call, request, reason="Timer fired", retries=retries)
            finally:
                self.is_in_user_code = False
            if error is None or policy is None or self._finishing or not policy.allows(count):
                return
            delay = policy.delay(count)
            count += 1
            _log.warning("Timer '%s' runs again in %s (retry %d).", self._name, delay, count)
            await self._sleep(delay.total_seconds())


def _shown(status: TimerStatus) -> dict[str, str]:
    return {
        "Last": status.last.isoformat(),
        "Next": status.next.isoformat(),
        "LastUpdated": status.updated.isoformat(),
    }
