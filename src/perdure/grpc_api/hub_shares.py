"""Each hub's share of a server: so many requests of it are under way at a time, the others wait in its own line.

All hubs have one loop, and a request of one hub waits behind what is under way for the others. While several hubs ask
and the loop keeps them waiting, each may have fewer under way, until it does not (scheduler.md §2). A hub that is alone
is never held back, and neither are hubs that wait for the disk only.
"""

import asyncio
from collections import deque
from contextlib import suppress

from perdure.grpc_api.statuses import Code, Refused

UNDER_WAY_MAX = 1_000
UNDER_WAY_MIN = 3
"""So few at least: they still share a commit."""
LAG_SECONDS_MAX = 0.0015
"""How late the loop may be. A call takes some five passes of it."""
LOOK_SECONDS = 0.02
OTHERS_SECONDS = 1.0
"""A hub that asked for something so long ago counts as one that does."""
WAITING_MAX = 10_000
"""So many of a hub may wait; what comes then is refused."""


class HubShares:
    """The lines of all hubs: one for what clients ask, one for what workers answer. Belongs to the loop.

    They are apart, since what a client asks may have to wait for what a worker answers.
    """

    def __init__(self) -> None:
        self.limit = UNDER_WAY_MAX
        """So many requests may be under way in each line now."""
        self._lines: dict[tuple[str, str], Line] = {}
        self._newest = ("", float("-inf"))
        """The hub that asked last, and when."""
        self._other_at = float("-inf")
        """When another hub than that one did."""
        self._look_due: asyncio.TimerHandle | None = None

    def asking(self, hub: str) -> "Line":
        """For a client's request to a hub."""
        return self._line(hub, "asking")

    def answering(self, hub: str) -> "Line":
        """For a worker's answer; as many may wait as workers were given work."""
        return self._line(hub, "answering")

    def note(self, hub: str) -> None:
        """The hub asks for something."""
        loop = asyncio.get_running_loop()
        newest, at = self._newest
        if newest != hub:
            self._other_at = at
        now = loop.time()
        self._newest = hub, now
        if self._look_due is None and now - self._other_at < OTHERS_SECONDS:
            self._look_due = loop.call_at(now + LOOK_SECONDS, self._look, now + LOOK_SECONDS)

    def _look(self, due_at: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - self._other_at >= OTHERS_SECONDS:
            self._look_due, self.limit = None, UNDER_WAY_MAX
        else:
            if now - due_at > LAG_SECONDS_MAX:
                most = max(line.under_way for line in self._lines.values())
                self.limit = max(UNDER_WAY_MIN, min(self.limit, most) // 2)
            else:
                self.limit = min(UNDER_WAY_MAX, self.limit + 1)
            self._look_due = loop.call_at(now + LOOK_SECONDS, self._look, now + LOOK_SECONDS)
        for line in self._lines.values():
            line.admit()

    def _line(self, hub: str, kind: str) -> "Line":
        line = self._lines.get((hub, kind))
        if line is None:
            line = self._lines[hub, kind] = Line(self, hub, WAITING_MAX if kind == "asking" else None)
        return line


class Line:
    """``async with line:`` round one request. Raises Refused when too many wait; first come, first served."""

    __slots__ = ("_hub", "_shares", "_waiting", "_waiting_max", "under_way")

    def __init__(self, shares: HubShares, hub: str, waiting_max: int | None) -> None:
        self.under_way = 0
        self._shares = shares
        self._hub = hub
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_max = waiting_max

    def admit(self) -> None:
        """Let those go on that have room now."""
        waiting = self._waiting
        while waiting and self.under_way < self._shares.limit:
            turn = waiting.popleft()
            if not turn.done():
                self.under_way += 1
                turn.set_result(None)

    async def __aenter__(self) -> None:
        self._shares.note(self._hub)
        if not self._waiting and self.under_way < self._shares.limit:
            self.under_way += 1
            return
        if self._waiting_max is not None and len(self._waiting) >= self._waiting_max:
            raise Refused(
                Code.RESOURCE_EXHAUSTED,
                f"{len(self._waiting):,} requests to the task hub '{self._hub}' are waiting already; try again later.",
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(turn)
            else:
                # Its turn had come in the same moment.
                self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self.under_way -= 1
        if self._waiting:
            self.admit()
