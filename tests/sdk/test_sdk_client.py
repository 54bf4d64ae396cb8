"""DurableOrchestrationClient over a real task hub client on the memory store; instances are moved by hand."""

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest

from azure import durable_functions as df
from azure.durable_functions.blocking_client import BlockingDurableOrchestrationClient
from azure.durable_functions.models import DurableOrchestrationBindings
from perdure.client import (
    ClientOptions,
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InstanceRunning,
    NotRegistered,
    attached,
    known_in,
)
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.registry import Registry
from perdure.core.status import RuntimeStatus
from perdure.storage.memory.storage import MemoryStorage
from support.sdk_world import BINDING
from support.steered_hub import START, SteeredHub, SteppedClock

REQUEST = func.HttpRequest("POST", "https://shop.example:8443/api/start?x=1", body=b"")


def registry() -> Registry:
    names = Registry()
    names.add_orchestrator(df.Orchestrator.create(lambda context: None).definition("flow"))
    names.add_entity(df.Entity.create(lambda context: None).definition("counter"))
    return names


@asynccontextmanager
async def open_hub():
    storage = MemoryStorage()
    await storage.open()
    hub = SteeredHub.over(storage, SteppedClock(), ClientOptions(known=known_in(registry())))
    token = attached.attach(hub.client, asyncio.get_running_loop())
    try:
        yield hub, df.DurableOrchestrationClient(json.dumps({**BINDING, "perdureClient": token}))
    finally:
        attached.detach(token)
        await storage.close()


def with_hub(test: Callable[[SteeredHub, df.DurableOrchestrationClient], Coroutine[Any, Any, None]]):
    """Run a coroutine test with a hub and a client on the same loop."""

    def run() -> None:
        async def running() -> None:
            async with open_hub() as (hub, client):
                await test(hub, client)

        asyncio.run(running())

    run.__name__ = test.__name__
    return run


@contextmanager
def hub_in_a_thread() -> Iterator[tuple[SteeredHub, df.DurableOrchestrationClient]]:
    """A hub on a loop of its own thread, as a host has it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opened = open_hub()
    try:
        yield asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@with_hub
async def test_an_instance_is_started_with_input_and_version(hub, client):
    instance_id = await client.start_new("flow", None, {"a": 1}, version="2.0")

    record = await hub.client.get(instance_id)
    assert len(instance_id) == 32
    assert (record.origin.input, record.origin.version) == ('{"a": 1}', "2.0")
    assert await client.start_new("FLOW", instance_id="my-id", client_input=0) == "my-id"
    assert (await hub.client.get("my-id")).origin.input == "0"
    assert (await client.get_status(await client.start_new("flow"))).input is None


@with_hub
async def test_ids_may_be_left_empty_or_be_uuids(hub, client):
    assert len(await client.start_new("flow", "")) == 32
    given = uuid.uuid4()
    assert await client.start_new("flow", given) == str(given)


@with_hub
async def test_an_unknown_orchestrator_is_refused_with_the_known_ones(hub, client):
    with pytest.raises(NotRegistered, match="'flow'"):
        await client.start_new("flwo")


@with_hub
async def test_starts_that_cannot_be_are_refused(hub, client):
    for instance_id in ("a/b", "@a@b", "a\\b", "x" * 257):
        with pytest.raises(ValueError, match="instance id"):
            await client.start_new("flow", instance_id)
    with pytest.raises(TypeError):
        await client.start_new("flow", None, object())
    await client.start_new("flow", "taken")
    with pytest.raises(InstanceExists):
        await client.start_new("flow", "taken")


@with_hub
async def test_the_status_of_an_instance(hub, client):
    await client.start_new("flow", "i1", {"city": "Oslo"})
    await hub.settle("i1", RuntimeStatus.Completed, output='["done"]', custom_status='{"step": 2}')

    status = await client.get_status("i1")

    assert status
    assert (status.name, status.instance_id) == ("flow", "i1")
    assert status.runtime_status is df.OrchestrationRuntimeStatus.Completed
    assert (status.input, status.output, status.custom_status) == ({"city": "Oslo"}, ["done"], {"step": 2})
    assert status.created_time == status.last_updated_time == START
    assert status.history is None


@with_hub
async def test_texts_that_are_not_json_are_shown_as_they_are(hub, client):
    await client.start_new("flow", "i1")
    await hub.settle("i1", RuntimeStatus.Terminated, output="no longer needed")

    assert (await client.get_status("i1")).output == "no longer needed"


@with_hub
async def test_the_status_of_no_instance_is_false(hub, client):
    status = await client.get_status("nobody")

    assert not status
    assert status.runtime_status is None


@with_hub
async def test_history_comes_when_asked_for_and_outputs_too(hub, client):
    await client.start_new("flow", "i1", "in")
    await hub.settle(
        "i1",
        RuntimeStatus.Completed,
        ev.TaskScheduled(0, "hello", '"Oslo"'),
        ev.TaskCompleted(0, 2, '"Hello Oslo"'),
        ev.ExecutionCompleted(RuntimeStatus.Completed, '"out"'),
    )

    shown = (await client.get_status("i1", show_history=True)).history
    assert [row["EventType"] for row in shown] == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]
    assert shown[1]["FunctionName"] == "hello"
    assert "Result" not in shown[1]
    shown = (await client.get_status("i1", show_history=True, show_history_output=True)).history
    assert (shown[0]["Input"], shown[1]["Result"]) == ('"in"', "Hello Oslo")


@with_hub
async def test_queries_filter_and_go_to_the_end(hub, client):
    for n in range(1_101):
        await client.start_new("flow", f"many-{n}")
    hub.clock.advance(3600)
    await client.start_new("flow", "later")
    await hub.settle("later", RuntimeStatus.Completed)

    assert len(await client.get_status_all()) == 1_102
    by = client.get_status_by
    naive = START.replace(tzinfo=None) + timedelta(minutes=1)
    assert [s.instance_id for s in await by(created_time_from=naive)] == ["later"]
    assert len(await by(created_time_to=naive)) == 1_101
    assert len(await by(created_time_from=naive, created_time_to=naive)) == 0
    assert [s.name for s in await by(runtime_status=[df.OrchestrationRuntimeStatus.Completed])] == ["flow"]
    assert len(await by(runtime_status=[])) == 1_102
    assert len(await by(instance_id_prefix="many-10")) == 111


@with_hub
async def test_events_carry_their_value(hub, client):
    await client.start_new("flow", "i1")
    await client.raise_event("i1", "Approval", {"approved": True})
    await client.raise_event("i1", "Nothing")

    assert (await hub.inbox("i1"))[-2:] == [
        ms.RaiseEvent("Approval", '{"approved": true}'),
        ms.RaiseEvent("Nothing", None),
    ]


@with_hub
async def test_events_that_cannot_arrive_are_refused(hub, client):
    with pytest.raises(InstanceNotFound, match="nobody"):
        await client.raise_event("nobody", "Approval")
    with pytest.raises(ValueError, match="event_name"):
        await client.raise_event("nobody", "")
    await client.start_new("flow", "i1")
    await hub.settle("i1", RuntimeStatus.Completed)
    with pytest.raises(InstanceFinished, match="i1"):
        await client.raise_event("i1", "Approval")


@with_hub
async def test_control_messages_reach_the_instance(hub, client):
    await client.start_new("flow", "i1")
    await client.suspend("i1", "wait")
    await client.resume("i1", "go")
    await client.terminate("i1", "enough")
    await client.terminate("i1", "all", recursive=True)

    assert (await hub.inbox("i1"))[-4:] == [
        ms.Suspend("wait"),
        ms.Resume("go"),
        ms.Terminate("enough", False),
        ms.Terminate("all", True),
    ]


@with_hub
async def test_control_of_finished_instances_is_silent_and_of_unknown_ones_is_not(hub, client):
    await client.start_new("flow", "i1")
    await hub.settle("i1", RuntimeStatus.Completed)

    for control in (client.terminate, client.suspend, client.resume):
        await control("i1", "reason")
        with pytest.raises(InstanceNotFound, match="nobody"):
            await control("nobody", "reason")


@with_hub
async def test_a_failed_instance_is_rewound_and_no_other(hub, client):
    await client.start_new("flow", "i1")
    with pytest.raises(InstanceNotFailed):
        await client.rewind("i1", "too early")
    await hub.settle("i1", RuntimeStatus.Failed, output="no")
    await client.rewind("i1", "mail works again")

    assert (await hub.inbox("i1"))[-1] == ms.Rewind("mail works again")
    with pytest.raises(InstanceNotFound, match="nobody"):
        await client.rewind("nobody", "reason")
    await client.start_new("flow", "i2")
    await hub.settle("i2", RuntimeStatus.Completed)
    with pytest.raises(InstanceFinished):
        await client.rewind("i2", "reason")


@with_hub
async def test_an_instance_is_restarted_under_a_new_id_or_its_own(hub, client):
    await client.start_new("flow", "i1", {"a": 1})
    with pytest.raises(InstanceExists):
        await client.restart("i1", restart_with_new_instance_id=False)
    await hub.settle("i1", RuntimeStatus.Completed)

    new_id = await client.restart("i1")
    assert new_id != "i1"
    assert (await client.get_status(new_id)).input == {"a": 1}
    assert await client.restart("i1", False) == "i1"
    assert (await client.get_status("i1")).runtime_status is df.OrchestrationRuntimeStatus.Pending
    with pytest.raises(InstanceNotFound):
        await client.restart("nobody")


@with_hub
async def test_purging_one(hub, client):
    await client.start_new("flow", "i1")
    with pytest.raises(InstanceRunning):
        await client.purge_instance_history("i1")
    await hub.settle("i1", RuntimeStatus.Completed)

    assert (await client.purge_instance_history("i1")).instances_deleted == 1
    assert (await client.purge_instance_history("i1")).instances_deleted == 0


@with_hub
async def test_purging_many(hub, client):
    for n in range(3):
        await client.start_new("flow", f"i{n}")
    await hub.settle("i0", RuntimeStatus.Completed)
    await hub.settle("i1", RuntimeStatus.Terminated)

    with pytest.raises(ValueError, match="created_time_from"):
        await client.purge_instance_history_by(runtime_status=[df.OrchestrationRuntimeStatus.Completed])
    only = [df.OrchestrationRuntimeStatus.Completed]
    assert (await client.purge_instance_history_by(START, runtime_status=only)).instances_deleted == 1
    assert (await client.purge_instance_history_by(START)).instances_deleted == 1
    assert (await client.purge_instance_history_by(START)).instances_deleted == 0


@with_hub
async def test_entities_are_signalled_and_read(hub, client):
    entity_id = df.EntityId("Counter", "k1")
    await client.signal_entity(entity_id, "add", 5)
    await client.signal_entity(entity_id, "reset")

    assert await hub.inbox("@counter@k1") == [ms.OperationRequest("add", "5"), ms.OperationRequest("reset", None)]
    state = await client.read_entity_state(entity_id)
    assert (state.entity_exists, state.entity_state) == (False, None)
    await hub.put_entity("@counter@k1", '{"total": 5}')
    state = await client.read_entity_state(entity_id)
    assert (state.entity_exists, state.entity_state) == (True, {"total": 5})
    await hub.put_entity("@counter@k1", "null")
    assert (await client.read_entity_state(entity_id)).entity_exists


@with_hub
async def test_entities_that_cannot_be_are_refused(hub, client):
    with pytest.raises(ValueError, match="entity id"):
        await client.signal_entity(None, "add")
    with pytest.raises(ValueError, match="entity key"):
        await client.read_entity_state(df.EntityId("counter", "a/b"))


@with_hub
async def test_the_waiting_helper_answers_with_the_output(hub, client):
    wait = client.wait_for_completion_or_create_check_status_response
    for instance_id, output, body in (
        ("text", '"plain"', b"plain"),
        ("list", "[1, 2]", b"[1, 2]"),
        ("none", None, b"null"),
    ):
        await client.start_new("flow", instance_id)
        waiting = asyncio.create_task(wait(REQUEST, instance_id))
        await asyncio.sleep(0)
        await hub.settle(instance_id, RuntimeStatus.Completed, output=output)
        response = await waiting
        assert (response.status_code, response.get_body(), response.mimetype) == (200, body, "application/json")


@with_hub
async def test_the_waiting_helper_answers_with_the_status_of_other_endings(hub, client):
    wait = client.wait_for_completion_or_create_check_status_response
    await client.start_new("flow", "i1")
    await hub.settle("i1", RuntimeStatus.Failed, output="Orchestrator function 'flow' failed: no")
    await client.start_new("flow", "i2")
    await hub.settle("i2", RuntimeStatus.Terminated, output="reason")

    response = await wait(REQUEST, "i1")
    assert response.status_code == 500
    assert json.loads(response.get_body())["output"] == "Orchestrator function 'flow' failed: no"
    assert (await wait(REQUEST, "i1", return_internal_server_error_on_failure=False)).status_code == 200
    response = await wait(REQUEST, "i2")
    assert (response.status_code, json.loads(response.get_body())["runtimeStatus"]) == (200, "Terminated")


@with_hub
async def test_the_waiting_helper_gives_the_links_after_the_timeout(hub, client):
    wait = client.wait_for_completion_or_create_check_status_response
    await client.start_new("flow", "i1")

    for response in (
        await wait(REQUEST, "i1", 10, 5),
        await wait(REQUEST, "i1", timeout=timedelta(milliseconds=10)),
        await wait(REQUEST, "not there yet", timeout=timedelta(0)),
    ):
        assert response.status_code == 202
    with pytest.raises(ValueError, match="should be bigger"):
        await wait(REQUEST, "i1", 1000, 2000)
    with pytest.raises(ValueError, match="should be bigger"):
        await wait(REQUEST, "i1", timeout=timedelta(seconds=1), retry_interval=timedelta(seconds=2))


def client_without_a_host() -> df.DurableOrchestrationClient:
    return df.DurableOrchestrationClient(json.dumps(BINDING), "invocation-1")


def test_links_name_the_instance_and_the_origin_of_the_request():
    client = client_without_a_host()

    response = client.create_check_status_response(REQUEST, "order 1")

    links = json.loads(response.get_body())
    assert response.status_code == 202
    assert links == {
        "id": "order 1",
        "statusQueryGetUri": "https://shop.example:8443/x/instances/order%201?taskHub=TestHubName&code=k",
        "sendEventPostUri": "https://shop.example:8443/x/instances/order%201/raiseEvent/{eventName}?code=k",
        "terminatePostUri": "https://shop.example:8443/x/instances/order%201/terminate?reason={text}&code=k",
    }
    assert response.headers["Location"] == links["statusQueryGetUri"]
    assert response.headers["Retry-After"] == "10"
    assert response.headers["Content-Type"] == "application/json"


def test_links_without_a_request_have_the_host_own_origin():
    client = client_without_a_host()
    payload = client.create_http_management_payload("i1")

    assert payload["statusQueryGetUri"] == "http://localhost:7071/x/instances/i1?taskHub=TestHubName&code=k"
    assert client.get_client_response_links(None, "i1") == payload
    assert client.create_http_management_payload(None, "i1") == payload
    assert client.create_http_management_payload(REQUEST, "i1")["statusQueryGetUri"].startswith("https://shop")
    with pytest.raises(TypeError):
        client.create_http_management_payload(REQUEST)


def test_the_failure_flag_is_added_to_the_status_link():
    response = client_without_a_host().create_check_status_response(REQUEST, "i1", True)

    assert response.headers["Location"].endswith("&code=k&returnInternalServerErrorOnFailure=true")


def test_the_binding_is_at_hand_as_officially():
    bindings = client_without_a_host()._orchestration_bindings

    assert isinstance(bindings, DurableOrchestrationBindings)
    assert (bindings.task_hub_name, bindings.client_data) == ("TestHubName", {"somethingNew": 1})
    assert bindings.rpc_base_url == BINDING["rpcBaseUrl"]
    assert set(bindings.creation_urls) == {"createNewInstancePostUri"}
    assert DurableOrchestrationBindings.from_json("{}").management_urls == {}
    for broken in ("", "[]", "no json"):
        with pytest.raises(ValueError, match="binding"):
            df.DurableOrchestrationClient(broken)


@pytest.mark.parametrize("token", [None, "gone"])
def test_a_client_without_its_host_says_where_it_works(token):
    binding = {**BINDING, "perdureClient": token, "rpcBaseUrl": None}
    client = df.DurableOrchestrationClient(json.dumps(binding))

    with pytest.raises(RuntimeError, match="perdure start"):
        asyncio.run(client.start_new("flow"))


def test_the_client_works_from_another_loop():
    with hub_in_a_thread() as (_, client):

        async def use() -> str:
            await client.start_new("flow", "i1", 5)
            return (await client.get_status("i1")).input

        assert asyncio.run(use()) == 5


def test_the_blocking_client_has_the_same_methods_and_errors():
    with hub_in_a_thread() as (_, client):
        blocking = BlockingDurableOrchestrationClient(client)

        assert blocking.start_new("flow", "i1", {"a": 1}) == "i1"
        assert blocking.get_status("i1").input == {"a": 1}
        assert len(blocking.get_status_all()) == 1
        blocking.raise_event("i1", "Approval", True)
        blocking.signal_entity(df.EntityId("counter", "k"), "add", 1)
        assert not blocking.read_entity_state(df.EntityId("counter", "k")).entity_exists
        assert blocking.create_check_status_response(REQUEST, "i1").status_code == 202
        response = blocking.wait_for_completion_or_create_check_status_response(REQUEST, "i1", 10, 10)
        assert response.status_code == 202
        with pytest.raises(InstanceNotFound):
            blocking.terminate("nobody", "reason")
        with pytest.raises(AttributeError):
            _ = blocking.no_such_method
