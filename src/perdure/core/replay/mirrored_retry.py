"""A retried call whose attempts and timers a host makes by itself: this side counts the same ids and waits (D10)."""

from perdure.core.replay.repeating_tasks import RetryTask
from perdure.core.replay.tasks import CallTask, Task, TaskState, TimerTask


class MirroredRetryTask(RetryTask):
    """Fails only when a timer has fired after the last failure too, as the host's own loop does.

    After ``retry_timeout`` the host makes no further timer; then the failure stands at once.
    """

    __slots__ = ("_last_error",)
    _last_error: BaseException | None

    def note(self, child: Task) -> bool:
        if not isinstance(child, CallTask):
            if self._attempt_count < self._retry.max_attempts:
                self._try()
                return False
            self.error = self._last_error
            self.state = TaskState.FAILED
            return True
        if child.state is TaskState.SUCCEEDED:
            self.value = child.value
            self.state = TaskState.SUCCEEDED
            return True
        timeout, now = self._retry.retry_timeout, self._asker.now
        if child.failure is None or (timeout is not None and now - self._first_attempt_at >= timeout):
            self.error = child.error
            self.state = TaskState.FAILED
            return True
        self._last_error = child.error
        # When it fires is the host's business; only its id counts.
        self._follow(TimerTask(self._asker, now))
        return False
