"""How fast activities end here, by name: measured, since nobody can say how long one takes."""

import math
from collections import Counter
from collections.abc import Iterable

from perdure.contracts.records import PendingActivity

MEMORY_SECONDS = 1.0
"""What ended longer ago hardly counts; activities of one fan-out that take long end in bursts."""
FIRST_SECONDS = 0.25
"""Nothing is said of a name of which nothing has ended before that."""


class ActivityRates:
    """Counts the activities that are with this process's executor. Times are the loop's."""

    def __init__(self) -> None:
        self._here: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._weighed: dict[str, tuple[float, float]] = {}
        """By name, how many have ended in how many seconds; the longer ago, the less that counts."""
        self._since: dict[str, float] = {}
        self._measured_at = 0.0
        self.total = 0
        """How many are here."""

    def begun(self, activities: Iterable[PendingActivity], now: float) -> None:
        """These are here now."""
        if not self.total:
            self._measured_at = now
        for name, count in Counter(activity.name for activity in activities).items():
            self._since.setdefault(name, now)
            self._here[name] += count
            self.total += count

    def ended(self, activities: Iterable[PendingActivity]) -> None:
        """These have ended."""
        counts = Counter(activity.name for activity in activities)
        self._ended += counts
        self._leave(counts)

    def gone(self, activities: Iterable[PendingActivity]) -> None:
        """These have left otherwise."""
        self._leave(Counter(activity.name for activity in activities))

    def measure(self, now: float) -> None:
        """Look at what has ended since the last time; not too often."""
        seconds = now - self._measured_at
        if seconds <= 0:
            return
        self._measured_at = now
        fading = math.exp(-seconds / MEMORY_SECONDS)
        for name in self._here:
            ended, during = self._weighed.get(name, (0.0, 0.0))
            latest = min(seconds, now - self._since[name])
            self._weighed[name] = ended * fading + self._ended[name], during * fading + latest
        self._ended.clear()

    def names(self) -> list[str]:
        """Of all that are here."""
        return list(self._here)

    def here(self, name: str) -> int:
        """How many of the name."""
        return self._here[name]

    def rate(self, name: str, now: float) -> float | None:
        """How many of the name end in a second; None when that cannot be said yet."""
        ended, during = self._weighed.get(name, (0.0, 0.0))
        if ended:
            # What ended in the moment in which it was looked at says nothing.
            return ended / during if during else None
        return 0.0 if now - self._since.get(name, now) >= FIRST_SECONDS else None

    def _leave(self, counts: Counter[str]) -> None:
        for name, count in counts.items():
            left = self._here[name] - count
            self.total -= count
            if left > 0:
                self._here[name] = left
            else:
                self.total -= left
                for kept in (self._here, self._ended, self._weighed, self._since):
                    kept.pop(name, None)
