"""Retry policies of triggers, as function.json, host.json and ``app.retry`` write them (functions-host.md §11.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from perdure.functions.durations import parse_timespan

_STRATEGIES = {"fixeddelay": "fixedDelay", "exponentialbackoff": "exponentialBackoff"}
_FIELDS = ("strategy", "maxRetryCount", "delayInterval", "minimumInterval", "maximumInterval")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Run a failed function again: ``retries_max`` times, None for ever. The wait doubles from first to longest."""

    retries_max: int | None
    first: timedelta
    longest: timedelta

    def allows(self, retries: int) -> bool:
        """Whether there may be one more after so many."""
        return self.retries_max is None or retries < self.retries_max

    def delay(self, retries: int) -> timedelta:
        """The wait before the next one, when there were so many already."""
        return min(self.first * 2 ** min(retries, 40), self.longest) if self.first < self.longest else self.longest


def read_retry_policy(written: Mapping[str, Any]) -> RetryPolicy:
    """Read a policy; field names match in any case. Raises ValueError naming the field that is wrong."""
    given = {name.lower(): value for name, value in written.items()}
    unknown = sorted(set(given) - {field.lower() for field in _FIELDS})
    if unknown:
        raise ValueError(f"has the unknown field '{unknown[0]}'; it may have {', '.join(_FIELDS)}")
    folded = str(given.get("strategy", "")).replace("_", "").lower()
    if folded not in _STRATEGIES:
        raise ValueError(f"has the strategy {given.get('strategy')!r}; it is fixedDelay or exponentialBackoff")
    count = _count(given.get("maxretrycount"))
    if _STRATEGIES[folded] == "fixedDelay":
        delay = _interval(given, "delayInterval")
        return RetryPolicy(count, delay, delay)
    first, longest = _interval(given, "minimumInterval"), _interval(given, "maximumInterval")
    if longest < first:
        raise ValueError("has a maximumInterval that is shorter than its minimumInterval")
    return RetryPolicy(count, first, longest)


def _count(value: Any) -> int | None:
    # Decorators take it as a text, function.json as a number.
    text = str(value).strip()
    if isinstance(value, bool) or not text.lstrip("-").isdigit() or int(text) < -1:
        raise ValueError(f"has the maxRetryCount {value!r}; it is a number from 0 on, or -1 for no end")
    return None if int(text) == -1 else int(text)


def _interval(given: Mapping[str, Any], field: str) -> timedelta:
    value = given.get(field.lower())
    if not isinstance(value, str):
        raise ValueError(f"needs {field}, a time span such as 00:00:10")
    try:
        return parse_timespan(value)
    except ValueError as error:
        raise ValueError(f"has a wrong {field}: {error}") from None
