"""The published way to unit-test a durable app, as users write it: mocks for contexts, clients and tasks."""

import asyncio
import unittest
from unittest.mock import AsyncMock, MagicMock, Mock, call, create_autospec, patch

import azure.functions as func
import pytest

import azure.durable_functions as df
from azure.durable_functions.testing import orchestrator_generator_wrapper

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orchestrators/{functionName}")
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    function_name = req.route_params.get("functionName")
    instance_id = await client.start_new(function_name)
    return client.create_check_status_response(req, instance_id)


@app.route(route="plain")
@app.durable_client_input(client_name="client")
def plain_start(req: func.HttpRequest, client):
    return client.start_new("my_orchestrator")


@app.orchestration_trigger(context_name="context")
def my_orchestrator(context: df.DurableOrchestrationContext):
    result1 = yield context.call_activity("say_hello", "Tokyo")
    result2 = yield context.call_activity("say_hello", "Seattle")
    result3 = yield context.call_activity("say_hello", "London")
    return [result1, result2, result3]


@app.orchestration_trigger(context_name="context")
def careful(context: df.DurableOrchestrationContext):
    try:
        yield context.call_activity("say_hello", "Nowhere")
    except ValueError as error:
        return f"caught {error}"


@app.orchestration_trigger(context_name="context")
def immediate(context: df.DurableOrchestrationContext):
    if context.get_input() is not None:
        yield context.call_activity("say_hello", "Tokyo")
    return "at once"


@app.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    return f"Hello {city}!"


@app.activity_trigger(input_name="city")
async def say_hello_later(city: str) -> str:
    return f"Hello {city}!"


@app.entity_trigger(context_name="context")
def Counter(context):
    current_value = context.get_state(lambda: 0)
    operation = context.operation_name
    if operation == "add":
        current_value += context.get_input()
        context.set_state(current_value)
    elif operation == "reset":
        context.set_state(0)
    elif operation == "get":
        context.set_result(current_value)


@patch("azure.durable_functions.models.TaskBase")
def create_mock_task(result, task):
    task.result = result
    return task


def mock_activity(activity_name, input):
    if activity_name == "say_hello":
        return create_mock_task(f"Hello {input}!")
    raise Exception("Activity not found")


class TestFunction(unittest.TestCase):
    @patch("azure.durable_functions.DurableOrchestrationContext")
    def test_chaining_orchestrator(self, context):
        func_call = my_orchestrator.build().get_user_function().orchestrator_function
        context.call_activity = Mock(side_effect=mock_activity)

        values = list(orchestrator_generator_wrapper(func_call(context)))

        expected = [call("say_hello", "Tokyo"), call("say_hello", "Seattle"), call("say_hello", "London")]
        assert context.call_activity.call_count == 3
        assert context.call_activity.call_args_list == expected
        assert [task.result for task in values[:3]] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
        assert values[3] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]

    @patch("azure.durable_functions.DurableOrchestrationClient")
    def test_http_start(self, client):
        func_call = http_start.build().get_user_function().client_function
        req = func.HttpRequest(
            method="GET", body=b"{}", url="/api/orchestrators/x", route_params={"functionName": "my_orchestrator"}
        )
        client.start_new = AsyncMock(return_value="instance_id")
        client.create_check_status_response = Mock(return_value="check_status_response")

        result = asyncio.run(func_call(req, client))

        client.start_new.assert_called_once_with("my_orchestrator")
        client.create_check_status_response.assert_called_once_with(req, "instance_id")
        assert result == "check_status_response"

    @patch("azure.durable_functions.DurableEntityContext")
    def test_entity_add_operation(self, context):
        func_call = Counter.build().get_user_function().entity_function
        state = {"value": None}

        def set_state(value):
            state["value"] = value

        context.operation_name = "add"
        context.get_input = Mock(return_value=5)
        context.get_state = Mock(side_effect=lambda initial: initial() if state["value"] is None else state["value"])
        context.set_state = Mock(side_effect=set_state)

        func_call(context)
        func_call(context)

        assert context.set_state.call_args_list == [call(5), call(10)]

    def test_activity(self):
        assert say_hello("Tokyo") == "Hello Tokyo!"
        assert say_hello.build().get_user_function()("Tokyo") == "Hello Tokyo!"
        assert asyncio.run(say_hello_later("Tokyo")) == "Hello Tokyo!"


def test_a_task_whose_result_raises_throws_into_the_orchestrator():
    class FailedTask:
        @property
        def result(self):
            raise ValueError("no such city")

    context = Mock()
    context.call_activity.return_value = FailedTask()
    function = careful.build().get_user_function().orchestrator_function

    assert list(orchestrator_generator_wrapper(function(context)))[-1] == "caught no such city"


def test_an_error_of_the_orchestrator_reaches_the_test():
    def code(context):
        yield context.call_activity("say_hello")
        raise KeyError("mine")

    wrapped = orchestrator_generator_wrapper(code(MagicMock()))
    next(wrapped)
    with pytest.raises(KeyError, match="mine"):
        next(wrapped)


def test_an_orchestrator_that_returns_before_its_first_yield_gives_just_that():
    context = Mock(get_input=Mock(return_value=None))
    function = immediate.build().get_user_function().orchestrator_function

    assert list(orchestrator_generator_wrapper(function(context))) == ["at once"]


def test_functions_are_built_as_often_as_tests_want():
    for builder in (my_orchestrator, http_start, Counter, say_hello):
        first = builder.build().get_user_function()
        assert builder.build(auth_level=func.AuthLevel.FUNCTION).get_user_function() is first


def test_plain_client_functions_have_their_undecorated_function_too():
    client = Mock()
    client.start_new.return_value = "i1"

    assert plain_start.build().get_user_function().client_function(None, client) == "i1"


@pytest.mark.parametrize(
    "kind", [df.DurableOrchestrationContext, df.DurableOrchestrationClient, df.DurableEntityContext]
)
def test_mocks_may_have_the_real_classes_as_specification(kind):
    mock = create_autospec(kind, instance=True)
    with pytest.raises(AttributeError):
        mock.no_such_method()
    assert asyncio.iscoroutinefunction(getattr(mock, "start_new", None)) is (kind is df.DurableOrchestrationClient)
