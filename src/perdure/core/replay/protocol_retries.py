"""Retried calls as the out-of-process protocol counts them (D10): a timer follows the last failure too.

The code's side only counts along with its host; the host's side makes the attempts and the timers.
"""

from perdure.core.replay.repeating_tasks import RetryTask
from perdure.core.replay.tasks import CallTask, Task, TaskState, TimerTask


class MirroredRetryTask(RetryTask):
    """The code's side. Fails only when a timer has fired after the last failure too, as the host's own loop does.

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


class TrailingRetryTask(RetryTask):
    """The host's side. Fails only when one more timer has fired, so that both sides count the same ids.

    That timer is due at once: nothing is waited for any more.
    """

    __slots__ = ("_last_error",)
    _last_error: BaseException

    def note(self, child: Task) -> bool:
        if hasattr(self, "_last_error") and not isinstance(child, CallTask):
            self.error = self._last_error
            self.state = TaskState.FAILED
            return True
        if not super().note(child):
            return False
        if self.state is TaskState.FAILED and self.error is not None:
            self._last_error, self.error = self.error, None
            self.state = TaskState.RUNNING
            self._follow(self._new_timer(self._asker.now))
            return False
        return True
