"""Waiting for several sources at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FirstOf(Generic[Item]):
    """Joins sources of lists. A wait that is cancelled loses nothing: the next one goes on with it."""

    def __init__(self, *sources: Callable[[], Awaitable[list[Item]]]) -> None:
        self._sources = sources
        self._waits: dict[int, asyncio.Future[list[Item]]] = {}

    async def wait(self) -> list[Item]:
        """What the first source gives, and what others have by then."""
        for number, source in enumerate(self._sources):
            if number not in self._waits:
                self._waits[number] = asyncio.ensure_future(source())
        await asyncio.wait(self._waits.values(), return_when=asyncio.FIRST_COMPLETED)
        found: list[Item] = []
        for number, wait in list(self._waits.items()):
            if wait.done():
                del self._waits[number]
                found += wait.result()
        return found

    def stop(self) -> None:
        """Wait no longer. Twice-safe."""
        waits, self._waits = self._waits, {}
        for wait in waits.values():
            wait.cancel()
