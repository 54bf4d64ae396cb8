"""``SharedMemory`` as a simulated host reaches it: every question and every hint travels."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_tables import SharedMemoryTables
from perdure.storage.shared.tables import Hint
from perdure.testing.simulated_loop import SimulatedProcess, outside
from perdure.testing.simulation.hosts.way import Way, WayState

T = TypeVar("T")


class HintFates(Protocol):
    """What becomes of hints."""

    def arrivals(self) -> list[float]:
        """After how many seconds each copy of one hint arrives; empty: it is lost."""
        ...


class TravellingTables(SharedMemoryTables):
    """The questions of one host travel on its ``way``; its hints go by ``fates`` and reach it through ``process``."""

    def __init__(self, memory: SharedMemory, way: Way, fates: HintFates, process: SimulatedProcess) -> None:
        super().__init__(memory)
        self._way = way
        self._fates = fates
        self._process = process

    async def before(self, operation: str) -> None:
        await self._way.read(operation, _nothing)

    async def hint(self, process: int, hint: Hint) -> None:
        if self._way.state is WayState.OPEN:
            for seconds in self._fates.arrivals():
                carried = self._carry_hint(process, hint, seconds)
                asyncio.get_running_loop().create_task(carried, context=outside())

    def listen(self, process: int, heard: Callable[[Hint], None]) -> None:
        def hear(hint: Hint) -> None:
            if self._way.state is WayState.OPEN and not self._way.is_closed:
                self._process.call_soon(heard, hint)

        super().listen(process, hear)

    async def _carry_hint(self, process: int, hint: Hint, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)
        if (heard := self.memory.listeners.get(process)) is not None:
            heard(hint)

    async def _read(self, operation: str, ask: Callable[[], T]) -> T:
        return await self._way.read(operation, _at_once(ask))

    async def _ask(self, operation: str, ask: Callable[[], Awaitable[T]]) -> T:
        return await self._way.read(operation, ask)

    async def _change(self, operation: str, make: Callable[[], T]) -> T:
        return await self._way.change(operation, _at_once(make))


def _at_once(work: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    async def do() -> T:
        return work()

    return do


async def _nothing() -> None:
    pass
