"""The portable family's client methods over a whole hub in memory (portable-sdk.md §5.2, functions-sdk.md §18)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

import azure.durable_functions as df
from azure.durable_functions.native_activity import native_activity
from durabletask.client import (
    EntityQuery,
    IdReusePolicy,
    OrchestrationFailedError,
    OrchestrationQuery,
    OrchestrationStatus,
)
from durabletask.entities import DurableEntity, EntityInstanceId
from perdure.client import InstanceExists, InstanceNotFound, attached
from perdure.core.registry import ActivityDefinition, Registry
from perdure.testing.in_process_hub import InProcessHub
from support.sdk_world import BINDING
from support.small_hub import on_virtual_time

COUNTER = EntityInstanceId("counter", "k")


def flow(context, input):
    if input == "fail":
        raise ValueError("no luck")
    if input == "wait":
        context.set_custom_status("waiting")
        return (yield context.wait_for_external_event("go"))
    if input == "parent":
        return (yield context.call_sub_orchestrator("flow", input="child", instance_id="child-1"))
    if input == "tagged":
        texts = yield context.call_activity("tags_told", input=1, tags={"team": "a"})
        return [texts, (yield context.call_sub_orchestrator("flow", instance_id="tagged-child", tags={"team": "b"}))]
    return [input, context.version, dict(context.tags)]


def tags_told(context, _):
    return dict(context.tags)


def holder(context, _):
    with (yield context.lock_entities([COUNTER])):
        yield context.wait_for_external_event("go")


class Counter(DurableEntity):
    def add(self, n: int):
        self.set_state(self.get_state(int, 0) + n)

    def start(self, instance_id: str):
        self.schedule_new_orchestration("flow", "from entity", instance_id)


def with_client(story: Callable[[df.DurableFunctionsClient], Awaitable[None]]):
    def test() -> None:
        registry = Registry()
        registry.add_orchestrator(df.Orchestrator.create(flow).definition("flow"))
        registry.add_orchestrator(df.Orchestrator.create(holder).definition("holder"))
        registry.add_entity(df.Entity.create(Counter).definition("counter"))
        registry.add_activity(ActivityDefinition("tags_told", native_activity(tags_told, "input").run_activity))

        async def scenario(clock) -> None:
            async with InProcessHub(registry, clock) as hub:
                token = attached.attach(hub.client, asyncio.get_running_loop())
                try:
                    await story(df.DurableFunctionsClient(json.dumps({**BINDING, "perdureClient": token})))
                finally:
                    attached.detach(token)

        on_virtual_time(scenario)

    test.__name__ = story.__name__
    return test


@with_client
async def test_an_orchestration_is_started_and_its_state_told(client):
    assert await client.schedule_new_orchestration(
        "flow", input={"a": 1}, instance_id="i", tags={"t": "1"}, version="2"
    )
    state = await client.wait_for_orchestration_completion("i")

    assert (state.runtime_status, state.is_terminal) == (OrchestrationStatus.COMPLETED, True)
    assert state.result == [{"a": 1}, "2", {"t": "1"}]
    assert (state.input, state.version, state.tags, state.name) == ({"a": 1}, "2", {"t": "1"}, "flow")
    assert state.created_at.tzinfo is None
    state.raise_if_failed()
    bare = await client.get_orchestration_state("i", fetch_payloads=False)
    assert (bare.serialized_input, bare.serialized_output) == (None, None)


@with_client
async def test_calls_hand_their_tags_on(client):
    await client.schedule_new_orchestration("flow", input="tagged", instance_id="i", tags={"not": "inherited"})
    state = await client.wait_for_orchestration_completion("i")

    assert state.result == [{"team": "a"}, [None, None, {"team": "b"}]]
    assert (await client.get_orchestration_state("tagged-child")).tags == {"team": "b"}
    status = await client.get_status("i", show_history=True)
    assert [row["Tags"] for row in (status.history or []) if "Tags" in row] == [{"team": "a"}, {"team": "b"}]


@with_client
async def test_what_does_not_exist(client):
    assert await client.get_orchestration_state("no") is None
    assert await client.wait_for_orchestration_completion("no") is None
    assert await client.wait_for_orchestration_start("no") is None
    assert (await client.purge_orchestration("no")).deleted_instance_count == 0
    assert await client.get_entity(COUNTER) is None
    with pytest.raises(InstanceNotFound):
        await client.suspend_orchestration("no")


@with_client
async def test_a_failure_is_told_and_raised(client):
    await client.schedule_new_orchestration("flow", input="fail", instance_id="i")
    state = await client.wait_for_orchestration_completion("i")

    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details.is_caused_by(ValueError)
    with pytest.raises(OrchestrationFailedError, match="no luck"):
        state.raise_if_failed()


@with_client
async def test_waiting_ends_in_time(client):
    await client.schedule_new_orchestration("flow", input="wait", instance_id="i")
    started = await client.wait_for_orchestration_start("i", fetch_payloads=True)
    with pytest.raises(TimeoutError, match="has not ended"):
        await client.wait_for_orchestration_completion("i", timeout=5)

    assert started.runtime_status is OrchestrationStatus.RUNNING
    assert (await client.get_orchestration_state("i")).custom_status == "waiting"
    await client.raise_orchestration_event("i", "GO", data={"x": 1})
    assert (await client.wait_for_orchestration_completion("i", timeout=None)).result == {"x": 1}


@with_client
async def test_steering(client):
    await client.schedule_new_orchestration("flow", input="wait", instance_id="i")
    await client.wait_for_orchestration_start("i")
    await client.suspend_orchestration("i", reason="lunch")
    await client.resume_orchestration("i")
    await client.terminate_orchestration("i", output={"why": "tired"})
    state = await client.wait_for_orchestration_completion("i")
    await client.terminate_orchestration("i")

    assert (state.runtime_status, state.result) == (OrchestrationStatus.TERMINATED, {"why": "tired"})
    assert await client.restart_orchestration("i") == "i"
    assert await client.restart_orchestration("i", restart_with_new_instance_id=True) != "i"


@with_client
async def test_the_older_names_with_the_newer_defaults(client):
    instance_id = await client.start_new("flow", None, "wait")
    await client.wait_for_orchestration_start(instance_id)
    await client.suspend(instance_id)
    await client.resume(instance_id)
    await client.terminate(instance_id)
    await client.wait_for_orchestration_completion(instance_id)

    assert (await client.get_status(instance_id)).input is None
    assert (await client.get_status(instance_id, show_input=True)).input == "wait"
    failed = await client.start_new("flow", None, "fail")
    answer = await client.wait_for_completion_or_create_check_status_response(None, failed)
    assert answer.status_code == 200, "a failure is no error of the server's unless asked (D16)"


@with_client
async def test_starts_at_a_time_and_reuse_of_ids(client):
    later = datetime(2100, 1, 1)
    await client.schedule_new_orchestration("flow", instance_id="i", start_at=later)
    with pytest.raises(InstanceExists):
        await client.schedule_new_orchestration("flow", instance_id="i")
    with pytest.raises(ValueError, match="reuse_id_policy"):
        await client.schedule_new_orchestration("flow", reuse_id_policy=IdReusePolicy([OrchestrationStatus.RUNNING]))

    state = await client.get_orchestration_state("i")
    assert (state.runtime_status, state.scheduled_start_at) == (OrchestrationStatus.PENDING, later.replace(tzinfo=UTC))


@with_client
async def test_queries_and_pages(client):
    for number in range(3):
        await client.schedule_new_orchestration("flow", input=number, instance_id=f"run-{number}")
        await client.wait_for_orchestration_completion(f"run-{number}")
    await client.schedule_new_orchestration("flow", input="wait", instance_id="open")
    await client.wait_for_orchestration_start("open")

    completed = OrchestrationQuery(runtime_status=[OrchestrationStatus.COMPLETED], instance_id_prefix="run-")
    assert len(await client.get_all_orchestration_states()) == 4
    found = await client.get_all_orchestration_states(completed)
    assert [state.serialized_input for state in found] == [None] * 3
    completed.fetch_inputs_and_outputs, completed.max_instance_count = True, 2
    assert len(await client.get_all_orchestration_states(completed)) == 3, "the size of a page, as upstream"
    first = await client.list_instance_ids(page_size=2)
    second = await client.list_instance_ids(page_size=2, continuation_token=first.continuation_token)
    assert sorted(first.items + second.items) == ["run-0", "run-1", "run-2"]
    with pytest.raises(ValueError, match="continuation token"):
        await client.list_instance_ids(continuation_token="nonsense")
    assert (await client.purge_orchestrations_by(datetime(2000, 1, 1))).deleted_instance_count == 3


@with_client
async def test_histories_of_the_current_execution(client):
    await client.schedule_new_orchestration("flow", input="tagged", instance_id="i")
    await client.wait_for_orchestration_completion("i")

    events = await client.get_orchestration_history("i")
    names = [type(event).__name__ for event in events]
    assert names[:2] == ["OrchestratorStartedEvent", "ExecutionStartedEvent"]
    assert names[-1] == "ExecutionCompletedEvent"
    [scheduled] = [event for event in events if type(event).__name__ == "TaskScheduledEvent"]
    assert (scheduled.name, scheduled.tags) == ("tags_told", {"team": "a"})
    for unknown in ("nobody", "i"):
        with pytest.raises(InstanceNotFound):
            await client.get_orchestration_history(unknown, execution_id="another")


@with_client
async def test_a_purge_takes_the_children_along(client):
    await client.schedule_new_orchestration("flow", input="parent", instance_id="i")
    await client.wait_for_orchestration_completion("i")

    assert (await client.purge_orchestration("i")).deleted_instance_count == 2


@with_client
async def test_entities(client):
    await client.signal_entity(COUNTER, "add", 2)
    await client.signal_entity(df.EntityId("Counter", "k"), "add", operation_input=3)
    await client.signal_entity(COUNTER, "add", 5, datetime(2100, 1, 1))
    await client.signal_entity(COUNTER, "start", "started")
    await _until(client, lambda counter: counter is not None and counter.get_typed_state(int) == 5)

    metadata = await client.get_entity(COUNTER)
    assert (metadata.get_state(), metadata.get_typed_state(int), metadata.includes_state) == ("5", 5, True)
    assert (await client.get_entity(COUNTER, include_state=False)).get_state() is None
    assert (await client.read_entity_state(COUNTER)).entity_state == 5
    assert len(await client.get_all_entities()) == 1
    assert await client.get_all_entities(EntityQuery(instance_id_starts_with="other")) == []
    assert len(await client.get_all_entities(EntityQuery(instance_id_starts_with="Counter@k"))) == 1
    assert (await client.wait_for_orchestration_completion("started")).result[0] == "from entity"


@with_client
async def test_a_lock_is_shown_and_cleaned(client):
    await client.schedule_new_orchestration("holder", instance_id="h")
    await _until(client, lambda counter: counter is not None and counter.get_locked_by() is not None)

    assert (await client.get_entity(COUNTER)).get_locked_by() == "h"
    await client.raise_orchestration_event("h", "go")
    await client.wait_for_orchestration_completion("h")
    await client.clean_entity_storage(remove_empty_entities=True, release_orphaned_locks=True)
    await _until(client, lambda counter: counter is None)


async def _until(client, holds) -> None:
    """Wait, in virtual time, until the counter is as wanted."""
    async with asyncio.timeout(60):
        while not holds(await client.get_entity(COUNTER)):  # noqa: ASYNC110 - entities announce nothing to clients
            await asyncio.sleep(0.01)
