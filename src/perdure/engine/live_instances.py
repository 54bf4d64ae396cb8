"""Instances in memory, bounded by count and bytes; the longest unused leaves first (architecture.md J7)."""

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime

import msgspec

from perdure.engine.live import LiveInstance

REST_AFTER_SECONDS = 10.0


class LiveLimits(msgspec.Struct, frozen=True):
    """How many instances stay in memory, and how much they may hold together."""

    instances_max: int = 10_000
    bytes_max: int = 256 * 1024 * 1024


class LiveInstances:
    """Id → live instance, in order of use."""

    def __init__(self, limits: LiveLimits) -> None:
        self._limits = limits
        self._instances: OrderedDict[str, LiveInstance] = OrderedDict()

    def __len__(self) -> int:
        return len(self._instances)

    def __iter__(self) -> Iterator[LiveInstance]:
        return iter(self._instances.values())

    def get(self, instance_id: str) -> LiveInstance | None:
        """The instance, if it is in memory."""
        return self._instances.get(instance_id)

    def add(self, live: LiveInstance) -> None:
        """Put it in, as the newest used."""
        self._instances[live.instance_id] = live

    def use(self, live: LiveInstance, at: float) -> None:
        """It had an episode: it is the newest used."""
        live.used_at = at
        self._instances.move_to_end(live.instance_id)

    def remove(self, live: LiveInstance) -> None:
        """Take it out and let go of its session."""
        if self._instances.get(live.instance_id) is live:
            del self._instances[live.instance_id]
        live.close()

    def rest(self, now: datetime, at: float) -> None:
        """Let those leave that have waited for a while for nothing near."""
        leaving: list[LiveInstance] = []
        for live in self._instances.values():
            if at - live.used_at < REST_AFTER_SECONDS:
                break
            if live.may_rest(now):
                leaving.append(live)
        for live in leaving:
            self.remove(live)

    def shrink(self) -> None:
        """Let the longest unused leave until the bounds hold; those in the middle of something stay."""
        over = len(self._instances) - self._limits.instances_max
        if over > 0:
            self._evict(over)

    def shrink_bytes(self) -> None:
        """The same for the bytes; costs a pass over all, so it is done now and then."""
        over = sum(live.charge() for live in self._instances.values()) - self._limits.bytes_max
        for live in list(self._evictable()):
            if over <= 0:
                return
            over -= live.charge()
            self.remove(live)

    def clear(self) -> None:
        """Let everything go."""
        for live in list(self._instances.values()):
            self.remove(live)

    def _evict(self, count: int) -> None:
        for live in list(self._evictable()):
            if count <= 0:
                return
            self.remove(live)
            count -= 1

    def _evictable(self) -> Iterator[LiveInstance]:
        return (live for live in self._instances.values() if live.turn is None and not live.queue)
