"""One process's storage over a hub in memory that several share: for tests and simulation."""

from perdure.contracts.clock import Clock
from perdure.contracts.errors import Unavailable
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_tables import SharedMemoryTables
from perdure.storage.options import StorageOptions
from perdure.storage.shared.keeping import LeaseTimes
from perdure.storage.shared.storage import ManyProcessStorage

_NO_OPTIONS = StorageOptions()
_DEFAULT_TIMES = LeaseTimes()


class SharedMemoryStorage(ManyProcessStorage):
    """Over ``memory``, or over tables that reach it in a way of their own."""

    def __init__(
        self,
        memory: SharedMemory | SharedMemoryTables,
        clock: Clock,
        options: StorageOptions = _NO_OPTIONS,
        times: LeaseTimes = _DEFAULT_TIMES,
    ) -> None:
        self.tables = SharedMemoryTables(memory) if isinstance(memory, SharedMemory) else memory
        super().__init__(self.tables, clock, options, times)

    def crash(self) -> None:
        """Lose what a killed process would lose. Closed afterwards; the others find out when its time is over."""
        self.abandon(Unavailable("The process that used the store was killed."))
