"""asyncio on virtual time: the stock loop over a selector that lets time pass instead of waiting.

Virtual time is a whole number of microseconds, so that the far future is as exact as the present.
Ready callbacks run in the order asyncio promises; nothing is shuffled.
Several processes may share a loop: each can be killed, stopped for a while, and have a monotonic clock that drifts.
"""

import asyncio
import contextvars
import math
import selectors
from collections.abc import Awaitable, Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class NothingLeftToDo(RuntimeError):
    """Every task waits and no timer is armed: nothing can ever happen again on this loop."""


class _VirtualSelector(selectors.SelectSelector):
    """Never looks at a file: to wait is to move the time."""

    def __init__(self) -> None:
        super().__init__()
        self.microseconds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeftToDo("Every task waits and no timer is armed.")
        if timeout > 0:
            # A float of ten years is off by less than a tenth of a microsecond; that is no reason to wait a whole one.
            self.microseconds += math.ceil(timeout * 1e6 - 0.25)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop for one thread and no files. ``time()`` begins at 0 and moves only while everybody waits."""

    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-6
        self.set_task_factory(_make_task)

    def time(self) -> float:
        """Virtual time, as the process that asks measures it."""
        seconds = self._virtual.microseconds / 1e6
        process = _process.get()
        return seconds if process is None else seconds * process.rate

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)  # type: ignore[arg-type]
        if _process_of(context) is not None:
            handle.__class__ = _Step
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        if (process := _process.get()) is not None:
            when /= process.rate
        timer = super().call_at(when, callback, *args, context=context)  # type: ignore[arg-type]
        if _process_of(context) is not None:
            timer.__class__ = _TimedStep
        return timer

    @property
    def microseconds(self) -> int:
        """Virtual time, exactly."""
        return self._virtual.microseconds


class SimulatedClock:
    """Wall time on a simulated loop; it may jump, as clocks do, while the loop's own time goes on evenly.

    ``rate``: how many seconds it shows for one of the loop's.
    """

    def __init__(self, loop: SimulatedLoop, rate: float = 1.0) -> None:
        self._loop = loop
        self._rate = rate
        self._jumped = timedelta()
        self.latest = EPOCH
        """The latest time it ever showed."""

    def now(self) -> datetime:
        now = EPOCH + self._jumped + self._loop.microseconds * self._rate * MICROSECOND
        if now > self.latest:
            self.latest = now
        return now

    def jump(self, by: timedelta) -> None:
        """Set the clock forward or back."""
        self._jumped += by


class SimulatedProcess:
    """Whatever tasks were begun within ``run`` and by those tasks: they can be ended together, at any await.

    ``rate``: how many seconds its monotonic clock counts in one second.
    """

    def __init__(self, rate: float = 1.0) -> None:
        self.rate = rate
        self.is_paused = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._withheld: list[asyncio.Handle] = []

    def run(self, begin: Callable[[], Awaitable[T]]) -> "asyncio.Task[T]":
        """Begin a task of this process."""
        return asyncio.get_running_loop().create_task(_awaited(begin), context=self.context())

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Let something that happens outside reach this process."""
        asyncio.get_running_loop().call_soon(callback, *args, context=self.context())

    def context(self) -> contextvars.Context:
        """The present context, of this process."""
        context = contextvars.copy_context()
        context.run(_process.set, self)
        return context

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def pause(self) -> None:
        """From here on nothing of it runs, while the time of all others goes on."""
        self.is_paused = True

    def wake(self) -> None:
        """What it would have run meanwhile runs now, in order."""
        self.is_paused = False
        withheld, self._withheld = self._withheld, []
        outside().run(lambda: [asyncio.get_running_loop().call_soon(_run_late, step) for step in withheld])

    def withhold(self, step: asyncio.Handle) -> None:
        """Run it when the process wakes."""
        self._withheld.append(step)

    async def kill(self) -> None:
        """End all its tasks, in the order of their beginning; returns when none is left."""
        self.wake()
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)


_process: contextvars.ContextVar[SimulatedProcess | None] = contextvars.ContextVar("simulated_process", default=None)


def outside() -> contextvars.Context:
    """The present context, of no process: what runs in it goes on when a process does not."""
    context = contextvars.copy_context()
    context.run(_process.set, None)
    return context


def _process_of(context: contextvars.Context | None) -> SimulatedProcess | None:
    return _process.get() if context is None else context.get(_process)


class _Step(asyncio.Handle):
    """A callback of a process; one that is due while the process is paused runs when it wakes."""

    __slots__ = ()

    def _run(self) -> None:
        _run_or_withhold(self, super()._run)


class _TimedStep(asyncio.TimerHandle):
    __slots__ = ()

    def _run(self) -> None:
        _run_or_withhold(self, super()._run)


def _run_or_withhold(step: asyncio.Handle, run: Callable[[], None]) -> None:
    process = step._context.get(_process)  # type: ignore[attr-defined]
    if process is not None and process.is_paused:
        process.withhold(step)
    else:
        run()


def _run_late(step: asyncio.Handle) -> None:
    if not step.cancelled():
        step._run()  # type: ignore[attr-defined]


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Generator[Any, None, T] | Any, **arguments: Any
) -> "asyncio.Task[T]":
    task: asyncio.Task[T] = asyncio.Task(coroutine, loop=loop, **arguments)
    context: contextvars.Context | None = arguments.get("context")
    process = _process.get() if context is None else context.get(_process)
    if process is not None:
        process.adopt(task)
    return task


async def _awaited(begin: Callable[[], Awaitable[T]]) -> T:
    return await begin()


def run_simulated(main: Callable[[SimulatedLoop], Awaitable[T]]) -> T:
    """Run ``main(loop)`` on a fresh simulated loop to its end. Raises NothingLeftToDo when it can have none."""
    loop = SimulatedLoop()
    try:
        run = loop.create_task(_awaited(lambda: main(loop)))
        try:
            return loop.run_until_complete(run)
        finally:
            _end_all(loop)
    finally:
        loop.close()


def _end_all(loop: SimulatedLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
