"""RetryPolicy: how long to wait before the next attempt, or that there is none."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from perdure.core.failures import FailureDetails

LONGEST_DELAY = timedelta(days=365_000)
"""A delay that grows without a maximum stops here, so that the date it leads to exists."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed call is tried again. ``max_attempts`` counts the first one; ``handler`` may refuse a retry."""

    first_interval: timedelta
    max_attempts: int
    backoff_coefficient: float = 1.0
    max_interval: timedelta | None = None
    retry_timeout: timedelta | None = None
    handler: Callable[[FailureDetails], bool] | None = None


def next_delay(
    policy: RetryPolicy, attempt: int, first_attempt_at: datetime, now: datetime, failure: FailureDetails
) -> timedelta | None:
    """The wait after failed attempt number ``attempt`` (from 1), or None to give up (semantics.md §16).

    Raises whatever the policy's handler raises.
    """
    if attempt >= policy.max_attempts or failure.is_non_retriable:
        return None
    if policy.retry_timeout is not None and now - first_attempt_at >= policy.retry_timeout:
        return None
    if policy.handler is not None and not policy.handler(failure):
        return None
    return _interval(policy, attempt)


def _interval(policy: RetryPolicy, attempt: int) -> timedelta:
    longest = LONGEST_DELAY if policy.max_interval is None else min(policy.max_interval, LONGEST_DELAY)
    if policy.backoff_coefficient == 1.0:
        return min(policy.first_interval, longest)
    try:
        seconds = policy.first_interval.total_seconds() * policy.backoff_coefficient ** (attempt - 1)
    except OverflowError:
        return longest
    return timedelta(seconds=seconds) if seconds < longest.total_seconds() else longest
