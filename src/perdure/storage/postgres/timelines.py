"""Whether the server goes on from where it was, or from an earlier moment that somebody promoted or restored.

A failover or a restore begins a new timeline, and what was acknowledged on the former one may be missing there. Whoever
has some of it in memory must begin anew. Rows that were lost are never overwritten before that is noticed: what is
written on top of them is refused, since each write says what it expects.
"""

import logging

from perdure.contracts.errors import StoreFailed
from perdure.storage.postgres.lines import Line

logger = logging.getLogger("perdure.storage")

_TIMELINE = "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
_KEPT_MAX = 4


class Timelines:
    """On which timeline each number of this process began, asked over ``line``.

    Where the server does not tell, none is ever another one.
    """

    def __init__(self, line: Line, place: str) -> None:
        self._line = line
        self._place = place
        self._begun: dict[int, str] = {}

    async def begin(self, process: int) -> None:
        """This number is new. Raises Unavailable."""
        if (timeline := await self._current()) is not None:
            self._begun[process] = timeline
            while len(self._begun) > _KEPT_MAX:
                del self._begun[next(iter(self._begun))]

    async def is_left(self, process: int) -> bool:
        """Whether the server has left the timeline of this number. Raises Unavailable."""
        begun = self._begun.get(process)
        if begun is None or (current := await self._current()) in (None, begun):
            return False
        logger.warning(
            "The server of %s is on another timeline than before (%s, then %s), after a failover or a restore: what is "
            "in memory is read anew",
            self._place,
            begun,
            current,
        )
        return True

    async def _current(self) -> str | None:
        try:
            [[timeline]] = await self._line.ask_twice(_TIMELINE)
        except StoreFailed:
            # Not for us to know, or not known by this kind of server.
            return None
        return timeline
