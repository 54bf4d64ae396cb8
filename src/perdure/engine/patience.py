"""A store that cannot be reached now is asked again, with growing pauses."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.contracts.errors import Unavailable

T = TypeVar("T")

PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX = 0.1, 5.0


async def until_available(ask: Callable[[], Awaitable[T]]) -> T:
    """What ``ask`` gives once it does not raise Unavailable; that error means that nothing was done."""
    pause = PAUSE_SECONDS_FIRST
    while True:
        try:
            return await ask()
        except Unavailable:
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
