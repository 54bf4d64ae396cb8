"""Query parameters of the HTTP API: names without case, an empty value is not given (http-api.md §1, §6.4)."""

import math
from datetime import datetime
from urllib.parse import parse_qsl

from perdure.core.status import RuntimeStatus
from perdure.formats.http_json.times import read_time

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1000
_PARAMETERS_MAX = 200
_ALL = frozenset(RuntimeStatus)
_STATUSES = {name: status for status in RuntimeStatus for name in (status.name.lower(), str(status.value))}


class InvalidQuery(ValueError):
    """A query parameter cannot be used; the message names it."""

    def __init__(self, parameter: str, what: str) -> None:
        super().__init__(f"The query parameter '{parameter}' {what}")
        self.parameter = parameter


class QueryParameters:
    """The parameters of one request. Of a repeated one the first counts, except in lists."""

    __slots__ = ("_values",)

    def __init__(self, query_string: bytes) -> None:
        """Raises InvalidQuery for what is not percent-encoded UTF-8, or for too many parameters."""
        self._values: dict[str, list[str]] = {}
        if not query_string:
            return
        try:
            pairs = parse_qsl(
                query_string.decode(), keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS_MAX
            )
        except UnicodeDecodeError:
            raise InvalidQuery("?", "string is not percent-encoded UTF-8.") from None
        except ValueError:
            raise InvalidQuery("?", f"string has more than {_PARAMETERS_MAX} parameters.") from None
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def text(self, name: str) -> str | None:
        """The text, None when absent or empty."""
        return next(iter(self._given(name)), None) if self._values else None

    def flag(self, name: str, default: bool) -> bool:
        """True or false in any case; anything else is not given."""
        return {"true": True, "false": False}.get((self.text(name) or "").strip().lower(), default)

    def seconds(self, name: str) -> float | None:
        """A finite, not negative number of seconds; anything else is not given."""
        try:
            seconds = float(self.text(name) or "")
        except ValueError:
            return None
        return seconds if math.isfinite(seconds) and seconds >= 0 else None

    def page_size(self, name: str) -> int:
        """1..1000. Raises InvalidQuery."""
        text = self.text(name)
        if text is None:
            return PAGE_SIZE_DEFAULT
        if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= PAGE_SIZE_MAX:
            return int(text)
        raise InvalidQuery(name, f"must be a whole number from 1 to {PAGE_SIZE_MAX}.")

    def time(self, name: str) -> datetime | None:
        """A time, aware UTC. Raises InvalidQuery."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return read_time(text)
        except ValueError:
            raise InvalidQuery(name, "is not an ISO 8601 time such as 2026-02-03T04:05:06Z.") from None

    def statuses(self, name: str, usable: frozenset[RuntimeStatus] = _ALL) -> frozenset[RuntimeStatus] | None:
        """The usable ones of the statuses named; None when none is named. Raises InvalidQuery when none is usable."""
        words = [word.strip() for value in self._given(name) for word in value.split(",") if word.strip()]
        if not words:
            return None
        found = usable & {_STATUSES[word.lower()] for word in words if word.lower() in _STATUSES}
        if not found:
            names = ", ".join(status.name for status in sorted(usable))
            raise InvalidQuery(name, f"names no status that can be used here; there are: {names}.")
        return found

    def _given(self, name: str) -> list[str]:
        return [value for value in self._values.get(name.lower(), ()) if value]
