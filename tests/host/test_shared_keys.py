"""Keys that many hosts share: kept as notes, changed by any host, seen by the others after a moment."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from perdure.contracts.errors import Unavailable
from perdure.host.shared_keys import FRESH_SECONDS, SharedKeys
from perdure.http_api.keys import FunctionKeys, HostKeys, KeyRing, SystemKeys


class World:
    """The notes of one hub, and a clock."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.reads = 0
        self.is_away = False
        self.seconds = 0.0

    def host(self) -> SharedKeys:
        return SharedKeys(self, lambda: self.seconds)

    async def read(self, prefix: str) -> dict[str, str]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("away")
        return {name: text for name, text in self.kept.items() if name.startswith(prefix)}

    async def add(self, notes: Mapping[str, str]) -> None:
        await asyncio.sleep(0)
        self.kept = {**notes, **self.kept}

    async def put(self, notes: Mapping[str, str]) -> None:
        self.kept.update(notes)

    async def remove(self, names: Collection[str]) -> None:
        for name in names:
            self.kept.pop(name, None)


@pytest.fixture
def world() -> World:
    return World()


def test_two_hosts_that_start_at_once_have_the_same_keys(world: World) -> None:
    async def start() -> list[KeyRing]:
        return list(await asyncio.gather(world.host().complete(["hello"]), world.host().complete(["hello", "bye"])))

    first, second = asyncio.run(start())
    assert first.master == second.master
    assert first.durable == second.durable
    assert first.keys_of("hello") == second.keys_of("hello") != {}
    assert second.keys_of("bye") != {}


def test_a_change_is_seen_by_the_other_host_after_a_moment(world: World) -> None:
    async def run() -> None:
        one, other = world.host(), world.host()
        ring = await one.complete(["hello"])
        await other.refresh()
        told: list[KeyRing] = []
        other.watch(told.append)
        await one.save(ring.with_key(FunctionKeys("hello"), "partner", "s3cret"))
        await other.refresh()
        assert "partner" not in other.ring().keys_of("hello")
        world.seconds += FRESH_SECONDS
        await other.refresh()
        assert other.ring().keys_of("hello")["partner"] == "s3cret"
        assert told == [other.ring()]
        await one.save(one.ring().without_key(FunctionKeys("hello"), "partner"))
        world.seconds += FRESH_SECONDS
        await other.refresh()
        assert "partner" not in other.ring().keys_of("hello")

    asyncio.run(run())


def test_two_hosts_change_different_keys(world: World) -> None:
    async def run() -> KeyRing:
        one, other = world.host(), world.host()
        await one.complete([])
        await other.complete([])
        await one.save(one.ring().with_key(HostKeys(), "a", "1"))
        await other.save(other.ring().with_key(SystemKeys(), "b", "2"))
        return await one.read()

    ring = asyncio.run(run())
    assert (ring.host["a"], ring.system["b"]) == ("1", "2")


def test_many_requests_read_once(world: World) -> None:
    async def run() -> None:
        keys = world.host()
        await asyncio.gather(*(keys.refresh() for _ in range(50)))
        await keys.refresh()

    asyncio.run(run())
    assert world.reads == 1


def test_the_old_keys_go_on_while_the_store_is_away(world: World) -> None:
    async def run() -> tuple[KeyRing, KeyRing]:
        keys = world.host()
        before = await keys.complete([])
        world.is_away = True
        world.seconds += FRESH_SECONDS
        await keys.refresh()
        with pytest.raises(Unavailable):
            await keys.read()
        return before, keys.ring()

    before, after = asyncio.run(run())
    assert before == after
