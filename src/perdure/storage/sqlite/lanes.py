"""Where SQLite's work runs: in the loop's turn, in a thread of its own, or in whichever suits the disk (J9)."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

INLINE_SECONDS_MAX = 0.001
"""Commits that take longer than this leave the loop's turn."""
INLINE_AGAIN_SECONDS = 0.0005
"""Commits that take less than this come back."""
_WEIGHT = 0.2


class InlineLane:
    """Runs a job at once, in the caller's turn."""

    def run(self, job: Callable[[], T]) -> asyncio.Future[T]:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            done.set_result(job())
        except Exception as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        pass


class ThreadLane:
    """Runs jobs one after another in a thread, which starts with the first."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, job: Callable[[], T]) -> asyncio.Future[T]:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            # A debugger at a breakpoint stops every thread that does not say this; no user code runs here.
            self._thread.pydev_do_not_trace = True  # type: ignore[attr-defined]
            self._thread.start()
        self._jobs.put((job, done))
        return done

    def close(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            try:
                result = job()
            except Exception as error:
                _tell(done, done.set_exception, error)
            else:
                _tell(done, done.set_result, result)


def _tell(done: asyncio.Future[Any], tell: Callable[[Any], None], value: object) -> None:
    def settle() -> None:
        if not done.done():
            tell(value)

    loop = done.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)


class AdaptiveLane:
    """In the loop's turn while recent jobs were quick, else in a thread: a slow disk must not stop the loop."""

    def __init__(self, name: str) -> None:
        self._inline = InlineLane()
        self._thread = ThreadLane(name)
        self._recent_seconds = 0.0
        self._in_thread = False

    def run(self, job: Callable[[], T]) -> asyncio.Future[T]:
        # Every job of the lane is over before the next is given, so the two never run at once.
        return (self._thread if self._in_thread else self._inline).run(lambda: self._timed(job))

    def close(self) -> None:
        self._thread.close()

    def _timed(self, job: Callable[[], T]) -> T:
        begun = time.perf_counter()
        try:
            return job()
        finally:
            took = time.perf_counter() - begun
            self._recent_seconds += _WEIGHT * (took - self._recent_seconds)
            self._in_thread = self._recent_seconds > (INLINE_AGAIN_SECONDS if self._in_thread else INLINE_SECONDS_MAX)
