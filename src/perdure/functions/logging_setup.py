"""The host's log: ``[{UTC}Z] text`` lines, filtered by the categories of host.json (functions-host.md §12)."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

from perdure.functions.invocations import running_function, turn_here

_OFF = logging.CRITICAL + 1
_NUMBERS = {
    "trace": 1,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": _OFF,
}
_COLOURS = ((logging.ERROR, "\x1b[31m"), (logging.WARNING, "\x1b[33m"))
_SHOWN = {
    code: f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(code) not in "\n\t"
}
"""Characters that would steer a terminal, or turn the order of what is read, are written out."""
_PLAIN = "\x1b[0m"
_SYSTEM_LOGGERS = ("perdure.", "azure.functions.", "azure_functions_worker.", "uvicorn.")


@dataclass(frozen=True, slots=True)
class LogLevels:
    """Level names by category prefix, and what applies to the rest: to the host's own lines, to the app's."""

    by_category: Mapping[str, str] = field(default_factory=dict[str, str])
    system: str = "Warning"
    user: str = "Information"
    shows_replays: bool = False
    """Whether lines are shown that an orchestrator writes again while its past is replayed."""

    def number_of(self, category: str) -> int:
        """The level from which records of a category are shown: the longest prefix that is configured wins."""
        folded = category.lower()
        best, level = -1, self.user if folded.startswith("function.") else self.system
        for prefix, name in self.by_category.items():
            known = prefix.lower()
            if (folded == known or folded.startswith(known + ".")) and len(known) > best:
                best, level = len(known), name
        return _NUMBERS[level.lower()]

    def lowest(self) -> int:
        """The level below which nothing is shown whatever its category."""
        names = [*self.by_category.values(), self.system, self.user]
        return min(_NUMBERS[name.lower()] for name in names)


def log_levels(
    by_category: Mapping[str, str],
    *,
    is_verbose: bool = False,
    user_level: str | None = None,
    shows_replays: bool = False,
) -> LogLevels:
    """Combine host.json with the command line; ``logging.logLevel.default`` sets both unless an option is given."""
    default = next((level for category, level in by_category.items() if category.lower() == "default"), None)
    rest = {category: level for category, level in by_category.items() if category.lower() != "default"}
    system = "Information" if is_verbose else default or "Warning"
    return LogLevels(rest, system, user_level or default or "Information", shows_replays)


def configure_logging(levels: LogLevels, stream: TextIO | None = None) -> logging.Handler:
    """Send all log records to ``stream`` (standard output) in the host's format; returns the handler it added."""
    target = sys.stdout if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(HostFormatter(has_colours=target.isatty()))
    handler.addFilter(CategoryFilter(levels))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(max(levels.lowest(), 1))
    reconfigure = getattr(target, "reconfigure", None)
    if reconfigure is not None:
        # What an app prints must appear with its log lines, also when the output is a file; and no text may fail.
        reconfigure(line_buffering=True, errors="backslashreplace")
    return handler


def category_of(record: logging.LogRecord) -> str:
    """The category by which host.json filters a record."""
    given: str | None = getattr(record, "category", None)
    if given is not None:
        return given
    if f"{record.name}.".startswith(_SYSTEM_LOGGERS):
        return f"Host.{record.name.removeprefix('perdure.')}"
    function_name = running_function.get()
    if function_name is None and (turn := turn_here()) is not None:
        function_name = turn.name
    return "Function.User" if function_name is None else f"Function.{function_name}.User"


class CategoryFilter(logging.Filter):
    """Lets through what its category's level allows, and each line of an orchestrator once."""

    def __init__(self, levels: LogLevels) -> None:
        super().__init__()
        self._levels = levels
        self._known: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show the record."""
        category = category_of(record)
        level = self._known.get(category)
        if level is None:
            level = self._known[category] = self._levels.number_of(category)
        return record.levelno >= level and (self._levels.shows_replays or not _is_repeated(record))


def _is_repeated(record: logging.LogRecord) -> bool:
    """Whether an orchestrator wrote this line before: its code runs again over what it has done."""
    if f"{record.name}.".startswith(_SYSTEM_LOGGERS):
        return False
    turn = turn_here()
    return turn is not None and turn.is_replaying


class HostFormatter(logging.Formatter):
    """``[2026-02-03T04:05:01.220Z] text``, the exception below it."""

    def __init__(self, *, has_colours: bool = False) -> None:
        super().__init__()
        self._has_colours = has_colours

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines."""
        time = datetime.fromtimestamp(record.created, UTC)
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        text = f"[{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z] {text.translate(_SHOWN)}"
        if self._has_colours:
            colour = next((code for level, code in _COLOURS if record.levelno >= level), None)
            return text if colour is None else f"{colour}{text}{_PLAIN}"
        return text
