"""WaitForInstanceStart and WaitForInstanceCompletion (grpc.md §8.1, §8.3)."""

import asyncio
from typing import Any

import grpc
import pytest

from perdure.formats.protobuf import messages as pb
from perdure.grpc_api import query_service
from support.scheduler_server import Scheduler, code_of, run, scheduler

Code = grpc.StatusCode
TERMINATED, SUSPENDED = pb.ORCHESTRATION_STATUS_TERMINATED, pb.ORCHESTRATION_STATUS_SUSPENDED
CALLS = ["WaitForInstanceStart", "WaitForInstanceCompletion"]


def waiting(server: Scheduler, call: str, **fields: Any) -> "asyncio.Task[Any]":
    """A call that has arrived at the server when something else is called."""
    return asyncio.ensure_future(getattr(server.client, call)(instanceId="x", **fields))


@pytest.mark.parametrize("call", CALLS)
def test_a_wait_ends_with_what_it_waits_for(store_url: str, call: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await server.client.StartInstance(instanceId="x", name="flow")
            wait = waiting(server, call)
            await server.client.GetInstance(instanceId="x")
            assert not wait.done()
            await server.client.TerminateInstance(instanceId="x")
            assert (await wait).orchestrationState.orchestrationStatus == TERMINATED

    run(scenario)


def test_a_suspended_instance_has_begun_and_not_ended(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await server.client.StartInstance(instanceId="x", name="flow")
            completion = waiting(server, "WaitForInstanceCompletion")
            await server.client.SuspendInstance(instanceId="x")
            started = await server.client.WaitForInstanceStart(instanceId="x")
            assert started.orchestrationState.orchestrationStatus == SUSPENDED
            assert not completion.done()
            completion.cancel()

    run(scenario)


@pytest.mark.parametrize("call", CALLS)
def test_a_wait_for_an_unknown_instance_goes_on_when_it_appears(store_url: str, call: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            wait = waiting(server, call)
            await server.client.GetInstance(instanceId="x")
            await server.client.StartInstance(instanceId="x", name="flow")
            await server.client.TerminateInstance(instanceId="x")
            answer = await wait
            assert answer.exists
            assert answer.orchestrationState.orchestrationStatus == TERMINATED

    run(scenario)


@pytest.mark.parametrize("call", CALLS)
def test_an_instance_that_does_not_appear_does_not_exist_at_the_deadline(call: str) -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            assert not (await waiting(server, call, seconds=0.6)).exists

    run(scenario)


def test_without_a_deadline_an_instance_has_some_time_to_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_service, "APPEARS_SECONDS_MAX", 0.2)

    async def scenario() -> None:
        async with scheduler("memory:") as server:
            assert not (await waiting(server, "WaitForInstanceCompletion", seconds=None)).exists

    run(scenario)


def test_a_wait_ends_at_its_callers_deadline() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            await server.client.StartInstance(instanceId="x", name="flow")
            code, _ = await code_of(waiting(server, "WaitForInstanceCompletion", seconds=0.3))
            assert code is Code.DEADLINE_EXCEEDED

    run(scenario)


def test_a_wait_without_a_deadline_goes_on_past_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_service, "SWEEP_SECONDS", 0.02)

    async def scenario() -> None:
        async with scheduler("memory:") as server:
            await server.client.StartInstance(instanceId="x", name="flow")
            wait = waiting(server, "WaitForInstanceCompletion", seconds=None)
            assert (await asyncio.wait([wait], timeout=0.2))[1] == {wait}
            await server.client.TerminateInstance(instanceId="x")
            assert (await wait).exists

    run(scenario)


def test_a_caller_that_goes_away_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            await server.client.StartInstance(instanceId="x", name="flow")
            wait = waiting(server, "WaitForInstanceCompletion")
            await server.client.GetInstance(instanceId="x")
            wait.cancel()
            with pytest.raises(asyncio.CancelledError):
                await wait
            await server.client.TerminateInstance(instanceId="x")
            assert (await server.client.GetInstance(instanceId="x")).exists

    run(scenario)


@pytest.mark.parametrize("call", CALLS)
def test_waits_are_told_when_the_server_stops(call: str) -> None:
    async def scenario() -> None:
        async with scheduler("memory:") as server:
            await server.client.StartInstance(instanceId="x", name="flow")
            wait = waiting(server, call)
            await server.client.GetInstance(instanceId="x")
            server.door.stopping.set()
            assert (await code_of(wait))[0] is Code.UNAVAILABLE
            code, details = await code_of(server.client.StartInstance(instanceId="y", name="flow"))
            assert (code, details) == (Code.UNAVAILABLE, "The server is stopping; try again.")
            assert await server.hubs.running()[0].client.get("y") is None

    run(scenario)
