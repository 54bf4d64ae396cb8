"""What a start may replace: the matrix of statuses and policies, and what the former leaves behind."""

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from perdure.client import ClientOptions, InstanceExists, ReusePolicy, RuntimeStatus
from perdure.core.checkpoint import Creation
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.messages import Envelope, StartExecution
from perdure.core.replay.recorder import Recorder
from perdure.core.status import TERMINAL
from perdure.testing.in_process_hub import InProcessHub
from perdure.testing.simulated_loop import SimulatedClock
from support.small_hub import Functions, on_virtual_time, small_hub, text

Code = Generator[Any, Any, Any]


@pytest.fixture
def functions() -> Functions:
    functions = Functions()

    @functions.orchestrator
    def collect(recorder: Recorder, input: str | None) -> Code:
        got = []
        while len(got) < 2:
            got.append((yield recorder.wait_for_event("item", text)))
        return got

    @functions.orchestrator
    def answer(recorder: Recorder, input: str | None) -> Any:
        return "done"

    @functions.orchestrator
    def fail(recorder: Recorder, input: str | None) -> Any:
        raise ValueError("no")

    return functions


async def _brought_to(hub: InProcessHub, status: RuntimeStatus) -> None:
    """An instance 'it' of this status; those that no path of ours leaves behind are put into the store."""
    client, wait = hub.client, hub.client.wait_for_completion
    if status in (RuntimeStatus.Canceled, RuntimeStatus.ContinuedAsNew):
        at = hub.clock.now()
        origin = Origin("it", InstanceKind.ORCHESTRATION, "collect", "11111111-1111-1111-1111-111111111111", at)
        later = at + timedelta(days=1)
        start = Envelope("it", StartExecution("collect", origin.execution_id), due_at=later)
        await hub.store.create_instance(Creation(InstanceRecord(origin, Progress(status, at)), start), ReusePolicy.ANY)
        return
    start_at = hub.clock.now() + timedelta(hours=1) if status is RuntimeStatus.Pending else None
    name = {RuntimeStatus.Completed: "answer", RuntimeStatus.Failed: "fail"}.get(status, "collect")
    await client.start(name, instance_id="it", start_at=start_at)
    if status is RuntimeStatus.Suspended:
        await client.suspend("it")
    if status is RuntimeStatus.Terminated:
        await client.terminate("it")
    if status in TERMINAL:
        await wait("it", 10)
    await asyncio.sleep(1)


@pytest.mark.parametrize("policy", ReusePolicy, ids=lambda policy: policy.value)
@pytest.mark.parametrize("status", RuntimeStatus, ids=lambda status: status.name)
def test_the_matrix(functions: Functions, status: RuntimeStatus, policy: ReusePolicy) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(functions, clock, client_options=ClientOptions(reuse=policy))
        async with hub:
            await _brought_to(hub, status)
            before = await hub.client.get("it")
            assert before is not None
            assert before.progress.status is status
            if status not in TERMINAL and policy is ReusePolicy.NON_RUNNING:
                with pytest.raises(InstanceExists, match="'it' exists and has not ended"):
                    await hub.client.start("answer", instance_id="it")
                assert await hub.client.get("it") == before
                return
            await hub.client.start("answer", instance_id="it")
            record = await hub.client.wait_for_completion("it", 10)
            assert record is not None
            assert (record.progress.status, record.progress.output) == (RuntimeStatus.Completed, '"done"')
            assert record.origin.execution_id != before.origin.execution_id

    on_virtual_time(scenario)


@pytest.mark.parametrize("restarted", [False, True])
def test_the_successor_of_a_suspended_instance_gets_nothing_that_was_held_back(
    functions: Functions, restarted: bool
) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(functions, clock, client_options=ClientOptions(reuse=ReusePolicy.ANY))
        async with hub:
            await _brought_to(hub, RuntimeStatus.Suspended)
            for number in ("1", "2"):
                await hub.client.raise_event("it", "item", number)
            await hub.client.start("collect", instance_id="it")
            await hub.client.suspend("it")
            await hub.client.raise_event("it", "item", "3")
            if restarted:
                await hub.restart()
            await hub.client.resume("it")
            await hub.client.raise_event("it", "item", "4")
            record = await hub.client.wait_for_completion("it", 10)
            assert record is not None
            assert record.progress.output == '["3","4"]'

    on_virtual_time(scenario)


@pytest.mark.parametrize("status", [RuntimeStatus.Running, RuntimeStatus.Suspended, RuntimeStatus.Pending])
def test_a_start_that_begins_later_replaces_at_once(functions: Functions, status: RuntimeStatus) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(functions, clock, client_options=ClientOptions(reuse=ReusePolicy.ANY))
        async with hub:
            await _brought_to(hub, status)
            later = clock.now() + timedelta(minutes=5)
            starting = asyncio.create_task(hub.client.start("collect", instance_id="it", start_at=later))
            raising = asyncio.create_task(hub.client.raise_event("it", "item", "1"))
            await asyncio.gather(starting, raising)
            record = await hub.client.get("it")
            assert record is not None
            assert record.progress.status is RuntimeStatus.Pending
            await hub.client.raise_event("it", "item", "2")
            record = await hub.client.wait_for_completion("it", 400)
            assert record is not None
            # What came right behind the start is for what it makes.
            assert record.progress.output == '["1","2"]'

    on_virtual_time(scenario)
