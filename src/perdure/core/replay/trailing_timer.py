"""Retries as the out-of-process protocol counts them: a timer follows the last failure too (D10)."""

from perdure.core.replay.repeating_tasks import RetryTask
from perdure.core.replay.tasks import CallTask, Task, TaskState


class TrailingRetryTask(RetryTask):
    """A retried call that fails only when one more timer has fired, so that both sides count the same ids.

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
