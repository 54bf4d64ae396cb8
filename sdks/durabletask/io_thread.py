"""One thread with a loop for all clients of the process: it carries calls, never user code that may take long."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
NAME = "durabletask-io"


class _IoThread:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._turn, name=NAME, daemon=True)
        self.thread.start()

    def _turn(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


_lock = threading.Lock()
_current: _IoThread | None = None


def submit(begin: Callable[[], Coroutine[Any, Any, T]]) -> "Future[T]":
    """Run ``begin()`` on the thread, with the caller's context variables."""
    global _current
    with _lock:
        if _current is None:
            _current = _IoThread()
        thread = _current
    return asyncio.run_coroutine_threadsafe(begin(), thread.loop)


def block_on(begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it on the thread and wait for it. Raises RuntimeError on that very thread, which would wait for itself."""
    if _current is not None and threading.current_thread() is _current.thread:
        raise RuntimeError("A blocking client call was made on the clients' own I/O thread; await the call instead.")
    future = submit(begin)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def wait_on(begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it on the thread and await it on any loop; cancelling the caller cancels the call."""
    return await asyncio.wrap_future(submit(begin))


def _forget() -> None:
    global _current, _lock
    _lock = threading.Lock()
    _current = None


# A forked child has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
