"""Changes of a server's hubs: one at a time for each hub, and done to their end.

A hub that is half dropped is worse than either end of it, so whoever asks may go away: the change goes on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from perdure.contracts.errors import Unavailable

_log = logging.getLogger("perdure.host")


class HubChanges:
    """What is under way, by hub. Belongs to one loop."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Task[None]] = {}
        """The change of each hub that was asked for last, while it is not done."""
        self._is_closed = False

    async def make(self, hub: str, change: Callable[[], Awaitable[None]]) -> None:
        """Change the hub after what was asked for before. Raises what the change raises, and Unavailable at the end."""
        task = asyncio.ensure_future(self._after(self._last.get(hub), change))
        self._last[hub] = task
        task.add_done_callback(partial(self._forget, hub))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(partial(_say_failed, hub))
            raise

    async def finished(self, hub: str) -> bool:
        """Wait for what is under way; False when nothing is."""
        if (last := self._last.get(hub)) is None:
            return False
        await asyncio.wait([last])
        return True

    async def close(self) -> None:
        """Begin nothing more, and wait for what has begun. Twice-safe."""
        self._is_closed = True
        while self._last:
            await asyncio.wait(self._last.values())

    async def _after(self, before: "asyncio.Task[None] | None", change: Callable[[], Awaitable[None]]) -> None:
        if before is not None:
            await asyncio.wait([before])
        if self._is_closed:
            raise Unavailable("The server is stopping.")
        await change()

    def _forget(self, hub: str, task: "asyncio.Task[None]") -> None:
        if self._last.get(hub) is task:
            del self._last[hub]


def _say_failed(hub: str, task: "asyncio.Task[None]") -> None:
    """Nobody waits for it any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("Task hub '%s' was to be changed, and that failed: %s", hub, error)
