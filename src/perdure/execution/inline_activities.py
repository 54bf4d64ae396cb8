"""The lane of activities without threads, for simulation and tests: each runs in the loop's turn, after a delay."""

import asyncio
from collections.abc import Callable, Sequence

from perdure.contracts.executor import ActivityResult
from perdure.contracts.records import PendingActivity
from perdure.contracts.work_load import WorkLoad
from perdure.core.errors import NotRegistered
from perdure.core.failures import failure_of
from perdure.core.registry import ActivityDefinition, ActivityMode, Registry
from perdure.execution.activity_calls import activity_call
from perdure.execution.work_loads import loads_here


class InlineActivities:
    """Same methods as ``LocalActivities``. ``delay``: how many seconds an activity takes."""

    def __init__(
        self, registry: Registry, delay: Callable[[PendingActivity], float], *, concurrent_max: int = 1_000_000
    ) -> None:
        self._registry = registry
        self._delay = delay
        self._concurrent_max = concurrent_max
        self._queue: list[PendingActivity] = []
        self._running: dict[asyncio.Task[None], PendingActivity] = {}
        self._results: list[ActivityResult] = []
        self._waiter: asyncio.Future[None] | None = None
        self._draining = False

    def start(self) -> None:
        """Nothing to begin."""

    def begin(self, activities: Sequence[PendingActivity]) -> None:
        """Queue activities."""
        self._queue.extend(activities)
        self._fill()

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """Drop what has not begun."""
        self._queue = [activity for activity in self._queue if not is_gone(activity)]

    def begun(self) -> set[int]:
        """Those that run, or have ended and whose result is not taken yet."""
        return {activity.number for activity in (*self._running.values(), *(r.activity for r in self._results))}

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        """Take out what has not begun and is wanted."""
        taken = [activity for activity in reversed(self._queue) if is_wanted(activity)]
        numbers = {activity.number for activity in taken}
        self._queue = [activity for activity in self._queue if activity.number not in numbers]
        return taken

    def room(self, name: str) -> int:
        """How many more could begin now."""
        if name.lower() not in self._registry.activities:
            return 0
        return max(self._concurrent_max - len(self._running) - len(self._queue), 0)

    async def results(self) -> list[ActivityResult]:
        """Wait for ended activities; at least one, each once."""
        while not self._results:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        results, self._results = self._results, []
        return results

    def work_loads(self) -> list[WorkLoad]:
        """What waits and what runs, by name."""
        return loads_here(self._queue, self._running.values())

    async def drain(self, seconds: float) -> bool:
        """Take no more from the queue; wait until nothing runs."""
        self._draining = True
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        return not self._running

    def stop(self) -> None:
        """Abandon what runs. Twice-safe."""
        self._draining = True
        for task in list(self._running):
            task.cancel()

    def _fill(self) -> None:
        while self._queue and not self._draining and len(self._running) < self._concurrent_max:
            activity = self._queue.pop(0)
            task = asyncio.get_running_loop().create_task(self._run(activity))
            self._running[task] = activity
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.pop(task, None)
        self._fill()

    async def _run(self, activity: PendingActivity) -> None:
        try:
            definition = self._registry.activity(activity.name)
        except NotRegistered as error:
            self._give(ActivityResult(activity, failure=failure_of(error)))
            return
        if (seconds := self._delay(activity)) > 0:
            await asyncio.sleep(seconds)
        self._give(await _call(activity, definition))

    def _give(self, result: ActivityResult) -> None:
        self._results.append(result)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def _call(activity: PendingActivity, definition: ActivityDefinition) -> ActivityResult:
    call = activity_call(activity)
    try:
        result = definition.run(call)
        if definition.mode is ActivityMode.LOOP:
            result = await result
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return ActivityResult(activity, failure=failure_of(error))
    return ActivityResult(activity, result)
