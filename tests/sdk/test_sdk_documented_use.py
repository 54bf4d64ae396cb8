"""What the published documents show: their samples, and their recipe for unit tests."""

import asyncio
import json
from datetime import timedelta
from unittest.mock import AsyncMock, Mock, patch

import azure.functions as func
import pytest

from azure import durable_functions as df
from azure.durable_functions import EntityContext
from perdure.core import actions as ac
from perdure.core.entities.batch import run_batch
from perdure.core.identifiers import EntityId
from perdure.core.registry import Operation
from support.replay_world import T0
from support.sdk_world import SdkWorld

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class ProcessRequest:
    def __init__(self, id):
        self.id = id


class ProcessResult:
    def __init__(self, status):
        self.status = status


class Counter:
    def __init__(self):
        self.value = 0

    def add(self, amount: int):
        self.value += amount

    def reset(self):
        self.value = 0

    def get(self) -> int:
        return self.value


@app.orchestration_trigger(context_name="context")
def hello_orchestrator(context: df.DurableOrchestrationContext):
    result1 = yield context.call_activity("say_hello", "Tokyo")
    result2 = yield context.call_activity("say_hello", "Seattle")
    return [result1, result2]


@app.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    return f"Hello {city}!"


@app.activity_trigger(input_name="request")
def complex_activity(request: ProcessRequest) -> ProcessResult:
    return ProcessResult(status="completed")


@app.route(route="orchestrators/{function_name}")
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    function_name = req.route_params.get("function_name")
    instance_id = await client.start_new(function_name)
    response = client.create_check_status_response(req, instance_id)
    return response


@app.orchestration_trigger(context_name="context")
def monitor_workflow(context: df.DurableOrchestrationContext):
    config = context.get_input()
    expiry_time = context.current_utc_datetime + timedelta(hours=config.get("duration_hours", 24))
    while context.current_utc_datetime < expiry_time:
        result = yield context.call_activity("check_condition", config)
        if result["met"]:
            yield context.call_activity("condition_met", result)
            return "Condition met"
        next_check = context.current_utc_datetime + timedelta(minutes=config.get("polling_interval", 5))
        if next_check < expiry_time:
            yield context.create_timer(next_check)
    return "Expired"


@app.orchestration_trigger(context_name="context")
def retry_orchestrator(context: df.DurableOrchestrationContext):
    retry_options = df.RetryOptions(first_retry_interval_in_milliseconds=5000, max_number_of_attempts=3)
    retry_options.backoff_coefficient = 2.0
    retry_options.max_retry_interval_in_milliseconds = 60000
    result = yield context.call_activity_with_retry("unreliable_activity", retry_options, "data")
    return result


@app.orchestration_trigger(context_name="context")
def error_handling_orchestrator(context: df.DurableOrchestrationContext):
    try:
        result = yield context.call_activity("risky_activity", "data")
        return {"success": True, "result": result}
    except Exception as e:
        yield context.call_activity("log_error", str(e))
        return {"success": False, "error": str(e)}


@app.orchestration_trigger(context_name="context")
def eternal_orchestrator(context: df.DurableOrchestrationContext):
    iteration = context.get_input() or 0
    yield context.call_activity("do_periodic_work", iteration)
    next_run = context.current_utc_datetime + timedelta(hours=1)
    yield context.create_timer(next_run)
    context.continue_as_new(iteration + 1)


@app.entity_trigger(context_name="context")
def counter_entity(context: EntityContext):
    state = context.get_state(Counter) or Counter()
    operation = context.operation_name

    if operation == "add":
        state.add(context.get_input())
    elif operation == "reset":
        state.reset()
    elif operation == "get":
        context.set_result(state.get())

    context.set_state(state)


@app.orchestration_trigger(context_name="context")
def complex_orchestrator(context: df.DurableOrchestrationContext):
    result = yield context.call_activity("complex_activity", ProcessRequest(7))
    return result.status


def orchestrator_of(builder):
    return builder.build().get_user_function().orchestrator_function


def test_chaining():
    world = SdkWorld(orchestrator_of(hello_orchestrator))
    world.start()
    world.complete(0, '"Hello Tokyo!"')
    world.complete(1, '"Hello Seattle!"')
    assert json.loads(world.output) == ["Hello Tokyo!", "Hello Seattle!"]


def test_plain_classes_as_activity_argument_and_result():
    world = SdkWorld(orchestrator_of(complex_orchestrator))
    action = world.start().actions[0]
    assert json.loads(action.input)["__data__"] == {"id": 7}
    world.complete(
        0, json.dumps({"__class__": "ProcessResult", "__module__": __name__, "__data__": {"status": "done"}})
    )
    assert world.output == '"done"'


def test_monitoring_until_the_condition_is_met_or_time_is_up():
    world = SdkWorld(orchestrator_of(monitor_workflow))
    world.start(input='{"duration_hours": 1, "polling_interval": 40}')
    assert world.complete(0, '{"met": false}').actions == (ac.CreateTimer(1, T0 + timedelta(minutes=40)),)
    world.complete(1)
    assert world.complete(2, '{"met": true}').actions == (ac.ScheduleActivity(3, "condition_met", '{"met": true}'),)
    world.complete(3)
    assert world.output == '"Condition met"'


def test_retry_properties_set_later_count():
    world = SdkWorld(orchestrator_of(retry_orchestrator))
    world.start()
    world.fail(0)
    world.complete(1)
    assert world.fail(2).actions == (ac.CreateTimer(3, T0 + timedelta(seconds=15)),)


def test_errors_are_caught_logged_and_told():
    world = SdkWorld(orchestrator_of(error_handling_orchestrator))
    world.start()
    logged = world.fail(0, "no luck").actions[0]
    world.complete(1)
    assert json.loads(world.output) == {"success": False, "error": json.loads(logged.input)}
    assert "no luck" in logged.input


def test_an_eternal_orchestration_counts_its_rounds():
    world = SdkWorld(orchestrator_of(eternal_orchestrator))
    world.start(input="4")
    world.complete(0)
    assert world.complete(1).ending == ac.ContinueAsNew("5")


def test_a_class_based_entity():
    handle = counter_entity.build().get_user_function()
    program = handle.definition("counter_entity").open(EntityId("counter_entity", "k"), None)
    outcomes = run_batch(
        program, None, [Operation("add", "5", True), Operation("add", "2", True), Operation("get", None, False)]
    )
    assert [outcome.result for outcome in outcomes] == [None, None, "7"]


def test_an_orchestrator_is_tested_with_a_mocked_context():
    with (
        patch("azure.durable_functions.DurableOrchestrationContext") as context,
        patch("azure.durable_functions.models.TaskBase") as task,
    ):
        task.result = "Hello!"
        context.call_activity = Mock(return_value=task)
        program = orchestrator_of(hello_orchestrator)(context)
        next(program)
        program.send("one")
        with pytest.raises(StopIteration) as end:
            program.send("two")
    assert end.value.value == ["one", "two"]
    context.call_activity.assert_any_call("say_hello", "Tokyo")


def test_a_client_function_is_tested_with_a_mocked_client():
    client = Mock(spec=df.DurableOrchestrationClient)
    client.start_new = AsyncMock(return_value="abc")
    client.create_check_status_response = Mock(return_value="check_status_response")
    request = func.HttpRequest("GET", "/api/orchestrators/x", body=b"", route_params={"function_name": "x"})

    answer = asyncio.run(http_start.build().get_user_function().client_function(request, client))

    assert answer == "check_status_response"
    client.start_new.assert_awaited_once_with("x")
    client.create_check_status_response.assert_called_once_with(request, "abc")


def test_an_entity_is_tested_with_a_mocked_context():
    with patch("azure.durable_functions.DurableEntityContext") as context:
        context.operation_name = "add"
        context.get_input = Mock(return_value=3)
        context.get_state = Mock(return_value=Counter())
        counter_entity.build().get_user_function().entity_function(context)
    assert context.set_state.call_args.args[0].value == 3


def test_an_activity_is_called_directly_or_built():
    assert say_hello("Tokyo") == "Hello Tokyo!"
    assert say_hello.build().get_user_function()("Oslo") == "Hello Oslo!"
    assert say_hello.build() is say_hello.build()


def test_the_first_programming_model_makes_handles():
    def orchestrator_function(context: df.DurableOrchestrationContext):
        task1 = yield context.call_activity("DurableActivity", "One")
        task2 = yield context.call_activity("DurableActivity", "Two")
        return [task1, task2]

    main = df.Orchestrator.create(orchestrator_function)

    assert main.orchestrator_function is orchestrator_function
    assert df.Entity.create(counter_entity).entity_function is counter_entity
    world = SdkWorld(main.orchestrator_function)
    world.start()
    world.complete(0, "1")
    world.complete(1, "2")
    assert world.output == "[1, 2]"
