"""Entities over gRPC, without any worker (grpc.md §11.4)."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure.contracts.records import InstanceFilter
from perdure.core.identifiers import EntityId
from perdure.core.instance import InstanceKind
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.times import read_time, write_time
from perdure.grpc_api.recent_requests import RecentRequests
from support.grpc_worker import Worker
from support.scheduler_server import Scheduler, run, scheduler, text

COUNTER = "@counter@a"


def request_id() -> str:
    return str(uuid.uuid4())


async def with_states(server: Scheduler, **states: str) -> None:
    """Entities ``@counter@KEY`` with these states, put there by a worker."""
    async with Worker(server.client) as worker:
        for key, state in states.items():
            await server.client.SignalEntity(instanceId=f"@counter@{key}", name="set", requestId=request_id())
            item = await worker.next_entity()
            await worker.complete_entity(item, state=state)


async def queried(server: Scheduler, **fields: Any) -> list[str]:
    found: list[str] = []
    query = pb.EntityQuery(**fields)
    while True:
        answer = await server.client.QueryEntities(query=query)
        found += [entity.instanceId for entity in answer.entities]
        if not answer.HasField("continuationToken"):
            return found
        assert answer.continuationToken.value not in ("", "0")
        query.continuationToken.CopyFrom(answer.continuationToken)


def test_a_signal_reaches_the_entity_with_its_input_and_request_id(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server, Worker(server.client) as worker:
            asked = request_id()
            await server.client.SignalEntity(instanceId="@Counter@A", name="add", input=text("5"), requestId=asked)
            item = await worker.next_entity()
            assert item.entityRequestV2.instanceId == "@counter@A"
            [operation] = item.entityRequestV2.operationRequests
            signaled = operation.entityOperationSignaled
            assert (signaled.operation, signaled.input.value, signaled.requestId) == ("add", "5", asked)
            await worker.complete_entity(item, state="5")
            answer = await server.client.GetEntity(instanceId="@COUNTER@A", includeState=True)
            assert answer.exists
            assert (answer.entity.instanceId, answer.entity.serializedState.value) == ("@counter@A", "5")
            assert not (await server.client.GetEntity(instanceId="@counter@a")).exists

    run(scenario)


def test_a_signal_that_is_sent_again_counts_once(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            asked = request_id()
            again = [server.client.SignalEntity(instanceId=COUNTER, name="add", requestId=asked) for _ in range(5)]
            await asyncio.gather(*again)
            await server.client.SignalEntity(instanceId=COUNTER, name="add", requestId=asked)
            await server.client.SignalEntity(instanceId="@counter@b", name="add", requestId=asked)
            await server.client.SignalEntity(instanceId=COUNTER, name="add", requestId=request_id())
            async with Worker(server.client) as worker:
                items = [await worker.next_entity(), await worker.next_entity()]
                counts = {i.entityRequestV2.instanceId: len(i.entityRequestV2.operationRequests) for i in items}
                assert counts == {COUNTER: 2, "@counter@b": 1}

    run(scenario)


def test_requests_are_remembered_for_a_while_and_failures_are_not() -> None:
    async def scenario() -> None:
        done: list[str] = []
        recent = RecentRequests(seconds=3600, remembered_max=2)

        async def act(name: str) -> None:
            done.append(name)
            if name == "bad":
                raise RuntimeError(name)

        for name in ("a", "a", "b", "c", "a"):
            await recent.once((name,), lambda name=name: act(name))
        assert done == ["a", "b", "c", "a"]
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await recent.once(("bad",), lambda: act("bad"))
        assert done[-2:] == ["bad", "bad"]
        forgetful = RecentRequests(seconds=0)
        for _ in range(2):
            await forgetful.once(("d",), lambda: act("d"))
        assert done[-2:] == ["d", "d"]

    run(scenario)


def test_a_delayed_signal_waits_for_its_time(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server, Worker(server.client) as worker:
            later = write_time(datetime.now(UTC) + timedelta(hours=1))
            await server.client.SignalEntity(
                instanceId=COUNTER, name="late", requestId=request_id(), scheduledTime=later
            )
            past = write_time(datetime.now(UTC) - timedelta(hours=1))
            await server.client.SignalEntity(instanceId=COUNTER, name="now", requestId=request_id(), scheduledTime=past)
            item = await worker.next_entity()
            assert [o.entityOperationSignaled.operation for o in item.entityRequestV2.operationRequests] == ["now"]

    run(scenario)


def test_entities_come_page_by_page(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await with_states(server, c="1", a="2", b="3")
            await server.client.StartInstance(instanceId="x", name="flow")
            for size in (1, 2, 3, 1000, 10**6):
                assert await queried(server, pageSize=pb.Int32Value(value=size)) == [
                    "@counter@c", "@counter@a", "@counter@b"
                ]  # fmt: skip
            assert await queried(server, instanceIdStartsWith=text("@Counter@a")) == ["@counter@a"]
            assert await queried(server, instanceIdStartsWith=text("@lamp")) == []
            modified = (await server.client.GetEntity(instanceId="@counter@a")).entity.lastModifiedTime
            after = write_time(read_time(modified) + timedelta(microseconds=1))
            assert await queried(server, lastModifiedFrom=modified, lastModifiedTo=after) == ["@counter@a"]
            for asks in (True, False):
                answer = await server.client.QueryEntities(query=pb.EntityQuery(includeState=asks))
                assert [entity.HasField("serializedState") for entity in answer.entities] == [asks] * 3

    run(scenario)


def test_entities_without_state_are_listed_when_asked_for(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await with_states(server, a="1", gone="")
            assert await queried(server) == ["@counter@a"]
            assert "@counter@gone" in await queried(server, includeTransient=True)
            assert not (await server.client.GetEntity(instanceId="@counter@gone")).exists

    run(scenario)


def test_empty_entities_are_cleaned_away_page_by_page(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.client.entities.CLEANED_AT_ONCE", 2)

    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await with_states(server, a="1", b="", c="", d="2", e="")
            removed, pages, token = 0, 0, None
            while pages == 0 or token is not None:
                answer = await server.client.CleanEntityStorage(
                    removeEmptyEntities=True, releaseOrphanedLocks=True, continuationToken=token
                )
                removed += answer.emptyEntitiesRemoved
                pages += 1
                token = answer.continuationToken if answer.HasField("continuationToken") else None
            assert (removed, pages) == (3, 3)
            assert await queried(server, includeTransient=True) == ["@counter@a", "@counter@d"]
            again = await server.client.CleanEntityStorage(removeEmptyEntities=True)
            assert again.emptyEntitiesRemoved == 0

    run(scenario)


def test_an_entity_is_purged_by_its_id(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await with_states(server, a="1", b="2")
            kept = await server.client.PurgeInstances(instanceId="@counter@a", isOrchestration=True)
            assert kept.deletedInstanceCount == 0
            gone = await server.client.PurgeInstances(instanceId="@Counter@a")
            assert (gone.deletedInstanceCount, gone.isComplete.value) == (1, True)
            assert (await server.client.PurgeInstances(instanceId="@counter@a")).deletedInstanceCount == 0
            assert await queried(server) == ["@counter@b"]
            [hub] = server.hubs.running()
            page = await hub.client.query(InstanceFilter(kind=InstanceKind.ENTITY))
            assert [record.origin.instance_id for record in page.records] == ["@counter@b"]
            assert await hub.client.read_entity(EntityId("counter", "b")) == "2"

    run(scenario)
