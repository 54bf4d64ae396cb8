"""A server says within moments why an orchestration does not move (scheduler.md §9, rows 14 and 19)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from perdure.formats.protobuf import messages as pb
from perdure.host.serve_options import ServeOptions
from support.commands import value_of
from support.grpc_worker import Worker, completes
from support.scheduler_server import text
from support.serve_process import ServeProcess


def asks_for(task_id: int, name: str, version: str | None = None) -> pb.OrchestratorAction:
    action = pb.OrchestratorAction(id=task_id)
    action.scheduleTask.name = name
    if version is not None:
        action.scheduleTask.version.CopyFrom(text(version))
    return action


def taking(**activities: list[str]) -> pb.WorkItemFilters:
    """A worker that has the orchestrator and these activities in these versions."""
    return pb.WorkItemFilters(
        orchestrations=[pb.OrchestrationFilter(name="flow")],
        activities=[pb.ActivityFilter(name=name, versions=versions) for name, versions in activities.items()],
    )


def test_the_command_line_says_which_worker_is_missing(tmp_path: Path) -> None:
    with ServeProcess(tmp_path) as server:

        async def reasons() -> list[Any]:
            words = ("durable", "get-runtime-status", "--id", "x", "--show-waiting", "--url", server.url)
            async with asyncio.timeout(5):
                return (await asyncio.to_thread(value_of, *words))["WaitingOn"]

        async def scenario() -> None:
            async with asyncio.timeout(60), server.client() as client:
                await client.StartInstance(instanceId="x", name="flow")
                [nobody] = await reasons()
                assert (nobody["kind"], nobody["reason"]) == ("turn", "no connected worker has orchestrator 'flow'")
                async with Worker(client, workItemFilters=taking(ship=[])) as worker:
                    await worker.complete_turn(await worker.next_turn(), asks_for(1, "charge"), asks_for(2, "ship"))
                    assert (await worker.next_item()).activityRequest.name == "ship"
                    charge, ship = await reasons()
                    assert (charge["kind"], charge["name"]) == ("activity", "charge")
                    assert charge["reason"] == "no connected worker has activity 'charge'"
                    assert (ship["name"], ship.get("reason")) == ("ship", None)
                async with Worker(client, workItemFilters=taking(charge=[], ship=[])) as other:
                    assert (await other.next_item()).activityRequest.name == "charge"
                    # Somebody is there for both; why they do not end is no longer known.
                    assert [each.get("reason") for each in await reasons()] == [None, None]

        asyncio.run(scenario())


def test_a_version_that_no_worker_has_is_named(tmp_path: Path) -> None:
    with ServeProcess(tmp_path) as server:

        async def scenario() -> None:
            async with asyncio.timeout(30), server.client() as client:
                await client.StartInstance(instanceId="x", name="flow")
                async with Worker(client, workItemFilters=taking(charge=["1.0"])) as worker:
                    await worker.complete_turn(await worker.next_turn(), asks_for(1, "charge", "2.0"))
                    words = ("durable", "get-runtime-status", "--id", "x", "--show-waiting", "--url", server.url)
                    [charge] = (await asyncio.to_thread(value_of, *words))["WaitingOn"]
                    assert charge["reason"] == "no connected worker has activity 'charge' in version '2.0'"
                async with Worker(client, workItemFilters=taking(charge=["2.0"])) as newer:
                    item = await newer.next_item()
                    await client.CompleteActivityTask(
                        instanceId="x", taskId=1, result=text("1"), completionToken=item.completionToken
                    )
                    await newer.complete_turn(await newer.next_turn(), completes(2))

        asyncio.run(scenario())


@pytest.mark.parametrize(("option", "port"), [("grpc_port", 8080), ("http_port", 8082)])
def test_the_ports_are_the_emulators(option: str, port: int) -> None:
    assert getattr(ServeOptions(store_url="memory:"), option) == port
