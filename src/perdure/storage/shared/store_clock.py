"""The store's time between two looks at it."""

from datetime import datetime, timedelta

from perdure.contracts.clock import Clock


class StoreClock:
    """This machine's clock, moved by what the store's showed: behind it by the way of an answer, never before it."""

    def __init__(self, here: Clock) -> None:
        self._here = here
        self._offset = timedelta()

    def now(self) -> datetime:
        return self._here.now() + self._offset

    def heard(self, there: datetime) -> None:
        """The store said so in an answer that came now."""
        self._offset = there - self._here.now()
