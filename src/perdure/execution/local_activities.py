"""Runs activities: plain functions on threads that share one queue, coroutine functions on the user loop.

Threads take one activity at a time, so a slow one delays nobody else; results are gathered and the
engine loop is woken once for many (performance.md, "thread-pool job").
"""

import asyncio
import collections
import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from perdure.contracts.executor import ActivityResult
from perdure.contracts.records import PendingActivity
from perdure.contracts.work_load import WorkLoad
from perdure.core.errors import NotRegistered
from perdure.core.failures import FailureDetails, failure_of
from perdure.core.registry import ActivityDefinition, ActivityMode, Registry
from perdure.execution import debugger
from perdure.execution.activity_calls import activity_call
from perdure.execution.black_box import Box, activity_key
from perdure.execution.doorbell import Doorbell
from perdure.execution.poison import poisoned
from perdure.execution.stacks import users_code
from perdure.execution.time_limits import activity_timed_out
from perdure.execution.user_loop import UserLoop
from perdure.execution.work_loads import loads_here

STUCK_AFTER_SECONDS = 5.0
RETRY_SECONDS = 1.0

T = TypeVar("T")

logger = logging.getLogger("perdure.execution")


class LocalActivities:
    """The lane of activities. All methods but the threads' own belong to the engine loop."""

    def __init__(
        self,
        registry: Registry,
        user_loop: UserLoop,
        *,
        threads_max: int,
        concurrent_max: int,
        payload_bytes_max: int,
        box: Box,
        seconds_max: float | None = None,
    ) -> None:
        self._box = box
        self._registry = registry
        self._user_loop = user_loop
        self._threads_max = min(threads_max, concurrent_max)
        self._concurrent_max = concurrent_max
        self._payload_bytes_max = payload_bytes_max
        self._queue: collections.deque[tuple[PendingActivity, ActivityDefinition]] = collections.deque()
        """What threads take from."""
        self._is_mixed = False
        """Both kinds wait or run now. Then an activity is in the queue only while a thread and a place are free for it:
        otherwise the two kinds together would run more than the maximum. That costs a turn of the loop for each result
        or two, so apps in which only one kind is in use, as most of the time in all of them, do without."""
        self._for_threads = self._queue
        """Plain functions that have not begun; the queue itself while there is only this kind."""
        self._threads_taken = 0
        """Places that plain functions have, until their result is taken."""
        self._loop_ended = 0
        """Of the results not taken yet, those that had no place among the threads."""
        self._retry: asyncio.TimerHandle | None = None
        self._idle: collections.deque[Doorbell] = collections.deque()
        self._results: collections.deque[ActivityResult] = collections.deque()
        self._armed = False
        self._waiter: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._on_loop: collections.deque[tuple[PendingActivity, ActivityDefinition]] = collections.deque()
        self._loop_tasks: dict[asyncio.Task[None], PendingActivity] = {}
        self._busy: set[int] = set()
        """Idents of threads that are in user code."""
        self._running: dict[int, tuple[PendingActivity, int]] = {}
        """By number, the activities in threads, and in which; whoever takes one out has its result to give."""
        self._seconds_max = seconds_max
        self._seen: dict[int, float] = {}
        """By number, since when an activity has been seen running (``_look_at_times``)."""
        self._clock: asyncio.TimerHandle | None = None
        self._timed_out: set[asyncio.Task[None]] = set()
        self._draining = False
        self._stopped = False
        self._watchdog: asyncio.TimerHandle | None = None
        self._is_reported = False

    def start(self) -> None:
        """Begin; must be called on the engine loop. Threads are made as they are needed."""
        self._loop = asyncio.get_running_loop()
        self._look_at_times()

    def begin(self, activities: Sequence[PendingActivity]) -> None:
        """Queue activities; those that nobody can run fail at once."""
        plain: list[tuple[PendingActivity, ActivityDefinition]] = []
        for activity in activities:
            try:
                definition = self._registry.activity(activity.name)
            except NotRegistered as error:
                self._results.append(ActivityResult(activity, failure=failure_of(error)))
                self._loop_ended += 1
                continue
            if definition.mode is ActivityMode.THREAD:
                plain.append((activity, definition))
            else:
                self._on_loop.append((activity, definition))
        self._mix_or_separate(len(plain))
        self._for_threads += plain
        if self._results:
            self._fire()
        if self._draining:
            return
        if self._is_mixed:
            self._admit()
        elif plain:
            self._wake_threads(len(plain))
        elif self._on_loop:
            self._fill_loop()
        if plain:
            self._watch_queue()

    def _mix_or_separate(self, plain: int) -> None:
        """Before so many plain functions are queued, see whether both kinds have work."""
        if self._on_loop or self._loop_tasks:
            if not self._is_mixed and (plain or self._threads_taken):
                self._is_mixed = True
                # What no thread has taken yet waits for its place again.
                self._for_threads = collections.deque(_drained(self._queue))
                self._threads_taken -= len(self._for_threads)
        elif self._is_mixed and not self._for_threads:
            self._is_mixed = False
            self._for_threads = self._queue
        if not self._is_mixed:
            self._threads_taken += plain

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """Drop what has not begun."""
        waiting = _drained(self._queue)
        wanted = [entry for entry in waiting if not is_gone(entry[0])]
        # Each that is in the queue has a place already.
        self._threads_taken -= len(waiting) - len(wanted)
        if self._for_threads is not self._queue:
            self._for_threads = collections.deque(entry for entry in self._for_threads if not is_gone(entry[0]))
        self._on_loop = collections.deque(entry for entry in self._on_loop if not is_gone(entry[0]))
        self._queue.extend(wanted)
        if self._draining:
            return
        # Threads that found nothing meanwhile are asleep.
        self._wake_threads(len(wanted))
        if self._is_mixed:
            self._admit()

    def begun(self) -> set[int]:
        """Those that run, or have ended and whose result is not taken yet."""
        # Threads change these meanwhile, so copies are read.
        numbers = {*list(self._running), *(result.activity.number for result in self._results.copy())}
        return numbers.union(activity.number for activity in self._loop_tasks.values())

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        """Take out what has not begun and is wanted, the newest first."""
        taken: list[PendingActivity] = []
        if self._for_threads is not self._queue:
            taken += _sifted(self._for_threads, is_wanted)
        from_queue = _sifted(self._queue, is_wanted)
        # Each that is in the queue has a place already.
        self._threads_taken -= len(from_queue)
        taken += from_queue
        taken += _sifted(self._on_loop, is_wanted)
        if not self._draining:
            # Threads that found nothing meanwhile are asleep.
            self._wake_threads(len(self._queue))
            if self._is_mixed:
                self._admit()
        return taken

    def room(self, name: str) -> int:
        """How many more activities of that name could begin now; none of a name that is not registered."""
        definition = self._registry.activities.get(name.lower())
        if definition is None:
            return 0
        plain = self._threads_taken + (len(self._for_threads) if self._is_mixed else 0)
        places = self._concurrent_max - plain - len(self._loop_tasks) - len(self._on_loop)
        is_plain = definition.mode is ActivityMode.THREAD
        return max(min(places, self._threads_max - plain) if is_plain else places, 0)

    async def results(self) -> list[ActivityResult]:
        """Wait for ended activities; at least one, each once."""
        while not self._results:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        taken = _drained(self._results)
        self._threads_taken -= len(taken) - self._loop_ended
        self._loop_ended = 0
        if self._is_mixed:
            self._admit()
        return taken

    def work_loads(self) -> list[WorkLoad]:
        """What waits and what runs, by name. Since when it waits nobody knows."""
        # Threads take from the queue meanwhile, so a copy is counted.
        waiting = [*self._queue.copy(), *self._on_loop]
        if self._for_threads is not self._queue:
            waiting += self._for_threads
        running = [*list(self._running.values()), *((activity, 0) for activity in self._loop_tasks.values())]
        return loads_here((activity for activity, _ in waiting), (activity for activity, _ in running))

    async def drain(self, seconds: float) -> bool:
        """Take no more from the queue; wait until nothing runs."""
        self._draining = True
        deadline = asyncio.get_running_loop().time() + seconds
        while self._busy or self._loop_tasks:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    def stop(self) -> None:
        """Let idle threads end; running user code is abandoned. Twice-safe."""
        self._draining = self._stopped = True
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        for timer in (self._retry, self._clock):
            if timer is not None:
                timer.cancel()
        self._retry = self._clock = None
        for task in list(self._loop_tasks):
            task.cancel()
        while self._idle:
            self._idle.pop().ring()
        for thread in self._threads:
            if thread.ident not in self._busy:
                thread.join(timeout=1)
        self._threads.clear()

    def _watch_queue(self) -> None:
        if self._watchdog is None and self._for_threads and not self._stopped:
            head = self._for_threads[0][0]
            self._watchdog = asyncio.get_running_loop().call_later(STUCK_AFTER_SECONDS, self._look_at_queue, head)

    def _look_at_queue(self, head: PendingActivity) -> None:
        self._watchdog = None
        try:
            is_stuck = self._for_threads[0][0] is head and not self._draining
            if is_stuck and not self._is_reported and not debugger.is_attached():
                places = [users_code(thread) for thread in self._threads if thread.ident in self._busy]
                names = ", ".join(sorted({f"'{name}'" for name, _ in places}))
                logger.warning(
                    "All %d threads of plain functions have been busy for %.0f s and %d activities wait. They are in "
                    "%s, for instance at:\n%s",
                    len(places), STUCK_AFTER_SECONDS, len(self._for_threads), names, places[0][1],
                )  # fmt: skip
            self._is_reported = is_stuck
            self._watch_queue()
        except IndexError:
            # A thread took the last one meanwhile.
            self._is_reported = False

    def _look_at_times(self) -> None:
        """Give up what runs too long. Running activities are looked at now and then: no call costs anything for it."""
        if self._seconds_max is None or self._stopped:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        tasks = {activity.number: task for task, activity in self._loop_tasks.items()}
        self._seen = {number: self._seen.get(number, now) for number in (*list(self._running), *tasks)}
        late = [number for number, since in self._seen.items() if now - since >= self._seconds_max]
        if late and debugger.is_attached():
            self._seen.clear()
            late.clear()
        for number in late:
            if number in tasks:
                self._timed_out.add(tasks[number])
                tasks[number].cancel()
            else:
                self._give_up(number, self._seconds_max)
        self._clock = loop.call_later(min(max(self._seconds_max / 8, 0.02), 5.0), self._look_at_times)

    def _give_up(self, number: int, seconds: float) -> None:
        activity, ident = self._running.pop(number, (None, 0))
        if activity is None:
            # It returned just now.
            return
        self._busy.discard(ident)
        self._threads = [thread for thread in self._threads if thread.ident != ident]
        self._results.append(self._timed_out_result(activity, seconds))
        self._fire()
        self._wake_threads(len(self._queue))

    def _timed_out_result(self, activity: PendingActivity, seconds: float) -> ActivityResult:
        failure = activity_timed_out(activity.name, seconds)
        logger.error("Instance '%s': %s", activity.instance_id, failure.message)
        return ActivityResult(activity, failure=failure)

    def _wake_threads(self, wanted: int) -> None:
        """Wake one, which wakes the next (``_wake_another``); make threads while there may be more."""
        if self._stopped or wanted <= 0:
            return
        wanted -= len(self._idle)
        self._wake_another()
        while wanted > 0 and len(self._threads) < self._threads_max:
            name = f"perdure-activity-{len(self._threads) + 1}"
            try:
                thread = threading.Thread(target=self._run, args=(Doorbell(),), name=name, daemon=True)
                thread.start()
            except (RuntimeError, OSError) as error:
                # The process may have no more threads or files now; those there are go on.
                logger.error("No thread can be made for activities: %s", error)
                if self._retry is None:
                    self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake_again)
                return
            self._threads.append(thread)
            wanted -= 1

    def _wake_again(self) -> None:
        self._retry = None
        self._wake_threads(len(self._queue))

    def _wake_another(self) -> None:
        try:
            idle = self._idle.pop()
        except IndexError:
            return
        idle.ring()

    def _run(self, mine: Doorbell) -> None:
        queue, results, busy, running = self._queue, self._results, self._busy, self._running
        me = threading.get_ident()
        while not self._stopped:
            busy.add(me)
            try:
                if self._draining:
                    raise IndexError
                activity, definition = queue.popleft()
            except IndexError:
                busy.discard(me)
                self._idle.append(mine)
                if self._stopped:
                    # ``stop`` may have looked at the list before.
                    return
                if queue and not self._draining:
                    # Work came between the look and the listing: take oneself back, unless somebody just did.
                    try:
                        self._idle.remove(mine)
                    except ValueError:
                        mine.wait()
                    continue
                mine.wait()
                continue
            if queue and self._idle:
                self._wake_another()
            running[activity.number] = (activity, me)
            result = self._call(activity, definition)
            if running.pop(activity.number, None) is None:
                # It took too long: its failure was reported, and another thread has this one's place.
                return
            results.append(result)
            if not self._armed:
                self._armed = True
                try:
                    self._loop.call_soon_threadsafe(self._fire)  # type: ignore[union-attr]
                except RuntimeError:
                    # The loop has closed: the result has no taker and the activity runs again after a restart.
                    return

    def _call(self, activity: PendingActivity, definition: ActivityDefinition) -> ActivityResult:
        key = activity_key(activity.number)
        if self._box.is_poisoned(key):
            return ActivityResult(activity, failure=poisoned(f"activity '{activity.name}'"))
        self._box.enter(key)
        try:
            result = definition.run(activity_call(activity))
        except BaseException as error:
            return ActivityResult(activity, failure=failure_of(error))
        finally:
            self._box.leave(key)
        return self._checked(activity, result)

    def _checked(self, activity: PendingActivity, result: str | None) -> ActivityResult:
        limit = self._payload_bytes_max
        if result is not None and len(result) * 4 > limit:
            size = len(result.encode("utf-8", "surrogatepass"))
            if size > limit:
                text = f"The result of activity '{activity.name}' has {size} bytes; at most {limit} are allowed."
                return ActivityResult(activity, failure=FailureDetails("PayloadTooLarge", text))
        return ActivityResult(activity, result)

    def _fire(self) -> None:
        self._armed = False
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fill_loop(self) -> None:
        while self._on_loop and len(self._loop_tasks) < self._concurrent_max:
            self._begin_on_loop()

    def _begin_on_loop(self) -> None:
        activity, definition = self._on_loop.popleft()
        task = asyncio.get_running_loop().create_task(self._run_on_loop(activity, definition))
        self._loop_tasks[task] = activity
        task.add_done_callback(self._loop_task_ended)

    def _admit(self) -> None:
        """Of both kinds, let the older begin, while there are places, and threads for those that need one."""
        if self._draining:
            return
        admitted = 0
        while self._threads_taken + len(self._loop_tasks) < self._concurrent_max:
            has_thread = self._for_threads and self._threads_taken < self._threads_max
            if has_thread and not (self._on_loop and self._on_loop[0][0].number < self._for_threads[0][0].number):
                self._queue.append(self._for_threads.popleft())
                self._threads_taken += 1
                admitted += 1
            elif self._on_loop:
                self._begin_on_loop()
            else:
                break
        if admitted:
            self._wake_threads(admitted)

    def _loop_task_ended(self, task: "asyncio.Task[None]") -> None:
        # One that was cancelled by ``stop`` gave no result.
        self._loop_tasks.pop(task, None)
        self._timed_out.discard(task)
        if self._is_mixed:
            self._admit()
        elif self._on_loop and not self._draining:
            self._fill_loop()

    async def _run_on_loop(self, activity: PendingActivity, definition: ActivityDefinition) -> None:
        call = activity_call(activity)
        key = activity_key(activity.number)
        if self._box.is_poisoned(key):
            self._end_on_loop(ActivityResult(activity, failure=poisoned(f"activity '{activity.name}'")))
            return
        slot = self._box.enter_shared(key)
        try:
            result = self._checked(activity, await self._user_loop.run(lambda: definition.run(call)))
        except asyncio.CancelledError as error:
            if self._stopped:
                raise
            if asyncio.current_task() in self._timed_out and self._seconds_max is not None:
                result = self._timed_out_result(activity, self._seconds_max)
            else:
                # User code may cancel itself; that is a failure of the activity, not of ours.
                result = ActivityResult(activity, failure=failure_of(error))
        except BaseException as error:
            result = ActivityResult(activity, failure=failure_of(error))
        finally:
            self._box.leave_shared(slot, key)
        self._end_on_loop(result)

    def _end_on_loop(self, result: ActivityResult) -> None:
        task = asyncio.current_task()
        assert task is not None
        del self._loop_tasks[task]
        self._results.append(result)
        self._loop_ended += 1
        self._fire()


def _drained(queue: "collections.deque[T]") -> list[T]:
    """All that is in it; threads may take from it, or add to it, meanwhile."""
    taken: list[T] = []
    take = queue.popleft
    try:
        while True:
            taken.append(take())
    except IndexError:
        return taken


def _sifted(
    queue: "collections.deque[tuple[PendingActivity, ActivityDefinition]]",
    is_wanted: Callable[[PendingActivity], bool],
) -> list[PendingActivity]:
    """Take out what is wanted, asked of the newest first; threads may take from it meanwhile."""
    taken: list[PendingActivity] = []
    left: list[tuple[PendingActivity, ActivityDefinition]] = []
    for entry in reversed(_drained(queue)):
        if is_wanted(entry[0]):
            taken.append(entry[0])
        else:
            left.append(entry)
    left.reverse()
    queue.extend(left)
    return taken
