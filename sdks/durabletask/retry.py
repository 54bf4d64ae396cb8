"""RetryPolicy: how often and how soon a failed call is tried again."""

from collections.abc import Callable
from datetime import timedelta

from durabletask.failures import FailureDetails, shown_failure
from perdure.core import failures, retry

_NO_TIME = timedelta()


class RetryPolicy:
    """``max_number_of_attempts`` counts the first one. ``handle`` may refuse a retry.

    Raises ValueError for a policy that could never be followed.
    """

    def __init__(
        self,
        *,
        first_retry_interval: timedelta,
        max_number_of_attempts: int,
        backoff_coefficient: float | None = 1.0,
        max_retry_interval: timedelta | None = None,
        retry_timeout: timedelta | None = None,
        handle: Callable[[FailureDetails], bool] | None = None,
    ) -> None:
        if first_retry_interval < _NO_TIME:
            raise ValueError("first_retry_interval must be >= 0")
        if max_number_of_attempts < 1:
            raise ValueError("max_number_of_attempts must be >= 1")
        if backoff_coefficient is not None and backoff_coefficient < 1:
            raise ValueError("backoff_coefficient must be >= 1")
        if max_retry_interval is not None and max_retry_interval < _NO_TIME:
            raise ValueError("max_retry_interval must be >= 0")
        if retry_timeout is not None and retry_timeout < _NO_TIME:
            raise ValueError("retry_timeout must be >= 0")
        self._first_retry_interval = first_retry_interval
        self._max_number_of_attempts = max_number_of_attempts
        self._backoff_coefficient = backoff_coefficient
        self._max_retry_interval = max_retry_interval
        self._retry_timeout = retry_timeout
        self._handle = handle

    @property
    def first_retry_interval(self) -> timedelta:
        """The wait before the second attempt."""
        return self._first_retry_interval

    @property
    def max_number_of_attempts(self) -> int:
        """How many attempts there are at most, the first included."""
        return self._max_number_of_attempts

    @property
    def backoff_coefficient(self) -> float | None:
        """What each wait is multiplied with to give the next."""
        return self._backoff_coefficient

    @property
    def max_retry_interval(self) -> timedelta | None:
        """The longest wait; None: no limit."""
        return self._max_retry_interval

    @property
    def retry_timeout(self) -> timedelta | None:
        """How long after the first attempt a further one may still begin; None: no limit."""
        return self._retry_timeout

    @property
    def handle(self) -> Callable[[FailureDetails], bool] | None:
        """Asked after each failure; False ends the attempts."""
        return self._handle

    def core_policy(self) -> retry.RetryPolicy:
        """The policy as the core knows it."""
        handle = self.handle

        def may_retry(failure: failures.FailureDetails) -> bool:
            assert handle is not None
            return handle(shown_failure(failure))

        return retry.RetryPolicy(
            first_interval=self.first_retry_interval,
            max_attempts=self.max_number_of_attempts,
            backoff_coefficient=self.backoff_coefficient or 1.0,
            max_interval=self.max_retry_interval,
            retry_timeout=self.retry_timeout,
            handler=None if handle is None else may_retry,
        )


def core_policy_of(policy: RetryPolicy) -> retry.RetryPolicy:
    """The policy as the core knows it. Raises TypeError for anything but a RetryPolicy."""
    if not isinstance(policy, RetryPolicy):
        raise TypeError(f"retry_policy must be a RetryPolicy, not {type(policy).__name__}.")
    return policy.core_policy()


RetryPolicy.__module__ = "durabletask.task"
