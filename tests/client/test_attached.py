"""The client of this process, from other loops and from threads."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from perdure.client import ClientDetached, ClientOptions, EntityId, InstanceFilter, InstanceNotFound, RuntimeStatus
from perdure.client import attached as attachment
from perdure.client.attached import AttachedClient
from perdure.storage.memory.storage import MemoryStorage
from support.steered_hub import SteeredHub, SteppedClock

T = TypeVar("T")
LIMIT = 20


class Engine:
    """A loop in a thread of its own with a hub on it, as in a host."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.hub = self.run(self._open())
        self.token = attachment.attach(self.hub.client, self.loop)
        found = attachment.find(self.token)
        assert found is not None
        self.client: AttachedClient = found

    async def _open(self) -> SteeredHub:
        storage = MemoryStorage()
        await storage.open()
        return SteeredHub.over(storage, SteppedClock(), ClientOptions())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(LIMIT)

    def call(self, function: Callable[[], T]) -> T:
        async def on_loop() -> T:
            return function()

        return self.run(on_loop())

    def stop(self) -> None:
        if self.loop.is_closed():
            return
        self.run(self.hub.storage.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(LIMIT)
        self.loop.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    attachment.detach(engine.token)
    engine.stop()


def test_tokens_find_their_client_until_it_is_detached(engine: Engine):
    assert attachment.find("nonsense") is None
    assert attachment.find(engine.token) is engine.client
    attachment.detach(engine.token)
    attachment.detach(engine.token)
    assert attachment.find(engine.token) is None


def test_every_call_works_from_another_loop(engine: Engine):
    client = engine.client

    async def elsewhere() -> None:
        entity = EntityId("counter", "k")
        instance_id = await client.start("o", instance_id="a", input="1", version="2")
        assert instance_id == "a"
        record = await client.get("a")
        assert record is not None
        assert (record.origin.input, record.origin.version) == ("1", "2")
        await client.raise_event("a", "go", "2")
        await client.suspend("a", "x")
        await client.resume("a", "x")
        await client.signal_entity(entity, "add", "1")
        assert await client.read_entity(entity) is None
        assert [r.origin.instance_id for r in (await client.query(InstanceFilter(), 10)).records] == ["a"]
        assert await client.wait_for_completion("a", 0.01) is None
        assert await client.wait_for_start("a", 0) is None
        await client.terminate("a", "x", recursive=True)
        ended = asyncio.create_task(client.wait_for_completion("a", LIMIT))
        await asyncio.to_thread(lambda: engine.run(engine.hub.settle("a", RuntimeStatus.Completed)))
        record = await ended
        assert record is not None
        assert record.progress.status is RuntimeStatus.Completed
        assert len(await client.history("a")) == 2
        assert await client.purge_matching(InstanceFilter(id_prefix="b")) == 0
        assert await client.purge("a") == 1
        with pytest.raises(InstanceNotFound):
            await client.raise_event("a", "go")

    asyncio.run(asyncio.wait_for(elsewhere(), LIMIT))


def test_calls_on_the_engines_own_loop_are_direct(engine: Engine):
    async def at_home() -> str:
        return await engine.client.start("o", instance_id="a")

    assert engine.run(at_home()) == "a"


def test_threads_call_and_wait(engine: Engine):
    client = engine.client
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: client.blocking(lambda: client.start("o", instance_id=f"i{n}")), range(40)))
    assert ids == [f"i{n}" for n in range(40)]
    with pytest.raises(InstanceNotFound):
        client.blocking(lambda: client.terminate("nobody"))


def test_a_blocking_call_on_the_engines_loop_would_wait_for_itself(engine: Engine):
    with pytest.raises(RuntimeError, match="await"):
        engine.call(lambda: engine.client.blocking(lambda: engine.client.get("a")))


def test_cancelling_a_call_cancels_it_at_home(engine: Engine):
    begun: Future[None] = Future()
    ended: Future[bool] = Future()

    async def at_home() -> None:
        begun.set_result(None)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set_result(True)
            raise

    async def elsewhere() -> None:
        call = asyncio.create_task(engine.client.run(at_home))
        await asyncio.wrap_future(begun)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(elsewhere())
    assert ended.result(LIMIT)


def test_a_timeout_around_a_call_is_a_timeout(engine: Engine):
    async def elsewhere() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await engine.client.wait_for_completion("nobody")

    asyncio.run(elsewhere())


@pytest.mark.parametrize("way", ["loop", "thread"])
def test_calls_under_way_end_when_the_engine_stops(engine: Engine, way: str):
    begun: Future[None] = Future()

    async def at_home() -> None:
        begun.set_result(None)
        await asyncio.Event().wait()

    def call() -> None:
        if way == "thread":
            engine.client.blocking(at_home)
        else:
            asyncio.run(engine.client.run(at_home))

    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(call)
        begun.result(LIMIT)
        attachment.detach(engine.token)
        with pytest.raises(ClientDetached):
            calling.result(LIMIT)


def test_calls_after_the_engine_stopped_say_so(engine: Engine):
    async def elsewhere() -> None:
        await engine.client.get("a")

    engine.stop()
    with pytest.raises(ClientDetached):
        asyncio.run(elsewhere())
    with pytest.raises(ClientDetached):
        engine.client.blocking(lambda: engine.client.get("a"))
    attachment.detach(engine.token)
    with pytest.raises(ClientDetached):
        asyncio.run(elsewhere())
