"""The asyncio loop for users' coroutines, in a thread of its own: user code that blocks it stops no engine.

When a job does not let its loop turn for two seconds, new jobs go to a second loop (architecture.md J8).
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

BLOCKED_AFTER_SECONDS = 2.0


class _LoopThread:
    """One loop in one thread. ``beat_sent`` is when it was last asked for a sign of life, None when it gave one."""

    def __init__(self, number: int) -> None:
        self.loop = _new_loop()
        self.beat_sent: float | None = None
        self.jobs = 0
        self.thread = threading.Thread(target=self._run, name=f"perdure-user-loop-{number}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
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
            thread.loop.call_soon_threadsafe(_cancel_all_and_stop, thread.loop)
        for thread in self._all:
            thread.thread.join(timeout=1)
        self._all.clear()
        self._current = None

    async def run(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Run ``begin()``'s awaitable on the user loop; gives back what it returns or raises.

        Cancelling the caller cancels the job.
        """
        thread = self._current or self._open()
        thread.jobs += 1
        try:
            return await asyncio.wrap_future(_submit(thread.loop, begin))
        finally:
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
                    thread.loop.call_soon_threadsafe(thread.loop.stop)
                elif thread.jobs:
                    thread.ask(now)
            elif now - sent >= BLOCKED_AFTER_SECONDS and thread is self._current:
                self._open()
        self._watchdog = loop.call_later(BLOCKED_AFTER_SECONDS / 4, self._watch)


def _submit(loop: asyncio.AbstractEventLoop, begin: Callable[[], Awaitable[T]]) -> Future[T]:
    async def job() -> T:
        return await begin()

    return asyncio.run_coroutine_threadsafe(job(), loop)


def _cancel_all_and_stop(loop: asyncio.AbstractEventLoop) -> None:
    tasks: set[asyncio.Task[Any]] = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if not tasks:
        loop.stop()
        return
    left = len(tasks)

    def ended(_: "asyncio.Task[Any]") -> None:
        nonlocal left
        left -= 1
        if left == 0:
            loop.stop()

    for task in tasks:
        task.add_done_callback(ended)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
