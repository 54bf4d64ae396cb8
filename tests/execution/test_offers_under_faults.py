"""Servers with parts of the workers, under kills, pauses, cuts and lost hints by seed: everything ends, once."""

import asyncio
import random
from typing import Any

import pytest

from perdure.contracts.errors import InstanceExists, StorageError
from perdure.core import events as ev
from perdure.core.identifiers import EntityId
from perdure.core.status import RuntimeStatus
from support.sharing_hosts import SharingHost, SharingHub, VirtualWorker, on_sharing_hub
from support.small_hub import Functions, text

CALLS = 6
ORDERS = 12
TROUBLE_SECONDS = 40.0


def callers() -> Functions:
    functions = Functions()

    @functions.orchestrator
    def order(recorder: Any, input: str | None) -> Any:
        for step in range(3):
            calls = [recorder.call_activity("pack", f"{input}/{step}/{n}", text) for n in range(CALLS)]
            calls.append(recorder.call_child("bill", f"{input}/{step}", None, None, text))
            calls.append(recorder.call_entity(f"@counter@{input}", "add", "1", text))
            yield recorder.all_of(calls)
        return "done"

    return functions


def called() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.activity
    def pack(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def bill(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("pack", f"{input}/bill", text))

    return functions


class Weather:
    """What happens to the hosts."""

    def __init__(self, hub: SharingHub, chance: random.Random) -> None:
        self._hub = hub
        self._chance = chance
        self._halves = callers(), called()
        self.servers: list[SharingHost] = []
        self.workers: list[VirtualWorker] = []

    async def join(self) -> None:
        """One server more, with one or two workers of either half."""
        server = await self._hub.server()
        self.servers.append(server)
        for half in self._chance.choice([(0,), (1,), (0, 1), ()]):
            self.connect(server, half)

    def connect(self, server: SharingHost, half: int) -> None:
        seconds = self._chance.choice([0.0, 0.05, 1.5])
        self.workers.append(VirtualWorker(server.server, self._halves[half].registry, seconds, limit=4))

    async def strike(self) -> None:
        """One thing, to one of them."""
        chance, server = self._chance, self._chance.choice(self.servers)
        match chance.randrange(7):
            case 0:
                self.servers.remove(server)
                await server.kill()
                await self.join()
            case 1:
                self.servers.remove(server)
                await server.process.run(lambda: server.stop(2.0))
                await self.join()
            case 2:
                server.process.pause()
                await asyncio.sleep(chance.choice([1.0, 15.0]))
                server.process.wake()
            case 3:
                server.tables.is_cut = True
                await asyncio.sleep(chance.choice([0.2, 2.0, 14.0]))
                server.tables.is_cut = False
            case 4:
                server.tables.loses_hints = not server.tables.loses_hints
            case 5:
                server.tables.slow["finish offers"] = server.tables.slow["withdraw"] = chance.choice([0.001, 0.3])
            case _:
                self.connect(server, chance.randrange(2))

    async def clear_up(self) -> None:
        """Everything is there again."""
        for server in self.servers:
            server.tables.loses_hints = False
            server.tables.slow.clear()
        for half in range(2):
            server = self.servers[half % len(self.servers)]
            self.workers.append(VirtualWorker(server.server, self._halves[half].registry))


async def start(weather: Weather, number: int) -> None:
    while True:
        try:
            await weather.servers[0].client.start("order", instance_id=f"order{number}", input=str(number))
            return
        except StorageError:
            await asyncio.sleep(0.5)
        except InstanceExists:
            # It was started when its first host went.
            return


def whims(seed: int) -> None:
    async def scenario(hub: SharingHub) -> None:
        chance = random.Random(seed)
        weather = Weather(hub, chance)
        for _ in range(3):
            await weather.join()
        weather.connect(weather.servers[0], 0)
        weather.connect(weather.servers[-1], 1)
        for number in range(ORDERS):
            await start(weather, number)
        loop = asyncio.get_running_loop()
        while loop.time() < TROUBLE_SECONDS:
            await asyncio.sleep(chance.random() * 2)
            await weather.strike()
        await weather.clear_up()
        server = weather.servers[0]
        for number in range(ORDERS):
            async with asyncio.timeout(200):
                record = await server.storage.wait_for_status(
                    f"order{number}", frozenset({RuntimeStatus.Completed, RuntimeStatus.Failed})
                )
            assert record.progress.output == '"done"', record.progress
            assert await server.client.read_entity(EntityId("counter", str(number))) == "3"
            history = await server.storage.history(f"order{number}")
            ended = [event.scheduled_seq for event in history if isinstance(event, ev.TaskCompleted)]
            assert len(ended) == len(set(ended)) == 3 * CALLS
        await asyncio.sleep(20)
        assert not hub.memory._offers
        assert not hub.memory.rows.inbox
        assert not hub.memory.rows.activities

    try:
        on_sharing_hub(scenario)
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise


@pytest.mark.parametrize("first", range(0, 6, 2))
def test_everything_ends_once(first: int) -> None:
    for seed in range(first, first + 2):
        whims(seed)
