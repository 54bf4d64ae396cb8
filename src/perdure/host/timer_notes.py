"""When timers last ran, in a hub that many hosts share: whoever takes the timers over goes on from there."""

import asyncio
import logging

from perdure.contracts.errors import StorageError
from perdure.functions.timer_status import TimerStatus, read_status, write_status
from perdure.storage.notes import Notes

PREFIX = "timer/"
AGAIN_SECONDS = 1.0
logger = logging.getLogger("perdure.functions.timers")


class NotedTimerStatuses:
    """See ``functions.timer_status.TimerStatusStore``.

    While the store is away these wait: a status that is not read would hide a missed run, one that is not written
    would make the next host run the timer again.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    async def read(self, function_name: str) -> TimerStatus | None:
        """See ``TimerStatusStore``."""
        name = _name(function_name)
        while True:
            try:
                text = (await self._notes.read(name)).get(name)
                return None if text is None else read_status(text)
            except StorageError as error:
                await self._wait(function_name, "read", error)
            except (ValueError, KeyError, TypeError) as error:
                logger.warning("The status of timer '%s' cannot be read and starts anew: %s", function_name, error)
                return None

    async def write(self, function_name: str, status: TimerStatus) -> None:
        """See ``TimerStatusStore``."""
        while True:
            try:
                await self._notes.put({_name(function_name): write_status(status)})
                return
            except StorageError as error:
                await self._wait(function_name, "written", error)

    async def _wait(self, function_name: str, what: str, error: StorageError) -> None:
        logger.info("The status of timer '%s' cannot be %s now: %s", function_name, what, error)
        await asyncio.sleep(AGAIN_SECONDS)


def _name(function_name: str) -> str:
    return f"{PREFIX}{function_name.lower()}"
