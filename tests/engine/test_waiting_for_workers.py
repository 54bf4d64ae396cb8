"""An instance that waits for a worker says so, and says what only workers know."""

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from perdure.client import WaitingOn, WaitKind
from perdure.contracts.executor import ServedKind
from perdure.core.identifiers import EntityId
from perdure.testing.in_process_hub import counted_ids
from support.away_world import NEVER, AwayHub
from support.small_hub import Functions, on_virtual_time, text


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.activity
    def elsewhere(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def asks(recorder: Any, input: str | None) -> Any:
        yield recorder.call_activity("elsewhere", "1", text)

    @functions.orchestrator
    def counts(recorder: Any, input: str | None) -> Any:
        yield recorder.call_entity("@counter@a", "add", "1", text)

    @functions.orchestrator
    def waits(recorder: Any, input: str | None) -> Any:
        yield recorder.wait_for_event("go", text)

    @functions.orchestrator
    def sleeps(recorder: Any, input: str | None) -> Any:
        yield recorder.create_timer(recorder.now + timedelta(hours=1))

    return functions


class Connected:
    """Which names connected workers have."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def serves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        return f"{kind.value} {name}" in self.names


def world_of(functions: Functions, clock: Any, connected: Connected, **options: Any) -> AwayHub:
    client_options = dataclasses.replace(counted_ids(), serves=connected.serves, **options)
    return AwayHub(functions, clock, client_options=client_options, activity_delay=lambda activity: NEVER)


async def reasons(world: AwayHub, instance_id: str) -> list[WaitingOn]:
    await asyncio.sleep(1)
    record = await world.hub.client.get(instance_id)
    assert record is not None
    return await world.hub.client.waiting_on(record)


def test_an_activity_that_no_worker_has(functions):
    async def scenario(clock):
        connected = Connected("orchestrator asks")
        world = world_of(functions, clock, connected)
        async with world.hub:
            instance_id = await world.hub.client.start("asks")
            [reason] = await reasons(world, instance_id)
            assert (reason.kind, reason.name) == (WaitKind.ACTIVITY, "elsewhere")
            assert reason.reason == "no connected worker has activity 'elsewhere'"
            connected.names.add("activity elsewhere")
            [reason] = await reasons(world, instance_id)
            assert (reason.kind, reason.reason) == (WaitKind.ACTIVITY, None)

    on_virtual_time(scenario)


@pytest.mark.parametrize("is_begun", [False, True])
def test_an_orchestrator_that_no_worker_has(functions, is_begun: bool):
    async def scenario(clock):
        world = world_of(functions, clock, Connected())
        async with world.hub:
            world.work.wait_seconds = 0.0 if is_begun else NEVER
            instance_id = await world.hub.client.start("waits", version="2.0")
            await asyncio.sleep(1)
            if is_begun:
                world.work.wait_seconds = NEVER
                await world.hub.client.raise_event(instance_id, "other")
            [reason] = await reasons(world, instance_id)
            assert reason.kind is WaitKind.TURN
            assert reason.reason == "no connected worker has orchestrator 'waits' in version '2.0'"

    on_virtual_time(scenario)


def test_an_entity_that_no_worker_has(functions):
    async def scenario(clock):
        connected = Connected("orchestrator counts", "entity counter")
        world = world_of(functions, clock, connected)
        async with world.hub:
            await world.hub.client.signal_entity(EntityId("counter", "a"), "add")
            assert await reasons(world, "@counter@a") == []
            connected.names.remove("entity counter")
            assert await reasons(world, "@counter@a") == [], "it has nothing to do"
            world.work.work_seconds = 5.0
            calling = await world.hub.client.start("counts")
            await asyncio.sleep(6)
            world.work.wait_seconds = NEVER
            [reason] = await reasons(world, "@counter@a")
            assert (reason.kind, reason.reason) == (WaitKind.TURN, "no connected worker has entity 'counter'")
            [reason] = await reasons(world, calling)
            assert (reason.kind, reason.name) == (WaitKind.ENTITY, "@counter@a")
            assert reason.reason == "no connected worker has entity 'counter'"

    on_virtual_time(scenario)


def test_events_that_only_a_worker_knows(functions):
    async def scenario(clock):
        connected = Connected("orchestrator waits", "orchestrator sleeps")
        world = world_of(functions, clock, connected)
        async with world.hub:
            waiting, sleeping = await world.hub.client.start("waits"), await world.hub.client.start("sleeps")
            [reason] = await reasons(world, waiting)
            assert (reason.kind, reason.name) == (WaitKind.EVENT, None)
            assert reason.reason == "events, if any, whose names only its worker knows"
            timer, event = await reasons(world, sleeping)
            assert (timer.kind, event.kind) == (WaitKind.TIMER, WaitKind.EVENT)

    on_virtual_time(scenario)
