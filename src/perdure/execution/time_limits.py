"""How long one call of a user's function may take (host.json ``functionTimeout``)."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from perdure.core.failures import FailureDetails
from perdure.execution import debugger

T = TypeVar("T")

ERROR_TYPE = "TimeoutError"
"""What code around an activity catches."""


class FunctionTimedOut(Exception):
    """A function has not returned in time; it may still be running on its thread."""


async def within(seconds: float | None, job: Awaitable[T]) -> T:
    """Await ``job`` no longer than that, and cancel it then; while somebody debugs, the time does not count.

    Raises FunctionTimedOut; whatever ``job`` raises goes through.
    """
    if seconds is None:
        return await job
    loop = asyncio.get_running_loop()
    limit = asyncio.timeout(None)
    try:
        async with limit:

            def look() -> None:
                nonlocal timer
                if debugger.is_attached():
                    timer = loop.call_later(seconds, look)
                else:
                    limit.reschedule(loop.time())

            timer = loop.call_later(seconds, look)
            try:
                return await job
            finally:
                timer.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        raise FunctionTimedOut(timeout_text(seconds)) from None


def timeout_text(seconds: float) -> str:
    """Why a call was given up."""
    return f"It has not returned within {timedelta(seconds=seconds)}, the functionTimeout in host.json."


def activity_timed_out(name: str, seconds: float) -> FailureDetails:
    """The failure of an activity that took too long."""
    return FailureDetails(ERROR_TYPE, f"Activity '{name}' failed. {timeout_text(seconds)}")
