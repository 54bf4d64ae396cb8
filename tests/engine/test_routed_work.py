"""Functions of this process and functions of remote workers call each other; each name runs where it is."""

from typing import Any

import msgspec
import pytest

from perdure.contracts.executor import Executor, ServedKind
from perdure.core.identifiers import EntityId
from perdure.core.versioning import FailureStrategy, MatchStrategy, Versioning
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local import ExecutionLimits, LocalExecutor, inline_turns
from perdure.execution.router import RoutedExecutor
from perdure.execution.user_loop import UserLoop
from perdure.testing.away_executor import AwayExecutor, PromptWork
from perdure.testing.in_process_hub import InProcessHub, default_options
from perdure.testing.simulated_loop import SimulatedClock
from support.small_hub import Functions, on_virtual_time, text


@pytest.fixture
def here() -> Functions:
    functions = Functions()

    @functions.activity
    def pack(value: str | None) -> str | None:
        return '"packed here"'

    @functions.orchestrator
    def order(recorder: Any, input: str | None) -> Any:
        shipped = yield recorder.call_activity("Ship", "1", text)
        child = yield recorder.call_child("bill", None, None, None, text)
        counted = yield recorder.call_entity("@counter@a", "add", "2", text)
        return [shipped, child, counted]

    return functions


@pytest.fixture
def away() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.activity
    def ship(value: str | None) -> str | None:
        return '"shipped away"'

    @functions.orchestrator
    def bill(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("pack", "1", text))

    return functions


class World:
    """One hub whose names are in two places."""

    def __init__(self, here: Functions, away: Functions, clock: SimulatedClock, versioning: Versioning) -> None:
        self._here, self._away = here, away
        self.router: RoutedExecutor
        options = msgspec.structs.replace(default_options(), versioning=versioning)
        self.hub = InProcessHub(here.registry, clock, options=options, wrap_executor=self._route)

    def _route(self, local: Executor) -> Executor:
        limits = ExecutionLimits(threads_max=1, activities_max=1)
        lane = InlineActivities(self._away.registry, lambda activity: 0.5)
        inner = LocalExecutor(self._away.registry, UserLoop(), limits, inline_turns, lane)
        self.router = RoutedExecutor(self._here.registry, local, AwayExecutor(inner, PromptWork()))
        return self.router


def test_each_side_calls_the_other(here, away):
    async def scenario(clock):
        world = World(here, away, clock, Versioning())
        async with world.hub as hub:
            instance_id = await hub.client.start("order")
            record = await hub.client.wait_for_completion(instance_id, 100)
            assert record is not None
            assert record.progress.output == '["\\"shipped away\\"","\\"\\\\\\"packed here\\\\\\"\\"","2"]'
            assert await hub.client.read_entity(EntityId("counter", "a")) == "2"

    on_virtual_time(scenario)


def test_versions_of_the_app_are_the_apps_alone(here, away):
    async def scenario(clock):
        def is_own(name: str) -> bool:
            return world.router.is_local(name)

        versioning = Versioning("1.0", MatchStrategy.STRICT, FailureStrategy.FAIL, is_own=is_own)
        world = World(here, away, clock, versioning)
        async with world.hub as hub:
            own = await hub.client.start("order", version="7")
            others = await hub.client.start("bill", version="7")
            record = await hub.client.wait_for_completion(own, 100)
            assert record is not None
            assert record.progress.failure is not None
            assert record.progress.failure.error_type == "VersionMismatch"
            record = await hub.client.wait_for_completion(others, 100)
            assert record is not None
            assert record.progress.failure is None

    on_virtual_time(scenario)


def test_what_is_here_is_served_always(here, away):
    async def scenario(clock):
        world = World(here, away, clock, Versioning())
        async with world.hub:
            assert world.router.serves(ServedKind.ORCHESTRATOR, "ORDER", "any")
            assert world.router.serves(ServedKind.ACTIVITY, "Pack", None)

    on_virtual_time(scenario)
