"""Where upstream's generations, users' documents and common sense differ: what this SDK does, D2 to D16.

D1 (decorators of the package) is in test_sdk_surface, D11 (text content of call_http) in test_sdk_durable_http.
"""

import asyncio
import json
from dataclasses import dataclass

import pytest

from azure import durable_functions as df
from azure.durable_functions.blocking_client import BlockingDurableOrchestrationClient
from perdure.core import actions as ac
from perdure.core.identifiers import EntityId, child_id
from perdure.core.registry import FailedOperations, Operation
from support.sdk_world import BINDING, SdkWorld


def run(code, *, start=True, **fields):
    world = SdkWorld(code)
    if start:
        world.start(**fields)
    return world


def test_d2_plain_def_client_functions_get_a_client_that_blocks():
    app = df.DFApp()

    @app.route("a")
    @app.durable_client_input("client")
    def plain(req, client):
        return client

    @app.route("b")
    @app.durable_client_input("client")
    async def coroutine(req, client):
        return client

    call = {"req": None, "client": json.dumps(BINDING)}
    given = plain.build().get_user_function()(**call)
    assert isinstance(given, BlockingDurableOrchestrationClient | df.DurableOrchestrationClient) or hasattr(
        given, "start_new"
    )
    assert not asyncio.iscoroutinefunction(given.start_new)
    awaited = asyncio.run(coroutine.build().get_user_function()(**call))
    assert asyncio.iscoroutinefunction(awaited.start_new)


def test_d3_an_instance_without_a_version_has_none():
    seen = []
    run(lambda context: seen.append(context.version))
    run(lambda context: seen.append(context.version), version="1.2")

    assert seen == [None, "1.2"]


@pytest.mark.parametrize("status", [0, "", False, [], {}])
def test_d4_a_falsy_custom_status_is_sent(status):
    world = run(lambda context: context.set_custom_status(status))

    assert world.last.custom_status == ac.NewStatus(json.dumps(status))


@dataclass
class Receipt:
    total: int


def test_d5_outputs_may_be_custom_classes():
    assert json.loads(run(lambda context: Receipt(5)).output)["__data__"] == {"total": 5}


def test_d6_sub_orchestrations_get_ids_that_follow_from_their_parents():
    def code(context):
        yield context.call_sub_orchestrator("child")

    (action,) = run(code).last.actions
    assert action.instance_id is None
    assert child_id("parent", 0, 3).startswith("parent:")


def test_d7_all_of_nothing_is_an_empty_list():
    def code(context):
        return (yield context.task_all([]))

    assert run(code).output == "[]"


def test_d8_a_group_fails_with_its_first_failure_at_once():
    def code(context):
        try:
            yield context.task_all([context.call_activity("a"), context.call_activity("b")])
        except Exception as error:
            return str(error)

    world = run(code)
    world.fail(1, "broken")

    assert "broken" in world.output


def test_d9_the_oldest_waiter_gets_the_event():
    def code(context):
        first, second = context.wait_for_external_event("go"), context.wait_for_external_event("go")
        winner = yield context.task_any([second, first])
        return winner is second

    # The waits become waits when they are yielded, in the order of the group.
    world = run(code)
    world.raise_event("GO", "1")
    assert world.output == "true"


def test_d10_no_timer_follows_the_last_failure():
    def code(context):
        yield context.call_activity_with_retry("a", df.RetryOptions(1000, 2))

    world = run(code)
    world.fail(0)
    world.complete(1)
    world.fail(2)

    assert world.last.actions == ()
    assert "broken" in world.failed_with.message


def test_d12_entity_ids_compare_their_names_without_case():
    assert df.EntityId("Counter", "k") == df.EntityId("counter", "k")
    assert df.EntityId("Counter", "k") != df.EntityId("counter", "K")
    assert len({df.EntityId("Counter", "k"), df.EntityId("COUNTER", "k")}) == 1
    assert df.EntityId("Counter", "k").name == "Counter"


def test_d13_a_failed_operation_leaves_state_and_signals_as_they_were():
    def entity(context):
        context.set_state(context.get_state(lambda: 0) + 1)
        context.signal_entity(df.EntityId("other", "k"), "told")
        if context.operation_name == "fail":
            raise ValueError("no")

    definition = df.Entity.create(entity).definition("counter")
    program = definition.open(EntityId("counter", "k"), "5")
    outcome = program.run(Operation("fail", None, False))
    program.roll_back("5")

    assert definition.failed is FailedOperations.ROLLED_BACK
    assert outcome.failure is not None
    assert program.run(Operation("add", None, False)).state == "6"


class Plain:
    def __init__(self):
        self.value = 0


def test_d14_a_plain_class_may_be_the_state_of_an_entity():
    def entity(context):
        state = context.get_state(Plain) or Plain()
        state.value += 1
        context.set_state(state)
        context.set_result(state.value)

    definition = df.Entity.create(entity).definition("counter")
    written = definition.open(EntityId("counter", "k"), None).run(Operation("add", None, False)).state
    again = definition.open(EntityId("counter", "k"), written).run(Operation("add", None, False))

    assert json.loads(written)["__data__"] == {"value": 1}
    assert again.result == "2"


def answered(status):
    client = df.DurableOrchestrationClient(json.dumps(BINDING))

    async def get(url):
        return [200, status]

    client._get_async_request = get
    return client


FAILED = {"instanceId": "i1", "createdTime": "2026-01-01T00:00:00Z", "runtimeStatus": "Failed", "input": [1]}


def test_d15_a_status_has_its_input_without_being_asked_for_it():
    assert asyncio.run(answered(FAILED).get_status("i1")).input_ == [1]


def test_d16_a_failed_instance_makes_the_waiting_helper_answer_500():
    wait = answered(FAILED).wait_for_completion_or_create_check_status_response

    assert asyncio.run(wait(None, "i1")).status_code == 500
    assert asyncio.run(wait(None, "i1", return_internal_server_error_on_failure=False)).status_code == 200
