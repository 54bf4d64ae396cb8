"""The store's time between two looks at it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from perdure.contracts.clock import Clock


class StoreClock:
    """What the store's clock showed at the last look, and what has passed since; this machine's own until then.

    It is behind the store's by the way of an answer, never before it. What passes is measured by ``monotonic``: this
    machine's time of day may be set meanwhile, and then no timer may fire early (reliability.md X5, P3).
    """

    def __init__(self, here: Clock, monotonic: Callable[[], float]) -> None:
        self._here = here
        self._monotonic = monotonic
        self._heard: datetime | None = None
        self._heard_at = 0.0

    def now(self) -> datetime:
        if self._heard is None:
            return self._here.now()
        return self._heard + timedelta(seconds=self._monotonic() - self._heard_at)

    def heard(self, there: datetime) -> None:
        """The store said so in an answer that came now."""
        self._heard, self._heard_at = there, self._monotonic()
