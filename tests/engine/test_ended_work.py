"""An instance that ends leaves activities behind that nobody has begun: they do not run."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure.contracts.executor import Executor
from perdure.contracts.records import PendingActivity
from perdure.core.registry import OrchestratorDefinition
from perdure.engine.ended_work import TOGETHER_SECONDS
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local import ExecutionLimits, LocalExecutor, inline_turns
from perdure.execution.user_loop import UserLoop
from support.replay_world import PORTABLE
from support.small_hub import Functions, on_virtual_time, small_hub, text

ran: list[str | None] = []


@pytest.fixture
def functions() -> Functions:
    ran.clear()
    functions = Functions()

    @functions.activity
    def slow(value: str | None) -> str | None:
        ran.append(value)
        return value

    @functions.orchestrator
    def hurried(recorder: Any, input: str | None) -> Any:
        tasks = [recorder.call_activity("slow", f"{input}-{n}", text) for n in range(3)]
        yield recorder.any_of([recorder.create_timer(recorder.now + timedelta(seconds=1)), *tasks])
        return "enough"

    @functions.orchestrator
    def patient(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("slow", "patient", text))

    def notifies(recorder: Any, input: str | None) -> Any:
        for number in range(3):
            recorder.call_activity("slow", f"before-{number}", text)
        yield recorder.create_timer(recorder.now + timedelta(seconds=1))
        recorder.call_activity("slow", "at the end", text)

    functions.registry.add_orchestrator(OrchestratorDefinition("notifies", notifies, lambda value: None, PORTABLE))
    return functions


class Noting:
    """Counts how often the executor is told to forget."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner
        self.told = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        self.told += 1
        self._inner.forget(is_gone)


def one_at_a_time(functions: Functions, made: list[Noting]) -> Callable[[Executor], Executor]:
    """Each activity takes ten seconds, and the next begins then."""

    def wrap(_: Executor) -> Executor:
        activities = InlineActivities(functions.registry, lambda activity: 10.0, concurrent_max=1)
        limits = ExecutionLimits(threads_max=1, activities_max=1)
        made.append(Noting(LocalExecutor(functions.registry, UserLoop(), limits, inline_turns, activities)))
        return made[-1]  # type: ignore[return-value]

    return wrap


def test_what_has_not_begun_does_not_run(functions: Functions):
    async def scenario(clock: Any) -> None:
        made: list[Noting] = []
        hub, _ = small_hub(functions, clock, wrap_executor=one_at_a_time(functions, made))
        async with hub:
            hurried = [await hub.client.start("hurried", input=str(n)) for n in range(5)]
            for instance_id in hurried:
                assert await hub.client.wait_for_completion(instance_id, 5) is not None
            await asyncio.sleep(TOGETHER_SECONDS * 2)
            patient = await hub.client.start("patient")
            assert await hub.client.wait_for_completion(patient, 25) is not None
            assert ran == ["0-0", "patient"]
            assert made[0].told == 1, "an executor looks through its queue once for all that end together"

    on_virtual_time(scenario)


def test_what_the_end_itself_schedules_runs(functions: Functions):
    """Its row is there after the end, unlike theirs that were scheduled before."""

    async def scenario(clock: Any) -> None:
        hub, _ = small_hub(functions, clock, wrap_executor=one_at_a_time(functions, []))
        async with hub:
            instance_id = await hub.client.start("notifies")
            assert await hub.client.wait_for_completion(instance_id, 5) is not None
            await asyncio.sleep(100)
            assert ran == ["before-0", "at the end"]

    on_virtual_time(scenario)


def test_an_end_that_leaves_nothing_tells_nobody(functions: Functions):
    async def scenario(clock: Any) -> None:
        made: list[Noting] = []
        hub, _ = small_hub(functions, clock, wrap_executor=one_at_a_time(functions, made))
        async with hub:
            patient = await hub.client.start("patient")
            assert await hub.client.wait_for_completion(patient, 25) is not None
            await asyncio.sleep(10)
            assert made[0].told == 0

    on_virtual_time(scenario)
