"""Calls that last: streams and waits whose token is taken away, many waits at once, who watches the server's health."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from perdure.execution.remote_items import RemoteOptions
from perdure.grpc_api import calls, health_service, long_calls
from perdure.grpc_api.access import Role, Standing
from perdure.grpc_api.health_service import Health
from perdure.grpc_api.recent_requests import RecentRequests
from perdure.grpc_api.server import GrpcServer
from support.grpc_worker import Worker, completes
from support.scheduler_server import HOST, code_of, run, scheduler
from support.work_item_world import RawWorker, completed, serving

Code = grpc.StatusCode
SERVING, NOT_SERVING, UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"
TOKEN = {"authorization": "Bearer t"}


class Doorkeeper:
    """Knows one token, until it is taken away."""

    def __init__(self) -> None:
        self.is_known = True
        self.role = Role.CONTRIBUTOR

    def standing(self, token: str) -> Standing | None:
        return Standing(self.role) if self.is_known else None


def test_a_stream_ends_when_its_token_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        keeper = Doorkeeper()
        async with scheduler("memory:", doorkeeper=keeper) as server:
            client = server.client.to(**TOKEN)
            async with Worker(client) as worker, Worker(client) as other:
                await client.StartInstance(instanceId="a", name="flow")
                taking = [asyncio.ensure_future(each.next_turn()) for each in (worker, other)]
                _, idle = await asyncio.wait(taking, return_when=asyncio.FIRST_COMPLETED)
                idle.pop().cancel()
                keeper.role = Role.READER
                assert await worker.call.code() is Code.PERMISSION_DENIED
                keeper.is_known = False
                assert await other.call.code() in (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED)
            assert server.hubs.running()[0].executor.connected() == []

    monkeypatch.setattr(calls, "STANDING_SECONDS", 0.05)
    run(scenario)


def test_a_stream_whose_token_stays_good_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with scheduler("memory:", doorkeeper=Doorkeeper()) as server:
            client = server.client.to(**TOKEN)
            async with Worker(client) as worker:
                for number in range(20):
                    await client.StartInstance(instanceId=f"a{number}", name="flow")
                    await worker.complete_turn(await worker.next_turn(), completes(1))
            # One that the worker ends is gone at once, not at the next look.
            await client.GetInstance(instanceId="a1")
            assert server.hubs.running()[0].executor.connected() == []

    monkeypatch.setattr(calls, "STANDING_SECONDS", 0.001)
    run(scenario)


def test_what_was_waited_for_is_not_told_to_a_token_that_was_taken_away() -> None:
    async def scenario() -> None:
        keeper = Doorkeeper()
        async with scheduler("memory:", doorkeeper=keeper) as server:
            client = server.client.to(**TOKEN)
            await client.StartInstance(instanceId="a", name="flow")
            waiting = asyncio.ensure_future(code_of(client.WaitForInstanceCompletion(instanceId="a")))
            await client.GetInstance(instanceId="a")
            keeper.is_known = False
            await server.hubs.running()[0].client.terminate("a", "secret")
            assert (await waiting)[0] is Code.UNAUTHENTICATED

    run(scenario)


def test_a_thousand_wait_at_once_and_leave_nothing_behind() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            client: Any = server.client
            await client.StartInstance(instanceId="ends", name="flow")
            await client.StartInstance(instanceId="never", name="flow")
            before = len(asyncio.all_tasks())
            ending = [asyncio.ensure_future(client.WaitForInstanceCompletion(instanceId="ends")) for _ in range(500)]
            left = [asyncio.ensure_future(client.WaitForInstanceCompletion(instanceId="never")) for _ in range(500)]
            await client.GetInstance(instanceId="ends")
            for call in left:
                call.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await client.TerminateInstance(instanceId="ends")
            answers = await asyncio.gather(*ending)
            assert all(answer.exists for answer in answers)
            async with asyncio.timeout(10):
                while len(asyncio.all_tasks()) > before + 20:
                    await client.GetInstance(instanceId="ends")

    run(scenario)


def test_calls_that_last_have_a_limit_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            client: Any = server.client
            await client.StartInstance(instanceId="x", name="flow")
            async with Worker(client) as worker:
                turn = await worker.next_turn()
                waits = [asyncio.ensure_future(client.WaitForInstanceCompletion(instanceId="x")) for _ in range(3)]
                done, waiting = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                assert await code_of(done.pop()) == (
                    Code.UNAVAILABLE,
                    "The server has as many waiting calls and work item streams as it takes, 3.",
                )
                async with Worker(client) as another:
                    assert await another.call.code() is Code.UNAVAILABLE
                await worker.complete_turn(turn, completes(1))
                assert all(answer.exists for answer in await asyncio.gather(*waiting))
                assert (await client.WaitForInstanceCompletion(instanceId="x")).exists

    monkeypatch.setattr(long_calls, "LONG_CALLS_MAX", 3)
    run(scenario)


def test_a_worker_that_goes_while_it_is_written_to_loses_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = RemoteOptions(turn_grace_seconds=0.2)
        async with serving(f"sqlite:{tmp_path / 'hub.db'}", options) as world:
            names = {f"a{number}" for number in range(8)}
            for name in names:
                await world.client.start("flow", instance_id=name, input='"' + "x" * 2_000_000 + '"')
            # Its window is full after the first items: the server waits in the middle of one.
            lost, worker = RawWorker(world.port, "lost"), RawWorker(world.port, "there")
            await lost.connect()
            await lost.take()
            await lost.close()
            await worker.connect()
            seen = set[str]()
            while seen != names:
                item = await worker.take()
                seen.add(item.orchestratorRequest.instanceId)
                await worker.answer_turn(item, completed())
            for name in names:
                assert (await world.ended(name)).progress.status.name == "Completed"
            await worker.close()

    run(scenario)


def test_who_watches_hears_when_the_server_is_ready_and_when_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        stopping, is_ready = asyncio.Event(), False
        server = GrpcServer()
        server.mount_health(Health(lambda: is_ready, stopping).handlers())
        port = server.listen(HOST, 0)
        await server.start()
        async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
            watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
            known, unknown = watch(b""), watch(b"\x0a\x01x")
            assert (await known.read(), await unknown.read()) == (NOT_SERVING, UNKNOWN)
            is_ready = True
            assert await known.read() == SERVING
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert await check(b"") == SERVING
            assert (await code_of(check(b"\x0a\x01x")))[0] is Code.NOT_FOUND
            assert (await code_of(check(b"\x12\x01x")))[0] is Code.INVALID_ARGUMENT
            stopping.set()
            assert await known.read() == NOT_SERVING
            assert not await known.read()
            assert not await unknown.read()
        await server.stop(0)

    monkeypatch.setattr(health_service, "STARTING_SECONDS", 0.01)
    run(scenario)


def test_requests_that_are_done_take_little_room() -> None:
    async def scenario() -> None:
        recent, times = RecentRequests(remembered_max=3), 0

        async def act() -> None:
            nonlocal times
            times += 1

        async def fail() -> None:
            raise OSError("no room")

        for number in range(10):
            await recent.once((str(number),), act)
        assert (len(recent), times) == (4, 10)
        await recent.once(("9",), act)
        assert times == 10
        # A failed one is forgotten, also when nobody has waited for its end.
        asking = asyncio.ensure_future(recent.once(("bad",), fail))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0)
        await recent.once(("bad",), act)
        assert times == 11

    asyncio.run(scenario())
