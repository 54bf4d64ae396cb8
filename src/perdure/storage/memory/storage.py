"""The storage in memory: for tests, simulation, and hubs that need not last."""

from perdure.contracts.clock import Clock
from perdure.contracts.errors import Unavailable
from perdure.storage.memory.tables import MemoryTables
from perdure.storage.one_process import OneProcessStorage
from perdure.storage.options import StorageOptions
from perdure.storage.system_clock import SystemClock


class MemoryStorage(OneProcessStorage):
    """Rows live as long as this object: closing and opening it again keeps them, as a file would."""

    def __init__(self, options: StorageOptions | None = None, clock: Clock | None = None) -> None:
        self.tables = MemoryTables()
        clock = SystemClock() if clock is None else clock
        super().__init__(self.tables, clock, StorageOptions() if options is None else options)

    def crash(self) -> None:
        """Lose what a killed process would lose: messages without a row, the lease, who waits. Closed afterwards."""
        self._shut(Unavailable("The process that held the store was killed."))
