"""How often and how soon a failed call is tried again."""

from datetime import timedelta
from typing import Any

from durabletask.retry import RetryPolicy
from perdure.core import retry

MAX_INTERVAL_DEFAULT = timedelta(days=6)
"""The longest wait between attempts where none is set, as in the .NET host."""


class RetryOptions(RetryPolicy):
    """All five are readable and settable; a value that can never work raises ValueError at once.

    ``max_number_of_attempts`` counts the first attempt too. A change is seen by later calls only.
    """

    def __init__(
        self,
        first_retry_interval_in_milliseconds: int,
        max_number_of_attempts: int,
        *,
        backoff_coefficient: float = 1.0,
        max_retry_interval_in_milliseconds: int | None = None,
        retry_timeout_in_milliseconds: int | None = None,
    ) -> None:
        self.first_retry_interval_in_milliseconds = first_retry_interval_in_milliseconds
        self.max_number_of_attempts = max_number_of_attempts
        self.backoff_coefficient = backoff_coefficient
        self.max_retry_interval_in_milliseconds = max_retry_interval_in_milliseconds
        self.retry_timeout_in_milliseconds = retry_timeout_in_milliseconds

    @property
    def first_retry_interval_in_milliseconds(self) -> int:
        """The wait before the second attempt."""
        return self._first

    @first_retry_interval_in_milliseconds.setter
    def first_retry_interval_in_milliseconds(self, value: int) -> None:
        self._first = _positive(value, "first_retry_interval_in_milliseconds")

    @property
    def max_number_of_attempts(self) -> int:
        """How many attempts there are at most, the first included."""
        return self._attempts

    @max_number_of_attempts.setter
    def max_number_of_attempts(self, value: int) -> None:
        self._attempts = _positive(value, "max_number_of_attempts")

    @property
    def backoff_coefficient(self) -> float:
        """What each wait is multiplied with to give the next."""
        return self._coefficient

    @backoff_coefficient.setter
    def backoff_coefficient(self, value: float) -> None:
        self._coefficient = _positive(value, "backoff_coefficient")

    @property
    def max_retry_interval_in_milliseconds(self) -> int | None:
        """The longest wait; None: six days."""
        return self._longest

    @max_retry_interval_in_milliseconds.setter
    def max_retry_interval_in_milliseconds(self, value: int | None) -> None:
        self._longest = None if value is None else _positive(value, "max_retry_interval_in_milliseconds")

    @property
    def retry_timeout_in_milliseconds(self) -> int | None:
        """How long after the first attempt a further one may still begin; None: no limit."""
        return self._timeout

    @retry_timeout_in_milliseconds.setter
    def retry_timeout_in_milliseconds(self, value: int | None) -> None:
        self._timeout = None if value is None else _positive(value, "retry_timeout_in_milliseconds")

    @property
    def first_retry_interval(self) -> timedelta:
        """The wait before the second attempt."""
        return timedelta(milliseconds=self._first)

    @property
    def max_retry_interval(self) -> timedelta:
        """The longest wait; six days where none is set."""
        return MAX_INTERVAL_DEFAULT if self._longest is None else timedelta(milliseconds=self._longest)

    @property
    def retry_timeout(self) -> timedelta | None:
        """How long after the first attempt a further one may still begin; None: no limit."""
        return None if self._timeout is None else timedelta(milliseconds=self._timeout)

    @property
    def handle(self) -> None:
        """None: every failure may be tried again."""

    def to_json(self) -> dict[str, Any]:
        """The options by the host's names; what was not set is left out."""
        written: dict[str, Any] = {
            "firstRetryIntervalInMilliseconds": self._first,
            "maxNumberOfAttempts": self._attempts,
        }
        if self._coefficient != 1.0:
            written["backoffCoefficient"] = self._coefficient
        if self._longest is not None:
            written["maxRetryIntervalInMilliseconds"] = self._longest
        if self._timeout is not None:
            written["retryTimeoutInMilliseconds"] = self._timeout
        return written

    def __repr__(self) -> str:
        return f"RetryOptions({self.to_json()})"


def policy_of(options: RetryPolicy) -> retry.RetryPolicy:
    """The options as the core knows them. Raises TypeError for anything but RetryOptions and RetryPolicy."""
    if not isinstance(options, RetryPolicy):
        raise TypeError(f"retry_options must be RetryOptions, not {type(options).__name__}.")
    return options.core_policy()


def _positive(value: Any, name: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}.")
    if not value > 0 or value == float("inf"):
        raise ValueError(f"{name} must be greater than 0, not {value}.")
    return value
