"""Hubs that are made and dropped while they are used: one change at a time, each to its end."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest

from perdure.client import Unavailable
from perdure.formats.protobuf import messages as pb
from perdure.host.hub_changes import HubChanges
from support.grpc_worker import Worker, completes
from support.scheduler_server import code_of, run, scheduler

COMPLETED, PENDING = pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_PENDING


def test_changes_of_one_hub_come_one_after_the_other(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            client = server.client.to(taskhub="other")

            async def changes(first: int) -> None:
                for number in range(first, first + 3):
                    if number % 3 == 0:
                        await client.DeleteTaskHub()
                    else:
                        await client.CreateTaskHub(recreateIfExists=number % 3 == 1)

            await asyncio.gather(*(changes(number) for number in range(5)))
            await client.CreateTaskHub()
            await client.StartInstance(instanceId="a", name="flow")
            assert (await client.GetInstance(instanceId="a")).exists

    run(scenario)


def test_a_call_during_a_change_means_the_hub_after_it(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            client = server.client.to(taskhub="other")
            await client.CreateTaskHub()
            await client.StartInstance(instanceId="a", name="flow")
            making = asyncio.ensure_future(server.hubs.create("other", recreate=True))
            await begins()
            answer = await client.GetInstance(instanceId="a")
            assert not answer.exists
            await making

    run(scenario)


def test_who_waits_in_a_hub_that_is_dropped_is_told(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            client = server.client.to(taskhub="other")
            await client.CreateTaskHub()
            await client.StartInstance(instanceId="a", name="flow")
            calls = [client.WaitForInstanceCompletion, client.WaitForInstanceStart]
            waits = [asyncio.ensure_future(code_of(call(instanceId="a"))) for call in calls]
            waits.append(asyncio.ensure_future(code_of(client.WaitForInstanceStart(instanceId="unknown"))))
            await client.GetInstance(instanceId="a")
            await client.DeleteTaskHub()
            # Who asks again is told that there is no such hub.
            for code, _ in await asyncio.gather(*waits):
                assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND)
            assert (await code_of(client.GetInstance(instanceId="a")))[0] is grpc.StatusCode.NOT_FOUND

    run(scenario)


def test_a_worker_of_a_dropped_hub_is_sent_away(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            client = server.client.to(taskhub="other")
            await client.CreateTaskHub()
            await client.StartInstance(instanceId="a", name="flow")
            async with Worker(client) as worker:
                item = await worker.next_turn()
                await client.DeleteTaskHub()
                assert await worker.call.code() is grpc.StatusCode.OK
                refused = (grpc.StatusCode.NOT_FOUND, "Task hub not found: other")
                assert await code_of(worker.complete_turn(item, completes(1))) == refused
                async with Worker(client) as again:
                    assert await again.call.code() is grpc.StatusCode.NOT_FOUND

    run(scenario)


def test_an_answer_from_before_a_hub_was_made_anew_changes_nothing(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            client = server.client.to(taskhub="other")
            await client.CreateTaskHub()
            await client.StartInstance(instanceId="a", name="flow")
            async with Worker(client) as worker:
                item = await worker.next_turn()
                await client.CreateTaskHub(recreateIfExists=True)
                await client.StartInstance(instanceId="a", name="flow")
                await worker.complete_turn(item, completes(1, '"old"'))
                assert await status_of(client) == PENDING
            async with Worker(client) as worker:
                await worker.complete_turn(await worker.next_turn(), completes(1, '"new"'))
            answer = await client.WaitForInstanceCompletion(instanceId="a", getInputsAndOutputs=True)
            assert answer.orchestrationState.output.value == '"new"'

    run(scenario)


async def begins() -> None:
    """Let what was asked for begin: the caller's task, then the change."""
    for _ in range(2):
        await asyncio.sleep(0)


async def status_of(client: Any) -> int:
    return (await client.GetInstance(instanceId="a")).orchestrationState.orchestrationStatus


def test_the_same_id_in_two_hubs_is_two_instances(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url, hubs=("left", "right")) as server:
            left, right = server.client.to(taskhub="left"), server.client.to(taskhub="right")
            for client in (left, right):
                await client.StartInstance(instanceId="a", name="flow")
            async with Worker(left) as one, Worker(right) as other:
                mine, theirs = await one.next_turn(), await other.next_turn()
                # A token of one hub says nothing in the other, though instance and names are the same.
                await right.CompleteOrchestratorTask(
                    instanceId="a", completionToken=mine.completionToken, actions=[completes(1, '"wrong"')]
                )
                assert await status_of(right) == PENDING
                await one.complete_turn(mine, completes(1, '"left"'))
                assert (await left.WaitForInstanceCompletion(instanceId="a")).exists
                assert await status_of(right) == PENDING
                await other.complete_turn(theirs, completes(1, '"right"'))
                assert (await right.WaitForInstanceCompletion(instanceId="a")).exists

    run(scenario)


def test_a_change_goes_on_when_nobody_waits_for_it_any_more(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        changes, may_end, done = HubChanges(), asyncio.Event(), list[str]()

        async def slow() -> None:
            await may_end.wait()
            done.append("slow")
            raise OSError("no room")

        async def next_one() -> None:
            done.append("next")

        asking = asyncio.ensure_future(changes.make("hub", slow))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        after = asyncio.ensure_future(changes.make("hub", next_one))
        other = asyncio.ensure_future(changes.make("other", next_one))
        await other
        assert done == ["next"]
        may_end.set()
        await after
        assert done == ["next", "slow", "next"]
        assert not await changes.finished("hub")

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert "Task hub 'hub' was to be changed, and that failed: no room" in caplog.text


def test_a_hub_that_is_being_made_when_the_server_stops_does_not_run_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with scheduler(f"sqlite:{tmp_path / 'hub.db'}") as server:
            making = asyncio.ensure_future(server.hubs.create("late", recreate=False))
            too_late = asyncio.ensure_future(server.hubs.drop("late"))
            await begins()
            await server.hubs.stop(0)
            await making
            with pytest.raises(Unavailable):
                await too_late
            # Its store is let go of: another process could open it now.
            async with scheduler(f"sqlite:{tmp_path / 'hub.db'}") as again:
                assert [hub.name for hub in again.hubs.running()] == ["default", "late"]

    run(scenario)
