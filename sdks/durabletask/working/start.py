"""WorkerStart: what ``start`` returns; ignored, waited for, or awaited (portable-sdk.md §1.2)."""

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import Future


class WorkerStart:
    """Tells when the worker's first stream is open. An awaiter gets RuntimeError when it is stopped before that."""

    def __init__(self) -> None:
        self._opened: Future[None] = Future()
        self._lock = threading.Lock()

    @property
    def connected(self) -> bool:
        """Whether the first stream has been opened."""
        return self._opened.done() and self._opened.exception() is None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait so many seconds; whether the worker is connected."""
        try:
            self._opened.result(timeout)
        except TimeoutError:
            return False
        except RuntimeError:
            return False
        return True

    def __await__(self) -> Generator[object, None, None]:
        opened = asyncio.wrap_future(self._opened)
        # Who was cancelled while it waited asks no more, and nobody need be told what nobody asks.
        opened.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
        return asyncio.shield(opened).__await__()

    def opened(self) -> None:
        """The stream is open. Only the first call counts."""
        with self._lock:
            if not self._opened.done():
                self._opened.set_result(None)

    def stopped(self) -> None:
        """The worker was stopped."""
        self.failed(RuntimeError("The worker was stopped before it was connected."))

    def failed(self, error: Exception) -> None:
        """The worker cannot run."""
        with self._lock:
            if not self._opened.done():
                self._opened.set_exception(error)
