"""Requests that came a moment ago, so that one which is sent again because its answer was lost counts once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

WINDOW_SECONDS = 300.0
REMEMBERED_MAX = 100_000


class RecentRequests:
    """By id, for a short while, in this process."""

    def __init__(self, seconds: float = WINDOW_SECONDS, remembered_max: int = REMEMBERED_MAX) -> None:
        self._seconds = seconds
        self._remembered_max = remembered_max
        self._known: dict[tuple[str, ...], tuple[float, asyncio.Task[None]]] = {}

    async def once(self, request: tuple[str, ...], act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it, unless the same request was done or is under way; then wait for that. What failed may come again."""
        now = asyncio.get_running_loop().time()
        self._forget(now)
        known = self._known.get(request)
        if known is None:
            # A task of its own: a caller who goes away does not take it back half done.
            known = self._known[request] = (now, asyncio.ensure_future(act()))
        try:
            await asyncio.shield(known[1])
        except BaseException:
            if known[1].done() and self._known.get(request) is known:
                del self._known[request]
            raise

    def _forget(self, now: float) -> None:
        for request, (at, _) in list(self._known.items()):
            if len(self._known) <= self._remembered_max and now - at < self._seconds:
                return
            del self._known[request]
