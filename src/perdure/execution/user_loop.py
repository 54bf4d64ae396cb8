"""The asyncio loop for users' coroutines, in a thread of its own: user code that blocks it stops no engine.

When a job does not let its loop turn for two seconds, new jobs go to a second loop (architecture.md J8).
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from perdure.execution import debugger
from perdure.execution.stacks import users_code

T = TypeVar("T")

BLOCKED_AFTER_SECONDS = 2.0
logger = logging.getLogger("perdure.execution")


class _Job:
    """One call of ``run``; it moves to another loop when its own is blocked before it began."""

    __slots__ = ("has_moved", "running")

    running: asyncio.Future[Any]

    def __init__(self) -> None:
        self.has_moved = False


class _LoopThread:
    """One loop in one thread. ``beat_sent`` is when it was last asked for a sign of life, None when it gave one."""

    def __init__(self, number: int) -> None:
        self.loop = _new_loop()
        self.beat_sent: float | None = None
        self.jobs = 0
        self.is_ending = False
        self.waiting: dict[_Job, None] = {}
        """Jobs that have not begun; whoever pops one decides what becomes of it."""
        self.thread = threading.Thread(target=self._run, name=f"perdure-user-loop-{number}", daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Let the loop end; called on its own thread."""
        self.is_ending = True
        self.loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self.is_ending:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # A task that user code made raised it; the loop goes on for the others.
                logger.error("A task on the users' loop raised %r; the host goes on.", error)
        self.loop.close()

    def ask(self, now: float) -> None:
        if self.beat_sent is None:
            self.beat_sent = now
            self.loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self.beat_sent = None


class UserLoop:
    """Runs users' coroutines; ``run`` may be awaited on the engine loop."""

    def __init__(self) -> None:
        self._current: _LoopThread | None = None
        self._all: list[_LoopThread] = []
        self._count = 0
        self._watchdog: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; must be called on the engine loop. The thread is made by the first job."""
        self._watchdog = asyncio.get_running_loop().call_later(BLOCKED_AFTER_SECONDS / 4, self._watch)

    def stop(self) -> None:
        """Cancel what runs and end the loops; one that is blocked is abandoned. Twice-safe."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        for thread in self._all:
            thread.loop.call_soon_threadsafe(_cancel_all_and_end, thread)
        for thread in self._all:
            thread.thread.join(timeout=1)
        self._all.clear()
        self._current = None

    async def run(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Run ``begin()``'s awaitable on the user loop; gives back what it returns or raises.

        Cancelling the caller cancels the job.
        """
        job = _Job()
        while True:
            thread = self._current or self._open()
            thread.jobs += 1
            thread.waiting[job] = None
            try:
                job.running = asyncio.wrap_future(_submit(thread, job, begin))
                return await job.running
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not job.has_moved or (task is not None and task.cancelling()):
                    raise
                job.has_moved = False
            finally:
                # One that was cancelled before it began is there still.
                thread.waiting.pop(job, None)
                thread.jobs -= 1

    def _open(self) -> _LoopThread:
        self._count += 1
        thread = _LoopThread(self._count)
        self._all.append(thread)
        self._current = thread
        return thread

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for thread in list(self._all):
            sent = thread.beat_sent
            if sent is None:
                if thread is not self._current and thread.jobs == 0:
                    self._all.remove(thread)
                    thread.loop.call_soon_threadsafe(thread.end)
                elif thread.jobs:
                    thread.ask(now)
            elif now - sent >= BLOCKED_AFTER_SECONDS and thread is self._current:
                self._open()
                for job in list(thread.waiting):
                    if thread.waiting.pop(job, thread) is None:
                        job.has_moved = True
                        job.running.cancel()
                if debugger.is_attached():
                    continue
                name, stack = users_code(thread.thread)
                logger.warning(
                    "'%s' has kept the loop of async code for %.0f s; new work goes to another loop. It is at:\n%s",
                    name, now - sent, stack,
                )  # fmt: skip
        self._watchdog = loop.call_later(BLOCKED_AFTER_SECONDS / 4, self._watch)


def _submit(thread: _LoopThread, job: _Job, begin: Callable[[], Awaitable[T]]) -> Future[T]:
    async def begin_unless_moved() -> T:
        if thread.waiting.pop(job, thread) is not None:
            raise asyncio.CancelledError
        return await begin()

    return asyncio.run_coroutine_threadsafe(begin_unless_moved(), thread.loop)


def _cancel_all_and_end(thread: _LoopThread) -> None:
    tasks: set[asyncio.Task[Any]] = asyncio.all_tasks(thread.loop)
    for task in tasks:
        task.cancel()
    if not tasks:
        thread.end()
        return
    left = len(tasks)

    def ended(_: "asyncio.Task[Any]") -> None:
        nonlocal left
        left -= 1
        if left == 0:
            thread.end()

    for task in tasks:
        task.add_done_callback(ended)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
