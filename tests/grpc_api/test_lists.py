"""QueryInstances, ListInstanceIds and PurgeInstances (grpc.md §8.4)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.times import read_time, write_duration, write_time
from perdure.grpc_api import query_service
from support.scheduler_server import Scheduler, run, scheduler, text

PENDING, TERMINATED, SUSPENDED = (
    pb.ORCHESTRATION_STATUS_PENDING,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_SUSPENDED,
)
MICROSECOND = timedelta(microseconds=1)


async def start(server: Scheduler, *ids: str, **fields: Any) -> None:
    for instance_id in ids:
        await server.client.StartInstance(instanceId=instance_id, name="flow", **fields)


async def end(server: Scheduler, *ids: str) -> None:
    for instance_id in ids:
        await server.client.TerminateInstance(instanceId=instance_id, output=text('"over"'))
        await server.client.WaitForInstanceCompletion(instanceId=instance_id)


async def queried(server: Scheduler, **fields: Any) -> list[str]:
    """All ids, page by page; every page's token is another one."""
    found: list[str] = []
    tokens: list[str] = []
    query = pb.InstanceQuery(**fields)
    while True:
        answer = await server.client.QueryInstances(query=query)
        found += [state.instanceId for state in answer.orchestrationState]
        if not answer.HasField("continuationToken"):
            return found
        token = answer.continuationToken.value
        assert token not in ("", "0", *tokens)
        tokens.append(token)
        query.continuationToken.value = token


async def listed(server: Scheduler, **fields: Any) -> list[str]:
    found: list[str] = []
    request = pb.ListInstanceIdsRequest(**fields)
    # Some clients begin with an empty key.
    request.lastInstanceKey.SetInParent()
    while True:
        answer = await server.client.ListInstanceIds(request)
        found += answer.instanceIds
        if not answer.HasField("lastInstanceKey"):
            return found
        request.lastInstanceKey.value = answer.lastInstanceKey.value


async def state_of(server: Scheduler, instance_id: str) -> Any:
    return (await server.client.GetInstance(instanceId=instance_id)).orchestrationState


@pytest.mark.parametrize("size", [1, 2, 3, 4, 2**31 - 1])
def test_instances_come_page_by_page_in_the_order_of_their_creation(store_url: str, size: int) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, "d", "b", "c", "a")
            await server.client.SignalEntity(instanceId="@counter@a", name="add", requestId="")
            assert await queried(server, maxInstanceCount=size) == ["d", "b", "c", "a"]

    run(scenario)


def test_filters_of_a_query_hold_together(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, "shop-1", "shop-2", "bank-1")
            await end(server, "shop-2")
            created = (await state_of(server, "shop-2")).createdTimestamp
            just_after = write_time(read_time(created) + MICROSECOND)
            assert await queried(server, instanceIdPrefix=text("shop-")) == ["shop-1", "shop-2"]
            assert await queried(server, runtimeStatus=[TERMINATED]) == ["shop-2"]
            assert await queried(server, runtimeStatus=[PENDING], instanceIdPrefix=text("shop-")) == ["shop-1"]
            assert await queried(server, createdTimeFrom=created) == ["shop-2", "bank-1"]
            assert await queried(server, createdTimeTo=created) == ["shop-1"]
            assert await queried(server, createdTimeFrom=created, createdTimeTo=just_after) == ["shop-2"]
            assert await queried(server, taskHubNames=[text("Default")]) == ["shop-1", "shop-2", "bank-1"]
            assert await queried(server, taskHubNames=[text("other")]) == []

    run(scenario)


def test_payloads_are_shown_when_asked_for(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, "x", input=text("[1]"))
            await end(server, "x")
            for asks in (True, False):
                answer = await server.client.QueryInstances(query=pb.InstanceQuery(fetchInputsAndOutputs=asks))
                [state] = answer.orchestrationState
                assert (state.HasField("input"), state.HasField("output")) == (asks, asks)

    run(scenario)


def test_a_page_stays_below_what_clients_take(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_service, "PAGE_BYTES_MAX", 10_000)

    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, "a", "b", "c", "d", "e", input=text('"' + "x" * 4_000 + '"'))
            await start(server, "huge", input=text('"' + "x" * 40_000 + '"'))
            query = pb.InstanceQuery(fetchInputsAndOutputs=True)
            answer = await server.client.QueryInstances(query=query)
            assert [state.instanceId for state in answer.orchestrationState] == ["a", "b"]
            expected = ["a", "b", "c", "d", "e", "huge"]
            assert await queried(server, fetchInputsAndOutputs=True) == expected

    run(scenario)


@pytest.mark.parametrize("size", [0, 1, 2, 100])
def test_ids_of_ended_instances_come_in_the_order_of_their_end(store_url: str, size: int) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, "a", "b", "c", "running")
            await end(server, "c", "a", "b")
            assert await listed(server, pageSize=size) == ["c", "a", "b"]
            completed = (await state_of(server, "a")).completedTimestamp
            assert await listed(server, pageSize=size, completedTimeFrom=completed) == ["a", "b"]
            assert await listed(server, pageSize=size, completedTimeTo=completed) == ["c"]
            assert await listed(server, pageSize=size, runtimeStatus=[TERMINATED]) == ["c", "a", "b"]
            assert await listed(server, pageSize=size, runtimeStatus=[pb.ORCHESTRATION_STATUS_FAILED]) == []

    run(scenario)


def test_what_has_ended_is_purged_by_id_and_what_has_not_is_not_counted(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, "ended", "running")
            await end(server, "ended")
            for instance_id, count in (("ended", 1), ("ended", 0), ("running", 0), ("missing", 0)):
                answer = await server.client.PurgeInstances(instanceId=instance_id, isOrchestration=True)
                assert (answer.deletedInstanceCount, answer.isComplete.value) == (count, True)
            assert await queried(server) == ["running"]

    run(scenario)


def test_a_batch_is_purged(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            ids = [f"x{number}" for number in range(12)]
            await start(server, *ids)
            await end(server, *ids[:10])
            batch = pb.InstanceBatch(instanceIds=[*ids, "missing", *["y"] * 487])
            answer = await server.client.PurgeInstances(instanceBatch=batch)
            assert (answer.deletedInstanceCount, answer.isComplete.value) == (10, True)
            assert await queried(server) == ids[10:]

    run(scenario)


def test_a_purge_by_filter_takes_what_has_ended_in_its_window(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, "a", "b", "c", "running")
            await end(server, "a", "b", "c")
            created = (await state_of(server, "b")).createdTimestamp
            cases: list[tuple[dict[str, Any], int]] = [
                ({"runtimeStatus": [pb.ORCHESTRATION_STATUS_COMPLETED]}, 0),
                ({"runtimeStatus": [PENDING]}, 0),
                ({"createdTimeTo": created}, 1),
                ({"createdTimeFrom": created, "timeout": write_duration(timedelta(seconds=20))}, 2),
                ({}, 0),
            ]
            for fields, count in cases:
                answer = await server.client.PurgeInstances(purgeInstanceFilter=pb.PurgeInstanceFilter(**fields))
                assert (answer.deletedInstanceCount, answer.isComplete.value) == (count, True), fields
            assert await queried(server) == ["running"]

    run(scenario)


def test_a_purge_whose_time_is_over_says_that_something_is_left(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await start(server, "a")
            await end(server, "a")
            filter_ = pb.PurgeInstanceFilter(timeout=write_duration(MICROSECOND))
            answer = await server.client.PurgeInstances(purgeInstanceFilter=filter_)
            assert (answer.deletedInstanceCount, answer.isComplete.value) == (0, False)

    run(scenario)


def test_signals_and_starts_go_on_while_much_is_purged(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            ids = [f"x{number:03}" for number in range(120)]
            await asyncio.gather(*(start(server, instance_id) for instance_id in ids))
            await asyncio.gather(*(end(server, instance_id) for instance_id in ids))
            purge = asyncio.ensure_future(server.client.PurgeInstances(purgeInstanceFilter=pb.PurgeInstanceFilter()))
            await start(server, "beside")
            assert (await purge).deletedInstanceCount == 120
            assert await queried(server) == ["beside"]

    run(scenario)
