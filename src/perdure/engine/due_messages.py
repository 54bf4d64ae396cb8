"""Messages with a due time: a heap of what is near, and one loop timer for the nearest."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from perdure.contracts.clock import Clock
from perdure.core.messages import Envelope

LONGEST_SLEEP_SECONDS = 30.0
"""A jump of the wall clock is noticed after this at the latest."""
FORGOTTEN_MAX = 1000
"""So many entries of ended instances may stay in the heap, or half of it."""


class _Entry:
    """One message in the heap; ``envelope`` is None once it was taken or its instance has ended."""

    __slots__ = ("due_at", "envelope", "number")

    def __init__(self, due_at: datetime, number: int, envelope: Envelope) -> None:
        self.due_at = due_at
        self.number = number
        self.envelope: Envelope | None = envelope

    def __lt__(self, other: "_Entry") -> bool:
        return (self.due_at, self.number) < (other.due_at, other.number)


class DueMessages:
    """What becomes due within the horizon; later ones stay in the store until it moves."""

    def __init__(self, clock: Clock, wake: Callable[[], None], span: timedelta) -> None:
        self.span = span
        self._clock = clock
        self._wake = wake
        self._heap: list[_Entry] = []
        self._by_target: dict[str, dict[_Entry, None]] = {}
        self._positions: set[int] = set()
        self._without_row: list[_Entry] = []
        """Those that had no row when they came; the next commit gives them one."""
        self._forgotten = 0
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self.horizon: datetime = clock.now() + span

    def __len__(self) -> int:
        return len(self._heap)

    def move_horizon(self) -> datetime | None:
        """Look further ahead when the horizon has come near; returns the one before, None when it stays.

        What the store has between the two is to be added then. The horizon never moves back, whatever the clock does.
        """
        before, now = self.horizon, self._clock.now()
        if before - now > self.span / 2:
            return None
        self.horizon = now + self.span
        return before

    def add(self, envelope: Envelope) -> None:
        """Keep it until it is due, once; one beyond the horizon is left to the store, if the store has it."""
        due_at, position = envelope.due_at, envelope.position
        assert due_at is not None
        if position is not None:
            self._note_rows()
            if due_at > self.horizon or position in self._positions:
                return
            self._positions.add(position)
        self._count += 1
        entry = _Entry(due_at, self._count, envelope)
        if position is None:
            self._without_row.append(entry)
        self._by_target.setdefault(envelope.target, {})[entry] = None
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._arm()

    def take(self, now: datetime) -> list[Envelope]:
        """What is due by ``now``, in order of due time."""
        self._note_rows()
        heap = self._heap
        due: list[Envelope] = []
        while heap and heap[0].due_at <= now:
            entry = heapq.heappop(heap)
            if (envelope := entry.envelope) is None:
                self._forgotten -= 1
                continue
            due.append(envelope)
            if envelope.position is not None:
                self._positions.discard(envelope.position)
            entry.envelope = None
            entries = self._by_target[envelope.target]
            del entries[entry]
            if not entries:
                del self._by_target[envelope.target]
        # The timer may have rung and the clock gone back since.
        if due or (heap and self._timer is None):
            self._arm()
        return due

    def forget(self, target: str) -> None:
        """The instance has ended: what was due for it is gone."""
        for entry in self._by_target.pop(target, ()):
            assert entry.envelope is not None
            if entry.envelope.position is not None:
                self._positions.discard(entry.envelope.position)
            # Taking it out of the heap costs a pass over the heap: it is passed over when its time comes,
            # or leaves with many others.
            entry.envelope = None
            self._forgotten += 1
        if self._forgotten > max(FORGOTTEN_MAX, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry.envelope is not None]
            heapq.heapify(self._heap)
            self._forgotten = 0

    def forget_all(self, is_gone: Callable[[str], bool]) -> None:
        """These instances are somebody else's now, with what was due for them."""
        for target in list(self._by_target):
            if is_gone(target):
                self.forget(target)

    def remove(self, envelope: Envelope) -> None:
        """This one has no effect; nothing happens when it is not here."""
        entries = self._by_target.get(envelope.target, {})
        for entry in [entry for entry in entries if entry.envelope is envelope]:
            del entries[entry]
            entry.envelope = None
            self._forgotten += 1
        if not entries:
            self._by_target.pop(envelope.target, None)

    def stop(self) -> None:
        """Disarm. Twice-safe."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _note_rows(self) -> None:
        if not self._without_row:
            return
        # A commit gives all of them their rows at once, so the first tells whether there is anything to note.
        first = self._without_row[0].envelope
        if first is not None and first.position is None:
            return
        still: list[_Entry] = []
        for entry in self._without_row:
            if (envelope := entry.envelope) is None:
                continue
            if envelope.position is None:
                still.append(entry)
            else:
                self._positions.add(envelope.position)
        self._without_row = still

    def _arm(self) -> None:
        self.stop()
        if self._heap:
            seconds = (self._heap[0].due_at - self._clock.now()).total_seconds()
            delay = min(max(seconds, 0.0), LONGEST_SLEEP_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._heap and self._heap[0].due_at <= self._clock.now():
            self._wake()
        else:
            self._arm()
