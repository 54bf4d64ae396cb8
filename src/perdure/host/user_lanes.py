"""Where the app's HTTP and timer functions run."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from perdure.execution.threads import ThreadPool
from perdure.execution.time_limits import within
from perdure.execution.user_loop import UserLoop

T = TypeVar("T")


class UserLanes:
    """A pool of threads and the users' loop, both within a time limit (functions/http_triggers.py, ``UserCode``)."""

    def __init__(self, threads: ThreadPool, loop: UserLoop, seconds_max: float | None) -> None:
        self._threads = threads
        self._loop = loop
        self._seconds_max = seconds_max

    def run_sync(self, job: Callable[[], T]) -> Awaitable[T]:
        """On a thread."""
        return within(self._seconds_max, self._threads.run(job))

    def run_async(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """On the users' loop."""
        return within(self._seconds_max, self._loop.run(begin))
