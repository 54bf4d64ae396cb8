"""Time that can be set forward: a loop and a clock that jump together, while real time goes on."""

import asyncio
from datetime import UTC, datetime, timedelta


class AdjustableLoop(asyncio.SelectorEventLoop):
    """A loop on real files and real time, ahead of it by what ``advance`` has added."""

    def __init__(self) -> None:
        self._ahead = 0.0
        super().__init__()

    def time(self) -> float:
        """See ``asyncio``."""
        return super().time() + self._ahead

    def advance(self, by: timedelta) -> None:
        """Whatever is due until then is due now. On the loop's own thread."""
        self._ahead += by.total_seconds()


class AdjustableClock:
    """See ``contracts.clock.Clock``: the wall clock, ahead of it."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        """Set it forward."""
        self._ahead += by
