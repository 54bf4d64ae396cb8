"""Letting a host run dry before it is stopped (functions-host.md §15)."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum


class DrainState(Enum):
    """Whether the host has been told to begin nothing new."""

    DISABLED = "Disabled"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"


class Drain:
    """Runs dry what begins work by itself; each of ``parts`` begins nothing more and returns when nothing runs."""

    def __init__(self, *parts: Callable[[], Awaitable[object]]) -> None:
        self._parts = parts
        self._task: asyncio.Task[None] | None = None
        self.state = DrainState.DISABLED

    def begin(self) -> None:
        """Begin, once; from here on there is no way back but a restart."""
        if self._task is None:
            self.state = DrainState.IN_PROGRESS
            self._task = asyncio.get_running_loop().create_task(self._run())

    def cancel(self) -> None:
        """Wait for nothing more: the host stops. Twice-safe."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        await asyncio.gather(*(part() for part in self._parts))
        self.state = DrainState.COMPLETED
