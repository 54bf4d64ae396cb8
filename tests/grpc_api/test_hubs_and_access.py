"""Task hubs by header, made and dropped while the server runs; tokens and what they allow (scheduler.md §5)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.backend_service import RPCS as BACKEND_RPCS
from perdure.formats.protobuf.service import RPCS
from perdure.grpc_api.access import RIGHTS, Role, Standing
from support.grpc_worker import Worker
from support.scheduler_server import Scheduler, code_of, run, scheduler

Code = grpc.StatusCode
READERS = {Role.READER, Role.CONTRIBUTOR, Role.ADMIN}
WORKERS = {Role.WORKER, Role.CONTRIBUTOR, Role.ADMIN}
OWNERS = {Role.CONTRIBUTOR, Role.ADMIN}


class Doorkeeper:
    """Knows these tokens; the test may change them."""

    def __init__(self, standings: Mapping[str, Standing]) -> None:
        self.standings = dict(standings)

    def standing(self, token: str) -> Standing | None:
        return self.standings.get(token)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def start(server: Scheduler, instance_id: str, **headers: str) -> None:
    await server.client.to(**headers).StartInstance(instanceId=instance_id, name="flow")


async def exists(server: Scheduler, instance_id: str, **headers: str) -> bool:
    return (await server.client.to(**headers).GetInstance(instanceId=instance_id)).exists


def test_hubs_know_nothing_of_each_other(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url, hubs=("default", "Orders")) as server:
            await start(server, "x", taskhub="ORDERS")
            assert await exists(server, "x", taskhub="orders")
            assert not await exists(server, "x", taskhub="default")
            assert not await exists(server, "x")

    run(scenario)


@pytest.mark.parametrize("call", sorted(RPCS.keys() - {"CreateTaskHub", "DeleteTaskHub"}))
def test_an_unknown_hub_is_not_found(call: str) -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            code, details = await code_of(getattr(server.client.to(taskhub="nowhere"), call)())
            assert (code, details) == (Code.NOT_FOUND, "Task hub not found: nowhere")

    run(scenario)


def test_the_log_says_which_hub_was_missed_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with scheduler("memory:", hubs=("Orders",)) as server:
            for name in ("nope", "nope", "elsewhere"):
                assert (await code_of(server.client.to(taskhub=name).Hello()))[0] is Code.NOT_FOUND

    run(scenario)
    said = [record.getMessage() for record in caplog.records if record.name == "perdure.grpc_api"]
    assert said == [
        f"A caller asks for task hub '{name}', which is not here; who names none is in 'Orders'."
        for name in ("nope", "elsewhere")
    ]


def test_a_hub_is_made_and_used_while_a_worker_of_another_is_connected(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server, Worker(server.client) as worker:
            fresh = server.client.to(taskhub="fresh")
            await fresh.CreateTaskHub()
            await fresh.CreateTaskHub()
            await start(server, "there", taskhub="fresh")
            await start(server, "here")
            item = await worker.next_turn()
            assert item.orchestratorRequest.instanceId == "here"
            async with Worker(fresh) as other:
                assert (await other.next_turn()).orchestratorRequest.instanceId == "there"
            await fresh.CreateTaskHub()
            assert await exists(server, "there", taskhub="fresh")
            await fresh.CreateTaskHub(recreateIfExists=True)
            assert not await exists(server, "there", taskhub="fresh")
            assert await exists(server, "here")

    run(scenario)


def test_a_dropped_hub_is_gone_with_everything_in_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scheduler(f"sqlite:{tmp_path / 'hub.db'}", hubs=("default", "orders")) as server:
            orders = server.client.to(taskhub="Orders")
            await start(server, "x", taskhub="orders")
            wait = asyncio.ensure_future(orders.WaitForInstanceCompletion(instanceId="x"))
            async with Worker(orders) as worker:
                await worker.next_turn()
                await orders.DeleteTaskHub()
                await orders.DeleteTaskHub()
            assert (await code_of(wait))[0] is Code.UNAVAILABLE
            assert (await code_of(orders.GetInstance(instanceId="x")))[0] is Code.NOT_FOUND
            assert not (tmp_path / "hub.orders.db").exists()
            assert (tmp_path / "hub.db").exists()
            await orders.CreateTaskHub()
            assert not await exists(server, "x", taskhub="orders")

    run(scenario)


def test_hubs_are_found_again_at_the_next_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        url = f"sqlite:{tmp_path / 'hub.db'}"
        async with scheduler(url) as server:
            await server.client.to(taskhub="Later").CreateTaskHub()
            await start(server, "x", taskhub="later")
        async with scheduler(url) as server:
            assert await exists(server, "x", taskhub="LATER")
            assert [hub.name for hub in server.hubs.running()] == ["default", "later"]

    run(scenario)


@pytest.mark.parametrize("name", ["../up", "a.b", "-a", "a b", "x" * 101])
def test_a_hub_has_a_name_that_a_file_may_have(name: str) -> None:
    async def scenario() -> None:
        async with scheduler("memory:", creates_hubs=True) as server:
            code, details = await code_of(server.client.to(taskhub=name).CreateTaskHub())
            assert code is Code.INVALID_ARGUMENT
            assert "no name of a task hub" in details
            assert (await code_of(server.client.to(taskhub=name).Hello()))[0] is Code.NOT_FOUND

    run(scenario)


def test_a_hub_is_made_on_its_first_use_when_the_server_may(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url, creates_hubs=True) as server:
            await asyncio.gather(*(start(server, f"x{n}", taskhub="Fresh") for n in range(5)))
            assert await exists(server, "x3", taskhub="fresh")
            assert len(server.hubs.running()) == 2

    run(scenario)


def expected_of(role: Role, call: str) -> bool:
    """The table of scheduler.md §5, in the words of that table."""
    if call in ("CreateTaskHub", "DeleteTaskHub"):
        return role is Role.ADMIN
    if call in ("Hello", "StreamInstanceHistory"):
        return True
    if call.startswith(("Get", "Query", "List", "WaitFor")) and call != "GetWorkItems":
        return role in READERS
    if call.startswith(("Complete", "Abandon", "GetWorkItems", "BeginWorkerDrain")):
        return role in WORKERS
    return role in OWNERS


def test_every_call_has_its_rights() -> None:
    assert RIGHTS.keys() == RPCS.keys() | BACKEND_RPCS.keys()
    for call, allowed in RIGHTS.items():
        assert allowed == {role for role in Role if expected_of(role, call)}, call


async def _is_let_in(server: Scheduler, call: str, headers: Mapping[str, str]) -> bool:
    """Whether the call gets past the door; what comes of it is another matter."""
    client = server.client.to(**headers)
    rpc = RPCS[call]
    metadata = tuple(client.headers.items())
    if call == "GetWorkItems":
        stream = client.channel.unary_stream(rpc.path)(b"", metadata=metadata)
        reading = asyncio.ensure_future(stream.read())
        connected = server.hubs.running()[0].executor.connected
        while not (reading.done() or connected()):
            await asyncio.wait([reading], timeout=0.01)
        is_in = bool(connected())
        stream.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return is_in
    try:
        await getattr(client, call)(seconds=0.5)
    except grpc.RpcError as error:
        return error.code() not in (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED)  # type: ignore[union-attr]
    return True


@pytest.mark.parametrize("role", Role)
def test_each_role_may_call_what_the_table_says(role: Role) -> None:
    async def scenario() -> None:
        keeper = Doorkeeper({"t": Standing(role)})
        async with scheduler("memory:", doorkeeper=keeper) as server:
            for call in RPCS:
                if call != "DeleteTaskHub":
                    assert await _is_let_in(server, call, bearer("t")) is expected_of(role, call), call

    run(scenario)


@pytest.mark.parametrize(
    "headers", [{}, bearer("wrong"), bearer(""), {"authorization": "Basic dDp0"}, {"authorization": "t"}]
)
def test_without_a_known_token_nothing_is_answered(headers: dict[str, str]) -> None:
    async def scenario() -> None:
        async with scheduler("memory:", doorkeeper=Doorkeeper({"t": Standing(Role.ADMIN)})) as server:
            for call in RPCS:
                code, details = await code_of(getattr(server.client.to(**headers), call)())
                assert code is Code.UNAUTHENTICATED, call
                assert "t" not in details.split()

    run(scenario)


def test_a_call_without_the_right_says_which_role_it_has() -> None:
    async def scenario() -> None:
        async with scheduler("memory:", doorkeeper=Doorkeeper({"r": Standing(Role.READER)})) as server:
            reader = server.client.to(**bearer("r"))
            code, details = await code_of(reader.TerminateInstance(instanceId="x"))
            assert (code, "reader" in details, "TerminateInstance" in details) == (Code.PERMISSION_DENIED, True, True)

    run(scenario)


def test_a_hub_that_a_token_may_not_see_is_like_one_that_is_not_there() -> None:
    async def scenario() -> None:
        keeper = Doorkeeper({"t": Standing(Role.ADMIN, frozenset({"orders"}))})
        async with scheduler("memory:", doorkeeper=keeper, hubs=("default", "orders"), creates_hubs=True) as server:
            client = server.client.to(**bearer("t"))
            assert await client.to(taskhub="Orders").Hello() == pb.Empty()
            for hub in ("default", "nowhere"):
                for call in RPCS:
                    code, details = await code_of(getattr(client.to(taskhub=hub), call)())
                    assert (code, details) == (Code.NOT_FOUND, f"Task hub not found: {hub}")
            assert len(server.hubs.running()) == 2

    run(scenario)


def test_a_token_that_is_taken_away_opens_nothing_more() -> None:
    async def scenario() -> None:
        keeper = Doorkeeper({"t": Standing(Role.CONTRIBUTOR)})
        async with scheduler("memory:", doorkeeper=keeper) as server:
            client: Any = server.client.to(**bearer("t"))
            assert not (await client.GetInstance(instanceId="x")).exists
            keeper.standings.clear()
            assert (await code_of(client.GetInstance(instanceId="x")))[0] is Code.UNAUTHENTICATED

    run(scenario)
