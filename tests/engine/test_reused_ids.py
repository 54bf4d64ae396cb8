"""What a start may replace: the matrix of statuses and policies, and what the former leaves behind."""

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from perdure.client import ClientOptions, InstanceExists, ReusePolicy, RuntimeStatus
from perdure.contracts.executor import OrchestrationTurn, Turn
from perdure.contracts.records import Committed, Hold, Round
from perdure.core.checkpoint import Creation
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.messages import Envelope, StartExecution
from perdure.core.replay.recorder import Recorder
from perdure.core.status import TERMINAL
from perdure.execution.local_session import LocalSession
from perdure.storage.memory.storage import MemoryStorage
from perdure.testing.faulty_storage import FaultyStorage, NoFaults
from perdure.testing.in_process_hub import InProcessHub
from perdure.testing.simulated_loop import SimulatedClock
from perdure.testing.simulated_turns import simulated_turns
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


class _SlowCommits(NoFaults):
    """A store that takes a while to say that a commit is done."""

    def seconds(self, operation: str) -> float:
        return 0.2 if operation == "commit" else 0.0


def test_what_had_to_wait_for_a_later_start_comes_before_what_came_after_it(functions: Functions) -> None:
    """Events for an instance that begins later must not reach the third one of that id."""

    async def scenario(clock: SimulatedClock) -> None:
        store = MemoryStorage()
        storage = FaultyStorage(store, _SlowCommits(), store.crash)
        hub = InProcessHub(
            functions.registry, clock, store, storage, client_options=ClientOptions(reuse=ReusePolicy.ANY)
        )
        async with hub:
            await _brought_to(hub, RuntimeStatus.Running)
            later = clock.now() + timedelta(minutes=5)
            second = asyncio.create_task(hub.client.start("collect", instance_id="it", start_at=later))
            raising = [asyncio.create_task(hub.client.raise_event("it", "item", text)) for text in ("1", "2")]
            third = asyncio.create_task(hub.client.start("collect", instance_id="it"))
            await asyncio.gather(second, *raising, third)
            for number in ("3", "4"):
                await hub.client.raise_event("it", "item", number)
            record = await hub.client.wait_for_completion("it", 10)
            assert record is not None
            assert record.progress.output == '["3","4"]'

    on_virtual_time(scenario)


@pytest.mark.parametrize("is_before", [True, False], ids=["before its end is stored", "before its end is known"])
def test_a_start_that_comes_while_its_former_ends_gets_nothing_of_it(functions: Functions, is_before: bool) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        policy = ReusePolicy.ANY if is_before else ReusePolicy.NON_RUNNING
        turns = simulated_turns(lambda turn: 5.0 if _name_of(turn) == "fail" else 0.0)
        hub, storage = small_hub(functions, clock, client_options=ClientOptions(reuse=policy), turns=turns)
        commit = storage.inner.commit
        starting: list[asyncio.Task[str]] = []

        async def start_meanwhile() -> None:
            starting.append(asyncio.create_task(hub.client.start("collect", instance_id="it")))
            await asyncio.sleep(1)

        async def slow(hold: Hold, round_: Round) -> Committed:
            is_end = any(checkpoint.progress.status in TERMINAL for checkpoint in round_.checkpoints)
            if is_end and is_before:
                await start_meanwhile()
            committed = await commit(hold, round_)
            if is_end and not starting:
                await start_meanwhile()
            return committed

        storage.inner.commit = slow
        async with hub:
            await hub.client.start("fail", instance_id="it")
            await hub.client.raise_event("it", "item", "0")
            await asyncio.sleep(10)
            await starting[0]
            for number in ("1", "2"):
                await hub.client.raise_event("it", "item", number)
            record = await hub.client.wait_for_completion("it", 10)
            assert record is not None
            assert record.progress.output == '["1","2"]'

    on_virtual_time(scenario)


def _name_of(turn: Turn) -> str:
    session = turn.session if isinstance(turn, OrchestrationTurn) else None
    return session.origin.name if isinstance(session, LocalSession) else ""
