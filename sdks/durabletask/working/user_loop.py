"""The loop of a worker's ``async def`` functions: its own thread, so that they block nothing but each other."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class UserLoop:
    """Begun by its first use; used from any other thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> "Future[T]":
        """Make a coroutine on the loop's thread, and run it."""

        async def run() -> T:
            return await begin()

        return asyncio.run_coroutine_threadsafe(run(), self._running())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end; blocks."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running()).result()

    def stop(self) -> None:
        """End the thread; what still runs is cancelled. Twice-safe."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_turn, args=(self._loop,), name="durabletask-user-loop", daemon=True
                )
                self._thread.start()
            return self._loop


def is_being_cancelled() -> bool:
    """Whether the running task was asked to end, so that a CancelledError is not of the user's own making."""
    running = asyncio.current_task()
    return running is not None and running.cancelling() > 0


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
            break
        except (SystemExit, KeyboardInterrupt):
            # A task of the user raised it: it ends that task, which asyncio has told, and nothing else.
            continue
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
