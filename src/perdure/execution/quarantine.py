"""Suspected activities begin one after another, so that the end of the process is held against the right one.

Whatever else was running when the process died is suspected too. Without this, a crash at each start would condemn
all of them together; begun alone, the innocent return and are cleared (reliability.md M1).
"""

import asyncio
from collections.abc import Callable, Sequence

from perdure.contracts.records import PendingActivity
from perdure.execution.black_box import Box, activity_key

APART_FROM = 2
"""One death is no pattern: after a single kill everything goes on at once."""
FIRST_AFTER_SECONDS = 0.25
"""Turns come first: a suspected orchestrator that ends the process does so before any of these begins."""
NEXT_AFTER_SECONDS = 2.0
"""A suspect that has run for so long without harm is not waited for."""
_LOOK_SECONDS = 0.02


class Quarantine:
    """Holds suspects back and begins them; belongs to the engine loop."""

    def __init__(self, box: Box, begin: Callable[[Sequence[PendingActivity]], None]) -> None:
        self._box = box
        self._begin = begin
        self._held: list[PendingActivity] = []
        self._running: tuple[str, float] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def sift(self, activities: Sequence[PendingActivity]) -> Sequence[PendingActivity]:
        """Keep the suspects among them; returns those that may begin now."""
        if not self._box.has_suspects:
            return activities
        free: list[PendingActivity] = []
        for activity in activities:
            is_suspect = self._suspicion(activity) >= APART_FROM
            (self._held if is_suspect else free).append(activity)
        if self._held and self._timer is None:
            # The most suspected first: it is given up soonest, and the others then run in peace.
            self._held.sort(key=self._suspicion, reverse=True)
            self._timer = asyncio.get_running_loop().call_later(FIRST_AFTER_SECONDS, self._next)
        return free

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """Drop what has not begun."""
        self._held = [activity for activity in self._held if not is_gone(activity)]

    def stop(self) -> None:
        """Begin no more. Twice-safe."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _suspicion(self, activity: PendingActivity) -> int:
        return self._box.suspicion(activity_key(activity.number))

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        running, self._timer = self._running, None
        if running is None or not self._box.suspicion(running[0]) or loop.time() >= running[1]:
            if not self._held:
                return
            activity = self._held.pop(0)
            self._running = (activity_key(activity.number), loop.time() + NEXT_AFTER_SECONDS)
            self._begin([activity])
        self._timer = loop.call_later(_LOOK_SECONDS, self._next)
