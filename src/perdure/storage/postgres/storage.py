"""The storage in a PostgreSQL schema: many processes share one hub."""

from perdure.contracts.clock import Clock
from perdure.storage.options import StorageOptions
from perdure.storage.postgres.tables import PostgresTables
from perdure.storage.shared.keeping import LeaseTimes, times_of_lease
from perdure.storage.shared.storage import ManyProcessStorage

_NO_OPTIONS = StorageOptions()


class PostgresStorage(ManyProcessStorage):
    """One process's part in a hub."""

    def __init__(
        self,
        url: str,
        hub: str,
        clock: Clock,
        options: StorageOptions = _NO_OPTIONS,
        times: LeaseTimes | None = None,
    ) -> None:
        """Raises StoreUnusable for a URL or a hub name that cannot be one."""
        times = times_of_lease(options.lease_seconds) if times is None else times
        self.tables = PostgresTables(url, hub, options)
        super().__init__(self.tables, clock, options, times)

    @property
    def trouble(self) -> str | None:
        """Why this process can do nothing with the hub now; None when it can, as far as it knows."""
        keeping = self._keeping
        if keeping.runs and keeping.process is None:
            return keeping.trouble or "This process has lost its place among those of the hub, and asks for a new one."
        return keeping.trouble
