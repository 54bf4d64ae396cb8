"""A bounded pool of threads for users' plain functions other than activities (HTTP and timer functions).

Whoever no longer waits for a job that runs gets its thread replaced: code that never returns must not use up the pool.
"""

import asyncio
import collections
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

logger = logging.getLogger("perdure.execution")


class _Job:
    __slots__ = ("call", "future", "has_begun", "is_given_up", "loop")

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.call = call
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.has_begun = False
        self.is_given_up = False


class ThreadPool:
    """Runs functions on threads; ``run`` may be awaited on the engine loop."""

    def __init__(self, threads_max: int) -> None:
        self._threads_max = threads_max
        self._jobs: collections.deque[_Job] = collections.deque()
        self._changed = threading.Condition()
        self._threads = 0
        """Those that take jobs; one whose job was given up is no longer counted."""
        self._idle = 0
        self._made = 0
        self._is_stopped = False

    async def run(self, job: Callable[[], T]) -> T:
        """Run ``job`` on a thread; gives back what it returns or raises.

        When this is cancelled, a job that has begun keeps its thread to itself, and another one takes its place.
        """
        item = _Job(job, asyncio.get_running_loop())
        with self._changed:
            self._jobs.append(item)
            self._serve()
        try:
            return await item.future
        except asyncio.CancelledError:
            self._give_up(item)
            raise

    def stop(self) -> None:
        """Take no more; running jobs are abandoned. Twice-safe."""
        with self._changed:
            self._is_stopped = True
            waiting, self._jobs = self._jobs, collections.deque()
            self._changed.notify_all()
        for item in waiting:
            item.future.cancel()

    def _give_up(self, item: _Job) -> None:
        with self._changed:
            item.is_given_up = True
            if item.has_begun:
                self._threads -= 1
                self._serve()
            elif item in self._jobs:
                self._jobs.remove(item)

    def _serve(self) -> None:
        if len(self._jobs) > self._idle and self._threads < self._threads_max and not self._is_stopped:
            self._made += 1
            thread = threading.Thread(target=self._run, name=f"perdure-function-{self._made}", daemon=True)
            try:
                thread.start()
            except (RuntimeError, OSError) as error:
                logger.error("No thread can be made for functions: %s", error)
                if not self._threads:
                    raise
            else:
                self._threads += 1
        self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs:
                    if self._is_stopped:
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                item = self._jobs.popleft()
                item.has_begun = True
            result, error = _outcome(item.call)
            with self._changed:
                if item.is_given_up:
                    return
                item.has_begun = False
            try:
                item.loop.call_soon_threadsafe(_settle, item.future, result, error)
            except RuntimeError:
                # The loop has closed: the process is stopping and nobody waits for the outcome.
                return


def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return call(), None
    except StopIteration as error:
        # No future can carry this one; Python turns it into the same where a coroutine raises it.
        return None, RuntimeError(f"the function raised {error!r}")
    except BaseException as error:
        return None, error


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
