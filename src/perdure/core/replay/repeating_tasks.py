"""Tasks that ask more than once: a call with retries, a call that polls, a timer longer than the store's longest."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from perdure.core.failures import FailureDetails
from perdure.core.replay.policy import RetryIds
from perdure.core.replay.tasks import Asker, CallTask, Task, TaskState, TimerTask, WatchingTask
from perdure.core.retry import RetryPolicy, next_delay


class LongTimerTask(TimerTask):
    """One timer to the code, several to the engine: hops until the rest is short enough (functions-sdk.md §6)."""

    __slots__ = ("_hop", "_longest")

    def __init__(self, asker: Asker, fire_at: datetime, longest: timedelta, hop: timedelta) -> None:
        super().__init__(asker, fire_at)
        self._longest = longest
        self._hop = hop

    def open(self, asker: Asker) -> Sequence[Task]:
        self._ask_next()
        return ()

    def fire(self) -> None:
        if self._asker.now < self.fire_at:
            self._ask_next()
        else:
            self.succeed(None)

    def _ask_next(self) -> None:
        now = self._asker.now
        self.ask(now + self._hop if self.fire_at - now > self._longest else self.fire_at)


class RetryTask(WatchingTask):
    """A call that is tried again after failures, with a timer before each further attempt.

    Ids are taken when the failure, or the timer's end, is seen (replay-protocol.md §3).
    No timer follows the last failure (D10).
    """

    __slots__ = ("_asker", "_attempt_count", "_first_attempt_at", "_ids", "_new_attempt", "_new_timer", "_retry", "id")

    def __init__(
        self,
        asker: Asker,
        new_attempt: Callable[[], CallTask],
        new_timer: Callable[[datetime], TimerTask],
        retry: RetryPolicy,
        ids: RetryIds,
    ) -> None:
        super().__init__()
        self.id: int | None = None
        self._asker = asker
        self._first_attempt_at = asker.now
        self._new_attempt = new_attempt
        self._new_timer = new_timer
        self._retry = retry
        self._ids = ids
        self._attempt_count = 0

    def open(self, asker: Asker) -> Sequence[Task]:
        self._first_attempt_at = asker.now
        self._try()
        return ()

    def note(self, child: Task) -> bool:
        if not isinstance(child, CallTask):
            self._try()
            return False
        if child.state is TaskState.SUCCEEDED:
            self.value = child.value
            self.state = TaskState.SUCCEEDED
            return True
        if child.failure is not None:
            try:
                delay = self._delay_after(child.failure)
            except BaseException as error:
                self.error = error
                self.state = TaskState.FAILED
                return True
            if delay is not None:
                self._follow(self._new_timer(self._asker.now + delay))
                return False
        self.error = child.error
        self.state = TaskState.FAILED
        return True

    def _delay_after(self, failure: FailureDetails) -> timedelta | None:
        return next_delay(self._retry, self._attempt_count, self._first_attempt_at, self._asker.now, failure)

    def _try(self) -> None:
        self._attempt_count += 1
        attempt = self._new_attempt()
        if self._ids is RetryIds.REUSED:
            attempt.id = self.id
        self._follow(attempt)
        if self.id is None:
            self.id = attempt.id

    def _follow(self, child: Task) -> None:
        child.watch(self)
        self._asker.schedule(child)


Poll = Callable[[str, Any, datetime], tuple[str, datetime] | None]
"""(input of the last call, its value, now) → input and time of the next call, or None: the value is the answer."""


class PollingTask(WatchingTask):
    """A call that is repeated, after a timer each, until its value is final.

    Ids are taken as by ``RetryTask``. A failed call fails it; so does what ``poll`` raises.
    """

    __slots__ = ("_asker", "_input", "_new_call", "_new_timer", "_poll", "id")

    def __init__(
        self,
        asker: Asker,
        input: str,
        new_call: Callable[[str], CallTask],
        new_timer: Callable[[datetime], TimerTask],
        poll: Poll,
    ) -> None:
        super().__init__()
        self.id: int | None = None
        self._asker = asker
        self._input = input
        self._new_call = new_call
        self._new_timer = new_timer
        self._poll = poll

    def open(self, asker: Asker) -> Sequence[Task]:
        self._call()
        return ()

    def note(self, child: Task) -> bool:
        if not isinstance(child, CallTask):
            self._call()
            return False
        if child.state is TaskState.FAILED:
            return self._fail(child.error)
        try:
            again = self._poll(self._input, child.value, self._asker.now)
        except BaseException as error:
            return self._fail(error)
        if again is None:
            self.value = child.value
            self.state = TaskState.SUCCEEDED
            return True
        self._input, due_at = again
        self._follow(self._new_timer(due_at))
        return False

    def _fail(self, error: BaseException | None) -> bool:
        self.error = error
        self.state = TaskState.FAILED
        return True

    def _call(self) -> None:
        call = self._new_call(self._input)
        self._follow(call)
        if self.id is None:
            self.id = call.id

    def _follow(self, child: Task) -> None:
        child.watch(self)
        self._asker.schedule(child)
