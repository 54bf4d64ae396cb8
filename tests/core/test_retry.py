"""When a failed call is tried again (semantics.md §16)."""

from datetime import UTC, datetime, timedelta

import pytest

from perdure.core.failures import FailureDetails
from perdure.core.retry import LONGEST_DELAY, RetryPolicy, next_delay

T0 = datetime(2026, 1, 1, tzinfo=UTC)
BROKEN = FailureDetails("ValueError", "broken")
SECOND = timedelta(seconds=1)


def _delays(policy: RetryPolicy, attempts: int) -> list[float | None]:
    found = [next_delay(policy, attempt, T0, T0, BROKEN) for attempt in range(1, attempts + 1)]
    return [None if delay is None else delay.total_seconds() for delay in found]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetryPolicy(SECOND, 1), [None]),
        (RetryPolicy(5 * SECOND, 3), [5, 5, None, None]),
        (RetryPolicy(SECOND, 5, 2.0), [1, 2, 4, 8, None]),
        (RetryPolicy(SECOND, 5, 1.5, 2 * SECOND), [1, 1.5, 2, 2, None]),
        (RetryPolicy(10 * SECOND, 3, 1.0, 4 * SECOND), [4, 4, None]),
        (RetryPolicy(8 * SECOND, 4, 0.5), [8, 4, 2, None]),
        (RetryPolicy(timedelta(0), 3, 2.0), [0, 0, None]),
    ],
)
def test_delays(policy: RetryPolicy, expected: list[float | None]) -> None:
    assert _delays(policy, len(expected)) == expected


@pytest.mark.parametrize(("elapsed", "goes_on"), [(9, True), (10, False), (11, False)])
def test_the_timeout_ends_retries_from_its_instant_on(elapsed: int, goes_on: bool) -> None:
    policy = RetryPolicy(SECOND, 9, retry_timeout=10 * SECOND)
    delay = next_delay(policy, 1, T0, T0 + elapsed * SECOND, BROKEN)
    assert (delay is not None) is goes_on


def test_a_non_retriable_failure_ends_retries() -> None:
    failure = FailureDetails("VersionMismatch", "no", is_non_retriable=True)
    assert next_delay(RetryPolicy(SECOND, 9), 1, T0, T0, failure) is None


def test_the_handler_decides_and_is_not_asked_when_there_is_nothing_to_decide() -> None:
    asked: list[FailureDetails] = []

    def handler(failure: FailureDetails) -> bool:
        asked.append(failure)
        return failure.message == "broken"

    policy = RetryPolicy(SECOND, 2, handler=handler)
    assert next_delay(policy, 1, T0, T0, BROKEN) == SECOND
    assert next_delay(policy, 1, T0, T0, FailureDetails("ValueError", "other")) is None
    assert next_delay(policy, 2, T0, T0, BROKEN) is None
    assert len(asked) == 2


@pytest.mark.parametrize("coefficient", [10.0, 1e308])
def test_growth_without_a_maximum_stays_a_date(coefficient: float) -> None:
    delay = next_delay(RetryPolicy(SECOND, 10_000, coefficient), 5_000, T0, T0, BROKEN)
    assert delay == LONGEST_DELAY
    assert T0 + delay > T0
