"""How the coroutines of a client are run: by whoever calls, or on the clients' own thread."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from durabletask import io_thread

T = TypeVar("T")


class Driver(Protocol):
    """How calls that block are run."""

    def block(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run what ``begin`` makes; gives what it returns or raises. Blocks the calling thread."""
        ...


class OnIoThread:
    """On the clients' own thread, for coroutines that wait for a loop."""

    def block(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """See ``Driver``."""
        return io_thread.block_on(begin)


class InCallersThread:
    """By the caller itself, for coroutines over calls that block, which never wait for anything."""

    def block(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """See ``Driver``."""
        coroutine = begin()
        try:
            coroutine.send(None)
        except StopIteration as ended:
            return ended.value
        coroutine.close()
        raise RuntimeError("A blocking call waits for a loop that is not there.")
