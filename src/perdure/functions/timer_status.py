"""When a timer last ran and is due next, kept across restarts (functions-host.md §10)."""

import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

_log = logging.getLogger("perdure.functions.timers")

NEVER = datetime.min.replace(tzinfo=UTC)
"""``last`` of a timer that has not run yet."""


@dataclass(frozen=True, slots=True)
class TimerStatus:
    """``schedule`` is its text when the rest was computed. All times are aware UTC."""

    schedule: str
    last: datetime
    next: datetime
    updated: datetime


class TimerStatusStore(Protocol):
    """Keeps one status per function. Never raises: a lost status only means that no missed run is noticed."""

    async def read(self, function_name: str) -> TimerStatus | None:
        """The status; None when there is none or when it cannot be read (then logged)."""
        ...

    async def write(self, function_name: str, status: TimerStatus) -> None:
        """Replace the status, whole or not at all."""
        ...


class FileTimerStatuses:
    """One small file per function in a folder of the hub's own."""

    def __init__(self, folder: Path, task_hub: str) -> None:
        self._folder = folder / "timers" / task_hub.lower()

    async def read(self, function_name: str) -> TimerStatus | None:
        path = self._path(function_name)
        try:
            return read_status(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("The status of timer '%s' cannot be read and starts anew (%s): %s", function_name, path, error)
            return None

    async def write(self, function_name: str, status: TimerStatus) -> None:
        path = self._path(function_name)
        waiting = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            waiting.write_text(write_status(status), "utf-8")
            os.replace(waiting, path)
        except OSError as error:
            _log.warning("The status of timer '%s' cannot be written (%s): %s", function_name, path, error)

    def _path(self, function_name: str) -> Path:
        return self._folder / f"{function_name.lower()}.json"


def write_status(status: TimerStatus) -> str:
    """A status as the text that is kept."""
    return json.dumps(
        {
            "Schedule": status.schedule,
            "Last": status.last.isoformat(),
            "Next": status.next.isoformat(),
            "LastUpdated": status.updated.isoformat(),
        }
    )


def read_status(text: str) -> TimerStatus:
    """A kept text as status. Raises ValueError, KeyError, TypeError for a text that is none."""
    fields: Any = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    given = cast(dict[str, str], fields)
    last, due, updated = (datetime.fromisoformat(given[key]) for key in ("Last", "Next", "LastUpdated"))
    if any(time.tzinfo is None for time in (last, due, updated)):
        raise ValueError("a time without its offset")
    return TimerStatus(given["Schedule"], last, due, updated)
