"""Requests that came a moment ago, so that one which is sent again because its answer was lost counts once."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

WINDOW_SECONDS = 300.0
REMEMBERED_MAX = 100_000


class RecentRequests:
    """By id, for a short while, in this process."""

    def __init__(self, seconds: float = WINDOW_SECONDS, remembered_max: int = REMEMBERED_MAX) -> None:
        self._seconds = seconds
        self._remembered_max = remembered_max
        self._known: OrderedDict[tuple[str, ...], tuple[float, asyncio.Task[None] | None]] = OrderedDict()
        """When each came, and what does it; None when it is done."""

    def __len__(self) -> int:
        return len(self._known)

    async def once(self, request: tuple[str, ...], act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it, unless the same request was done or is under way; then wait for that. What failed may come again."""
        now = asyncio.get_running_loop().time()
        self._forget(now)
        known = self._known.get(request)
        if known is None:
            # A task of its own: a caller who goes away does not take it back half done.
            task = asyncio.ensure_future(act())
            self._known[request] = known = now, task
            task.add_done_callback(partial(self._note_end, request))
        if known[1] is not None:
            await asyncio.shield(known[1])

    def _note_end(self, request: tuple[str, ...], task: "asyncio.Task[None]") -> None:
        known = self._known.get(request)
        if known is None or known[1] is not task:
            return
        if task.cancelled() or task.exception() is not None:
            del self._known[request]
        else:
            self._known[request] = known[0], None

    def _forget(self, now: float) -> None:
        while self._known:
            request, (at, _) = next(iter(self._known.items()))
            if len(self._known) <= self._remembered_max and now - at < self._seconds:
                return
            del self._known[request]
