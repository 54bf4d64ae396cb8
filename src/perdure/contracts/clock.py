"""Time as the engine sees it, so that tests and simulation can own it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time; waiting uses the event loop's monotonic time."""

    def now(self) -> datetime:
        """The store's time: aware UTC, microseconds."""
        ...
