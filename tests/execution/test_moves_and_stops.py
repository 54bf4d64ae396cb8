"""Hosts come, stop, and lose their store for moments, by seed: no activity runs twice, and nothing is left behind."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from perdure.core.status import RuntimeStatus
from support.sharing_hosts import SharingHost, SharingHub, VirtualWorker, on_sharing_hub
from support.small_hub import Functions, text

INSTANCES, STEPS, CALLS = 8, 3, 4
ACTIVITY_SECONDS = (0.0, 0.05, 0.7, 3.0, 8.0)
GRACE_SECONDS = 60.0
CUT_SECONDS = 3.0
"""So long the store may be away, and nobody loses a place."""
SEEDS = int(os.environ.get("PERDURE_SIMULATION_SEEDS", "300"))


def code(*, orchestrators: int = 1, activities: int = 1) -> Functions:
    """All of it, or one half."""
    functions = Functions()

    def work(value: str | None) -> str | None:
        return value

    def steps(recorder: Any, input: str | None) -> Any:
        for step in range(STEPS):
            names = [f"{recorder.instance_id}/{step}/{number}" for number in range(CALLS)]
            yield recorder.all_of([recorder.call_activity("work", name, text) for name in names])

    if activities:
        functions.activity(work)
    if orchestrators:
        functions.orchestrator(steps)
    return functions


ALL, CALLER, CALLED = code(), code(activities=0), code(orchestrators=0)


class Weather:
    """What happens to a hub; only what may not cost a second run."""

    def __init__(
        self, hub: SharingHub, seed: int, joins: "Callable[[Weather], Coroutine[Any, Any, SharingHost]]"
    ) -> None:
        self.hub = hub
        self.chance = random.Random(seed)
        self.workers: list[VirtualWorker] = []
        self._joins = joins
        self._alive: list[SharingHost] = []
        self._stops: list[asyncio.Future[bool]] = []
        self._cuts: list[asyncio.Task[None]] = []

    async def run(self) -> SharingHost:
        """Instances that have ended, and a host that is left."""
        chance = self.chance
        for _ in range(chance.randint(1, 3)):
            await self._join()
        ids = [f"i{number}" for number in range(INSTANCES)]
        for instance_id in ids:
            await chance.choice(self._alive).client.start("steps", instance_id=instance_id)
        for _ in range(chance.randint(3, 8)):
            await asyncio.sleep(chance.choice([0.0, 0.3, 1.0, 4.0]) * chance.random())
            await self._strike()
        for cut in self._cuts:
            await cut
        left = self._alive[0]
        if self.workers:
            self.workers.append(VirtualWorker(left.server, ALL.registry, 0.5))
        for instance_id in ids:
            record = await left.client.wait_for_completion(instance_id, 900)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed, record.progress
        for stop in self._stops:
            assert await stop
        return left

    async def _join(self) -> None:
        host = await self._joins(self)
        for operation in ("write", "offer claimed", "give back", "finish offers", "claim offers", "offer", "withdraw",
                          "recover", "claim", "load", "take answers"):  # fmt: skip
            if self.chance.random() < 0.3:
                host.tables.slow[operation] = self.chance.choice([0.01, 0.1, 0.4])
        host.tables.loses_hints = self.chance.random() < 0.2
        self._alive.append(host)

    async def _strike(self) -> None:
        chance = self.chance
        match chance.randrange(4):
            case 0 | 1 if len(self._alive) > 1:
                host = self._alive.pop(chance.randrange(len(self._alive)))
                stopping = host.process.run(lambda: host.stop(GRACE_SECONDS))
                self._stops.append(asyncio.ensure_future(stopping))
            case 2 if not self.workers:
                self._cuts.append(asyncio.create_task(self._cut(chance.choice(self._alive), chance.random())))
            case _ if len(self._alive) < 4:
                await self._join()
            case _:
                pass

    async def _cut(self, host: SharingHost, part: float) -> None:
        host.tables.is_cut = True
        await asyncio.sleep(part * CUT_SECONDS)
        host.tables.is_cut = False


async def app(weather: Weather) -> SharingHost:
    """A host with all functions."""
    chance = weather.chance
    return await weather.hub.app(
        ALL.registry, at_once=chance.choice([2, 5, 20]), seconds=chance.choice(ACTIVITY_SECONDS)
    )


async def server(weather: Weather) -> SharingHost:
    """A server with workers, or with none."""
    host, chance = await weather.hub.server(), weather.chance
    for half in chance.choice([(CALLER, CALLED), (ALL,), (CALLER,), (CALLED,), (ALL, ALL), ()]):
        seconds, limit = chance.choice(ACTIVITY_SECONDS), chance.choice([1, 3, 20])
        weather.workers.append(VirtualWorker(host.server, half.registry, seconds, limit=limit))
    return host


def check(joins: Callable[[Weather], Coroutine[Any, Any, SharingHost]], seed: int) -> None:
    async def scenario(hub: SharingHub) -> None:
        weather = Weather(hub, seed, joins)
        left = await weather.run()
        if joins is app:
            assert set(sum((host.ran for host in hub.hosts), start=Counter[str]()).values()) == {1}
        else:
            assert sum(worker.ran["work"] for worker in weather.workers) == INSTANCES * STEPS * CALLS
        await asyncio.sleep(15)
        executor, runner = left.executor, left.worker._runner
        assert not hub.memory._offers
        assert not hub.memory.rows.activities
        assert executor._claims.is_empty
        assert not executor._own._here
        assert executor._turns is None or not executor._turns._out
        assert runner is not None
        assert not runner._turns_out.has_abandoned

    on_sharing_hub(scenario)


@pytest.mark.parametrize("seed", [0, 1, 265])
@pytest.mark.parametrize("joins", [app, server])
def test_hosts_that_come_and_stop_cost_no_second_run(joins, seed):
    check(joins, seed)


@pytest.mark.slow
@pytest.mark.parametrize("joins", [app, server])
def test_hosts_that_come_and_stop_cost_no_second_run_by_many_seeds(joins):
    for seed in range(2, SEEDS):
        check(joins, seed)
