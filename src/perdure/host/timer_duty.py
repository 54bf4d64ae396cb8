"""Timers run once in a hub: in the process that holds its first partition (functions-host.md §10, rule 6)."""

import asyncio
from typing import Protocol

from perdure.contracts.observer import Fact, PartitionsHeld

FIRST_PARTITION = 0


class Timers(Protocol):
    """What is begun and ended."""

    def start(self) -> None:
        """Begin. Twice-safe."""
        ...

    async def stop(self) -> None:
        """Begin no more runs and wait for those under way; cancelling this abandons them. Twice-safe."""
        ...


class TimerDuty:
    """An observer of the engine; between ``begin`` and ``stop`` the timers run while the first partition is here.

    Whoever takes over finds when each timer should have run, so a run that fell between two hosts is made up for.
    """

    wants: frozenset[type] = frozenset({PartitionsHeld})

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._is_here = False
        self._is_open = False
        self._are_running = False
        self._following: asyncio.Task[None] | None = None

    def announce(self, fact: Fact) -> None:
        """See ``contracts.observer.Observer``. To be called on the engine loop."""
        assert isinstance(fact, PartitionsHeld)
        self._is_here = FIRST_PARTITION in fact.partitions
        self._follow()

    def begin(self) -> None:
        """The host is ready for what timers do. Twice-safe."""
        self._is_open = True
        self._follow()

    async def stop(self) -> None:
        """Begin no more runs, whoever holds what, and wait for those under way; cancelling this abandons them.

        Twice-safe.
        """
        self._is_open = False
        if (following := self._follow()) is not None:
            await following

    def _follow(self) -> "asyncio.Task[None] | None":
        if self._following is None or self._following.done():
            if self._are_running == self._should_run():
                return None
            self._following = asyncio.create_task(self._bring_about())
        return self._following

    def _should_run(self) -> bool:
        return self._is_open and self._is_here

    async def _bring_about(self) -> None:
        while self._are_running != (wanted := self._should_run()):
            self._are_running = wanted
            if wanted:
                self._timers.start()
            else:
                # A run that takes long holds up the next start: runs of one timer never overlap here.
                await self._timers.stop()
