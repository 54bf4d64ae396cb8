"""What the client asks of the storage, and what it refuses before."""

import asyncio
from datetime import timedelta

import pytest

from perdure.client import (
    ClientOptions,
    EntityId,
    InstanceExists,
    InstanceFilter,
    InstanceFinished,
    InstanceKind,
    InstanceNotFound,
    InstanceRunning,
    InvalidIdentifier,
    InvalidInput,
    LostEvents,
    NotRegistered,
    PayloadTooLarge,
    ReusePolicy,
    TaskHubClient,
    WaitKind,
    known_in,
)
from perdure.core.messages import OperationRequest, RaiseEvent, StartExecution, Terminate
from perdure.core.registry import ActivityDefinition, EntityDefinition, Registry
from perdure.core.status import RuntimeStatus
from support.steered_hub import START, SteeredHub

pytestmark = pytest.mark.anyio
COUNTER = EntityId("counter", "k")


async def test_a_start_is_a_pending_record_and_one_message(hub: SteeredHub):
    instance_id = await hub.client.start("o", input="[1]", version="3", trace_context="00-t", tags={"a": "b"})
    record = await hub.client.get(instance_id)
    assert record is not None
    origin = record.origin
    assert (origin.name, origin.input, origin.version, origin.created_at) == ("o", "[1]", "3", START)
    assert (record.progress.status, record.progress.updated_at) == (RuntimeStatus.Pending, START)
    assert await hub.inbox(instance_id) == [
        StartExecution("o", origin.execution_id, "[1]", "3", trace_context="00-t", tags={"a": "b"})
    ]


async def test_a_scheduled_start_waits_in_the_inbox(hub: SteeredHub):
    later = START + timedelta(hours=1)
    await hub.client.start("o", instance_id="a", start_at=later)
    assert await hub.inbox("a") == []
    [envelope] = await hub.envelopes("a", later)
    assert envelope.due_at == later
    record = await hub.client.get("a")
    assert record is not None
    assert [reason.kind for reason in await hub.client.waiting_on(record)] == [WaitKind.SCHEDULED_START]


async def test_a_start_that_is_due_already_is_not_scheduled(hub: SteeredHub):
    await hub.client.start("o", instance_id="a", start_at=START)
    [envelope] = await hub.envelopes("a")
    assert envelope.due_at is None
    with pytest.raises(InvalidInput, match="time zone"):
        await hub.client.start("o", start_at=START.replace(tzinfo=None))


async def test_the_reuse_policy_may_replace_live_instances(hub: SteeredHub):
    await hub.client.start("o", instance_id="a", input="1")
    with pytest.raises(InstanceExists):
        await hub.client.start("o", instance_id="a", input="2")
    any_state = TaskHubClient(hub.storage, hub.clock, ClientOptions(reuse=ReusePolicy.ANY))
    await any_state.start("o", instance_id="a", input="2")
    record = await hub.client.get("a")
    assert record is not None
    assert record.origin.input == "2"


@pytest.mark.parametrize("instance_id", ["", "@a", "a/b", "x" * 257, "a\ud800"])
async def test_ids_that_break_the_rules_are_refused(hub: SteeredHub, instance_id: str):
    with pytest.raises(InvalidIdentifier):
        await hub.client.start("o", instance_id=instance_id)


async def test_an_empty_name_is_refused(hub: SteeredHub):
    with pytest.raises(InvalidInput, match="name"):
        await hub.client.start("")
    await hub.client.start("o", instance_id="a")
    with pytest.raises(InvalidInput, match="event name"):
        await hub.client.raise_event("a", "")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x" * 100, None),
        ("x" * 101, PayloadTooLarge),
        ("\u00e4" * 50, None),
        ("\u00e4" * 51, PayloadTooLarge),
        ("a\0b", InvalidInput),
        ("\ud800", InvalidInput),
    ],
)
async def test_payloads_are_checked_wherever_they_enter(hub: SteeredHub, text: str, error: type[Exception] | None):
    await hub.client.start("o", instance_id="a")
    calls = [
        lambda: hub.client.start("o", input=text),
        lambda: hub.client.raise_event("a", "go", text),
        lambda: hub.client.signal_entity(COUNTER, "add", text),
        lambda: hub.client.suspend("a", text),
        lambda: hub.client.resume("a", text),
        lambda: hub.client.terminate("a", text),
    ]
    for call in calls:
        if error is None:
            await call()
        else:
            with pytest.raises(error):
                await call()


async def test_names_are_looked_up_without_case(hub: SteeredHub):
    registry = Registry()
    client = TaskHubClient(hub.storage, hub.clock, ClientOptions(known_in(registry)))
    registry.add_activity(ActivityDefinition("o", print))
    with pytest.raises(NotRegistered, match="this app has none"):
        await client.start("o")
    registry.add_entity(EntityDefinition("Counter", lambda *_: None))  # type: ignore[arg-type,return-value]
    await client.signal_entity(EntityId("counter", "k"), "add")
    with pytest.raises(NotRegistered, match="'Counter'"):
        await client.signal_entity(EntityId("countr", "k"), "add")


async def test_messages_need_a_live_orchestration(hub: SteeredHub):
    await hub.put_entity("@counter@k", "1")
    for instance_id in ("nobody", "@counter@k"):
        with pytest.raises(InstanceNotFound, match=instance_id):
            await hub.client.raise_event(instance_id, "go")
        with pytest.raises(InstanceNotFound):
            await hub.client.purge(instance_id)
    await hub.client.start("o", instance_id="a")
    await hub.client.raise_event("a", "go", "1")
    await hub.client.terminate("a", "why", recursive=True)
    assert (await hub.inbox("a"))[1:] == [RaiseEvent("go", "1"), Terminate("why", True)]
    await hub.settle("a", RuntimeStatus.Terminated)
    with pytest.raises(InstanceFinished, match="Terminated"):
        await hub.client.terminate("a")


async def test_events_for_nobody_are_dropped_when_the_options_say_so(hub: SteeredHub):
    client = TaskHubClient(hub.storage, hub.clock, ClientOptions(lost_events=LostEvents.DROPPED))
    await client.raise_event("nobody", "go")
    await client.start("o", instance_id="a")
    await client.raise_event("a", "go", "1")
    await hub.settle("a", RuntimeStatus.Terminated)
    await client.raise_event("a", "go", "2")
    assert await hub.inbox("a") == []
    with pytest.raises(InstanceFinished):
        await client.terminate("a")
    with pytest.raises(InvalidInput):
        await client.raise_event("a", "")


async def test_purge_takes_only_what_has_ended(hub: SteeredHub):
    await hub.client.start("o", instance_id="a")
    with pytest.raises(InstanceRunning, match="Pending"):
        await hub.client.purge("a")
    assert await hub.client.purge_matching(InstanceFilter()) == 0
    await hub.settle("a", RuntimeStatus.Failed)
    assert await hub.client.purge("a") == 1
    with pytest.raises(InvalidInput):
        await hub.client.purge_matching(InstanceFilter(kind=InstanceKind.ENTITY))


async def test_a_forced_purge_gives_up_on_what_does_not_end(hub: SteeredHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("perdure.client.purging.FORCED_END_SECONDS", 0.01)
    await hub.client.start("o", instance_id="a")
    with pytest.raises(InstanceRunning, match="has not ended"):
        await hub.client.terminate_and_purge("a")
    assert await hub.client.get("a") is not None


async def test_signals_now_and_later(hub: SteeredHub):
    later = START + timedelta(minutes=1)
    await hub.client.signal_entity(EntityId("Counter", "K"), "add", "1")
    await hub.client.signal_entity(EntityId("counter", "K"), "reset", due_at=later)
    assert await hub.inbox("@counter@K") == [OperationRequest("add", "1")]
    assert [e.due_at for e in await hub.envelopes("@counter@K", later)] == [None, later]
    with pytest.raises(InvalidInput, match="time zone"):
        await hub.client.signal_entity(COUNTER, "add", due_at=later.replace(tzinfo=None))
    with pytest.raises(InvalidIdentifier):
        await hub.client.signal_entity(EntityId("counter", "a/b"), "add")


async def test_entity_states(hub: SteeredHub):
    assert await hub.client.read_entity(COUNTER) is None
    await hub.put_entity("@counter@k", "5")
    assert await hub.client.read_entity(COUNTER) == "5"
    await hub.put_entity("@counter@k", None)
    assert await hub.client.read_entity(COUNTER) is None


@pytest.mark.parametrize("limit", [0, 1001, -1])
async def test_page_sizes(hub: SteeredHub, limit: int):
    with pytest.raises(InvalidInput, match="1000"):
        await hub.client.query(InstanceFilter(), limit)


@pytest.mark.parametrize("limit", [0, 0.01])
async def test_waiting_ends_with_the_time(hub: SteeredHub, limit: float):
    assert await hub.client.wait_for_completion("nobody", limit) is None
    await hub.client.start("o", instance_id="a")
    assert await hub.client.wait_for_start("a", limit) is None
    await hub.settle("a", RuntimeStatus.Running)
    assert await hub.client.wait_for_start("a", limit) is not None
    assert await hub.client.wait_for_completion("a", limit) is None
    await hub.settle("a", RuntimeStatus.Completed, output="1")
    ended = await hub.client.wait_for_completion("a", limit)
    assert ended is not None
    assert ended.progress.output == "1"


async def test_waiting_may_begin_before_the_instance_exists(hub: SteeredHub):
    waiting = asyncio.create_task(hub.client.wait_for_completion("a"))
    await asyncio.sleep(0)
    await hub.client.start("o", instance_id="a")
    await hub.settle("a", RuntimeStatus.Running)
    assert not waiting.done()
    await hub.settle("a", RuntimeStatus.Completed)
    record = await waiting
    assert record is not None
    assert record.progress.status is RuntimeStatus.Completed
