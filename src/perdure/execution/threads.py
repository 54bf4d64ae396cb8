"""A bounded pool of threads for users' plain functions other than activities (HTTP and timer functions)."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class ThreadPool:
    """Runs functions on threads; ``run`` may be awaited on the engine loop."""

    def __init__(self, threads_max: int) -> None:
        self._pool = ThreadPoolExecutor(threads_max, thread_name_prefix="perdure-function")

    async def run(self, job: Callable[[], T]) -> T:
        """Run ``job`` on a thread; gives back what it returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(job))

    def stop(self) -> None:
        """Take no more; running jobs are abandoned. Twice-safe."""
        self._pool.shutdown(wait=False, cancel_futures=True)
