"""host.json as a tree with case-insensitive keys that remembers where each value came from, and is read key by key."""

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

from perdure.functions.durations import parse_timespan
from perdure.functions.json_positions import position_of

T = TypeVar("T")

OVERRIDE_PREFIX = "AzureFunctionsJobHost__"
FILE_NAME = "host.json"


class HostJsonError(Exception):
    """host.json, or a variable that overrides it, cannot be used; the message names the place."""


@dataclass(slots=True)
class Entry:
    """One value. ``source`` is its path in the file, or the name of the environment variable that set it."""

    key: str
    value: Any
    source: tuple[str, ...] | str


Entries = dict[str, Entry]
"""By lower-case key."""


class Section:
    """One object of the file. Each key is taken once; ``finish`` then warns about those nobody took."""

    def __init__(self, text: str, entries: Entries, path: str, warnings: list[str]) -> None:
        self._text = text
        self._entries = entries
        self._path = path
        self._warnings = warnings
        self._known: list[str] = []

    def take(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """The value at ``key``, or the default. Raises HostJsonError when ``read`` raises ValueError."""
        entry = self._entry(key)
        if entry is None or entry.value is None:
            return default
        try:
            return read(_plain(entry.value))
        except ValueError as error:
            raise HostJsonError(f"{self._place(entry)}: {self._path}{key} {error}") from error

    def section(self, key: str) -> "Section":
        """The object at ``key``, empty when absent. Raises HostJsonError for anything but an object."""
        entry = self._entry(key)
        value: Any = None if entry is None else entry.value
        if entry is not None and value is not None and not isinstance(value, dict):
            raise HostJsonError(f"{self._place(entry)}: {self._path}{key} must be an object, not {shown(value)}")
        return Section(self._text, cast(Entries, value or {}), f"{self._path}{key}.", self._warnings)

    def ignore(self, *keys: str) -> list[str]:
        """Accept keys that mean nothing here; returns the full paths of those that are there."""
        return [f"{self._path}{key}" for key in keys if self._entry(key) is not None]

    def finish(self) -> None:
        """Warn about each key that nothing reads, with the nearest one that is known."""
        known = {key.lower() for key in self._known}
        for lower, entry in self._entries.items():
            if lower not in known:
                close = difflib.get_close_matches(lower, known, n=1, cutoff=0.6)
                spelled = next((key for key in self._known if close and key.lower() == close[0]), None)
                hint = f"; did you mean '{spelled}'?" if spelled else ""
                self._warnings.append(f"{self._place(entry)}: unknown key '{self._path}{entry.key}'{hint}")

    def _entry(self, key: str) -> Entry | None:
        self._known.append(key)
        return self._entries.get(key.lower())

    def _place(self, entry: Entry) -> str:
        if isinstance(entry.source, str):
            return f"environment variable {entry.source}"
        line, column = position_of(self._text, entry.source)
        return f"{FILE_NAME}, line {line}, column {column}"


def build_entries(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Entries:
    """The tree of a parsed file."""
    entries: Entries = {}
    for key, value in values.items():
        here = (*path, key)
        inner: Any = build_entries(cast(dict[str, Any], value), here) if isinstance(value, dict) else value
        entries[key.lower()] = Entry(key, inner, here)
    return entries


def override_entries(entries: Entries, environment: Mapping[str, str]) -> None:
    """Lay ``AzureFunctionsJobHost__section__key`` variables over the tree; numbers are places in arrays."""
    for variable in sorted(environment):
        if variable.lower().startswith(OVERRIDE_PREFIX.lower()):
            steps = [step for step in variable[len(OVERRIDE_PREFIX) :].split("__") if step]
            if steps:
                _override(entries, steps, environment[variable], variable)


def _override(entries: Entries, steps: list[str], value: str, variable: str) -> None:
    first, rest = steps[0], steps[1:]
    entry = entries.setdefault(first.lower(), Entry(first, None, variable))
    if not rest:
        entry.value, entry.source = value, variable
    elif isinstance(entry.value, list) and len(rest) == 1 and rest[0].isdigit():
        items = cast(list[Any], entry.value)
        at = min(int(rest[0]), len(items))
        entry.value, entry.source = [*items[:at], value, *items[at + 1 :]], variable
    else:
        if not isinstance(entry.value, dict):
            entry.value, entry.source = {}, variable
        _override(cast(Entries, entry.value), rest, value, variable)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {entry.key: _plain(entry.value) for entry in cast(Entries, value).values()}
    return value


# Readers: a value as it stands in the file (or text, from a variable) → what it means. They raise ValueError.


def shown(value: Any) -> str:
    """A value in an error message."""
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {shown(value)}")
    return value


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError(f"must be true or false, not {shown(value)}")


def integer(low: int, high: int) -> Callable[[Any], int]:
    """A whole number within bounds, or its text."""

    def read(value: Any) -> int:
        number = value
        if isinstance(value, str) and value.strip().lstrip("-").isdigit() and len(value) < 20:
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int):
            raise ValueError(f"must be a whole number, not {shown(value)}")
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}, not {number}")
        return number

    return read


def limit(low: int, high: int) -> Callable[[Any], int | None]:
    """A whole number within bounds; -1 is no limit."""

    def read(value: Any) -> int | None:
        return None if value in (-1, "-1") else integer(low, high)(value)

    return read


def timespan(low: timedelta, high: timedelta) -> Callable[[Any], timedelta]:
    """A TimeSpan text within bounds."""

    def read(value: Any) -> timedelta:
        found = parse_timespan(text(value))
        if not low <= found <= high:
            raise ValueError(f"must be from {low} to {high}, not {found}")
        return found

    return read


def one_of(*names: str) -> Callable[[Any], str]:
    """One of some names, whatever the case."""

    def read(value: Any) -> str:
        for name in names:
            if isinstance(value, str) and value.lower() == name.lower():
                return name
        raise ValueError(f"must be one of {', '.join(names)}, not {shown(value)}")

    return read


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(text(item) for item in _listed(value, "texts"))


def integers(low: int, high: int) -> Callable[[Any], tuple[int, ...]]:
    """A list of whole numbers within bounds."""
    read = integer(low, high)
    return lambda value: tuple(read(item) for item in _listed(value, "whole numbers"))


def _listed(value: Any, what: str) -> list[Any]:
    """A list; from variables, an object with the places as keys."""
    if isinstance(value, dict):
        by_place = cast(dict[str, Any], value)
        if not all(key.isdigit() for key in by_place):
            raise ValueError(f"must be a list of {what}, not an object")
        return [by_place[key] for key in sorted(by_place, key=int)]
    if not isinstance(value, list):
        raise ValueError(f"must be a list of {what}, not {shown(value)}")
    return cast(list[Any], value)


def text_map(value: Any) -> dict[str, str]:
    """An object of texts."""
    if not isinstance(value, dict):
        raise ValueError(f"must be an object of texts, not {shown(value)}")
    return {key: text(item) for key, item in cast(dict[str, Any], value).items()}
