"""Activities whose code only the workers of other servers have: nothing of them is kept, nothing waits behind them."""

import asyncio
from typing import Any

import msgspec
import pytest

from perdure.core.actions import ScheduleActivity
from perdure.core.status import RuntimeStatus
from support.sharing_hosts import SharingHost, SharingHub, VirtualWorker, on_sharing_hub
from support.small_hub import Functions, text


@pytest.fixture
def orchestrators() -> Functions:
    functions = Functions()

    @functions.orchestrator
    def calls(recorder: Any, input: str | None) -> Any:
        """An activity of the version that is its input."""
        task = recorder.call_activity("work", input, text)
        recorder.schedule(task)
        if recorder.actions:
            action = recorder.actions.pop()
            assert isinstance(action, ScheduleActivity)
            recorder.actions.append(msgspec.structs.replace(action, version=input))
        return (yield task)

    return functions


@pytest.fixture
def activities() -> Functions:
    functions = Functions()

    @functions.activity
    def work(value: str | None) -> str | None:
        return value

    return functions


async def all_complete(host: SharingHost, instance_ids: list[str], seconds: float = 30) -> None:
    for instance_id in instance_ids:
        record = await host.client.wait_for_completion(instance_id, seconds)
        assert record is not None, f"{instance_id} has not ended"
        assert record.progress.status is RuntimeStatus.Completed


async def started(host: SharingHost, prefix: str, input: str) -> list[str]:
    """Instances of both servers."""
    return [await host.client.start("calls", input=input, instance_id=f"{prefix}-{number}") for number in range(12)]


def test_nothing_is_remembered_of_what_others_have_done(orchestrators, activities):
    async def scenario(hub: SharingHub) -> None:
        servers = [await hub.server(), await hub.server()]
        await hub.until_even()
        VirtualWorker(servers[0].server, orchestrators.registry)
        VirtualWorker(servers[1].server, activities.registry)
        await all_complete(servers[0], await started(servers[0], "order", "1"))
        await asyncio.sleep(5)
        assert servers[0].tables.asked["offer"] > 0
        assert not any(server.executor._own.is_waited_for for server in servers)

    on_sharing_hub(scenario)


def test_a_version_that_nobody_runs_holds_up_no_other_one(orchestrators, activities):
    async def scenario(hub: SharingHub) -> None:
        servers = [await hub.server(), await hub.server()]
        await hub.until_even()
        VirtualWorker(servers[0].server, orchestrators.registry)
        VirtualWorker(servers[0].server, activities.registry, versions=frozenset({"2"}))
        first = await started(servers[0], "first", "1")
        await asyncio.sleep(5)
        await all_complete(servers[0], await started(servers[0], "second", "2"))
        # Whoever runs it at last gets what has waited, also from its own server.
        VirtualWorker(servers[0].server, activities.registry, versions=frozenset({"1"}))
        await all_complete(servers[0], first, 5)

    on_sharing_hub(scenario)


def test_a_version_whose_worker_went_holds_up_no_other_one(orchestrators, activities):
    async def scenario(hub: SharingHub) -> None:
        servers = [await hub.server(), await hub.server()]
        await hub.until_even()
        VirtualWorker(servers[0].server, orchestrators.registry)
        VirtualWorker(servers[1].server, orchestrators.registry)
        slow = VirtualWorker(servers[0].server, activities.registry, 30.0, 2, versions=frozenset({"1"}))
        await started(servers[0], "first", "1")
        # More than it does in a second: the rest is offered while it is there.
        await asyncio.sleep(5)
        assert servers[0].executor._own.is_waited_for
        await slow.vanish()
        VirtualWorker(servers[0].server, activities.registry, versions=frozenset({"2"}))
        await all_complete(servers[0], await started(servers[0], "second", "2"))

    on_sharing_hub(scenario)
