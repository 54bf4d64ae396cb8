"""DFApp, Blueprint and azure.functions' own FunctionApp with the durable decorators: bindings, names, refusals."""

import asyncio
import inspect
import json
import typing

import azure.functions as func
import pytest

from azure import durable_functions as df
from azure.durable_functions.names import name_of
from support.sdk_world import BINDING

BINDING_TEXT = json.dumps(BINDING)


def functions_of(app):
    return {function.get_function_name(): function for function in app.get_functions()}


def bindings_of(function):
    return json.loads(function.get_function_json())["bindings"]


def test_defaults_need_no_arguments():
    app = df.DFApp()

    @app.orchestration_trigger()
    def flow(context):
        yield

    @app.activity_trigger()
    def work(input):
        return input

    @app.entity_trigger()
    def thing(context):
        return None

    functions = functions_of(app)

    assert bindings_of(functions["flow"]) == [{"direction": "IN", "type": "orchestrationTrigger", "name": "context"}]
    assert bindings_of(functions["work"]) == [{"direction": "IN", "type": "activityTrigger", "name": "input"}]
    assert bindings_of(functions["thing"]) == [{"direction": "IN", "type": "entityTrigger", "name": "context"}]


def test_given_names_stand_in_the_bindings():
    app = df.DFApp()

    @app.orchestration_trigger("ctx", orchestration="Flow")
    def flow(ctx):
        yield

    @app.activity_trigger("x", activity="Work")
    def work(x):
        return x

    @app.entity_trigger("ctx", entity_name="Thing")
    def thing(ctx):
        return None

    @app.route("start")
    @app.durable_client_input("client", task_hub="Hub", connection_name="Storage")
    async def start(req, client):
        return None

    functions = functions_of(app)

    assert bindings_of(functions["flow"])[0]["orchestration"] == "Flow"
    assert bindings_of(functions["work"])[0]["activity"] == "Work"
    assert bindings_of(functions["thing"])[0]["entityName"] == "Thing"
    assert bindings_of(functions["start"])[0] == {
        "direction": "IN",
        "type": "durableClient",
        "name": "client",
        "taskHub": "Hub",
        "connectionName": "Storage",
    }
    assert json.loads(functions["flow"].get_function_json())["scriptFile"] == "function_app.py"


@pytest.mark.parametrize("make_app", [df.DFApp, func.FunctionApp])
def test_both_kinds_of_app_take_durable_functions_and_blueprints(make_app):
    app = make_app(http_auth_level=func.AuthLevel.ANONYMOUS)
    blueprint = df.Blueprint()

    @app.orchestration_trigger(context_name="context")
    def flow(context):
        yield

    @app.activity_trigger(input_name="x")
    def work(x):
        return x

    @app.entity_trigger(context_name="context")
    def thing(context):
        return None

    @app.route(route="start")
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client):
        return type(client).__name__

    @blueprint.orchestration_trigger()
    def other(context):
        yield

    app.register_functions(blueprint)
    functions = functions_of(app)

    assert set(functions) == {"flow", "work", "thing", "start", "other"}
    assert functions["flow"].get_user_function().definition("flow").name == "flow"
    assert functions["thing"].get_user_function().definition("thing").name == "thing"
    assert asyncio.run(functions["start"].get_user_function()(req=None, client=BINDING_TEXT)) == (
        "DurableOrchestrationClient"
    )


def test_register_blueprint_is_the_same_and_an_app_is_no_blueprint():
    app = df.DFApp()
    app.register_blueprint(df.Blueprint())

    with pytest.raises(TypeError):
        app.register_functions(df.DFApp())


def test_auth_level_is_kept_and_may_be_text():
    assert df.DFApp().auth_level is func.AuthLevel.FUNCTION
    assert df.DFApp("ANONYMOUS").auth_level is func.AuthLevel.ANONYMOUS
    assert df.DFApp(http_auth_level=func.AuthLevel.ADMIN).auth_level is func.AuthLevel.ADMIN
    df.Blueprint(http_auth_level=func.AuthLevel.ADMIN)


def test_two_triggers_on_one_function_are_refused():
    app = df.DFApp()

    with pytest.raises(ValueError, match="trigger was already registered"):

        @app.activity_trigger()
        @app.orchestration_trigger()
        def both(context):
            yield


def test_a_function_without_a_trigger_is_refused_when_built():
    app = df.DFApp()

    @app.durable_client_input("client")
    async def lost(client):
        return None

    with pytest.raises(ValueError, match="does not have a trigger"):
        lost.build()


def test_two_functions_of_one_name_are_refused():
    app = df.DFApp()
    for _ in range(2):

        @app.activity_trigger()
        def same(input):
            return input

    with pytest.raises(ValueError, match="unique"):
        app.get_functions()


def test_only_functions_can_be_decorated():
    with pytest.raises(ValueError, match="Unsupported type"):
        df.DFApp().activity_trigger()("work")


def test_the_client_needs_a_parameter_name():
    with pytest.raises(TypeError):
        df.DFApp().durable_client_input()


@pytest.mark.parametrize("client_first", [True, False])
def test_the_client_decorator_may_stand_above_or_below_the_route(client_first):
    app = df.DFApp()
    client, route = app.durable_client_input("client"), app.route("start")

    async def start(req, client):
        return await asyncio.sleep(0, type(client).__name__)

    decorated = route(client(start)) if client_first else client(route(start))
    function = decorated.build()

    assert {binding["type"] for binding in bindings_of(function)} == {"httpTrigger", "http", "durableClient"}
    assert asyncio.run(function.get_user_function()(req=None, client=BINDING_TEXT)) == "DurableOrchestrationClient"
    assert function.get_user_function().client_function is start
    assert len(app.get_functions()) == 1


def test_a_plain_function_gets_a_client_whose_calls_wait():
    app = df.DFApp()

    @app.route("start")
    @app.durable_client_input("client")
    def start(req, client):
        return client

    client = start(req=None, client=BINDING_TEXT)

    assert not inspect.iscoroutinefunction(start.build().get_user_function())
    assert client.create_http_management_payload("i1")["id"] == "i1"
    assert not inspect.iscoroutinefunction(client.start_new)


def test_the_binding_arrives_as_text_whatever_the_annotation():
    app = df.DFApp()

    @app.route("start")
    @app.durable_client_input("client")
    async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        return func.HttpResponse()

    user_function = start.build().get_user_function()

    assert typing.get_type_hints(user_function) == {
        "req": func.HttpRequest,
        "client": str,
        "return": func.HttpResponse,
    }
    assert inspect.signature(user_function).parameters["client"].annotation is str
    assert user_function.client_function.__annotations__["client"] is df.DurableOrchestrationClient
    assert user_function.__name__ == "start"


def test_something_that_is_no_binding_text_is_passed_through():
    app = df.DFApp()

    @app.route("start")
    @app.durable_client_input("client")
    async def start(req, client):
        return client

    mock = object()

    assert asyncio.run(start(req=None, client=mock)) is mock


def test_the_invocation_id_reaches_the_client():
    app = df.DFApp()

    @app.route("start")
    @app.durable_client_input("client")
    async def start(req, client, context):
        return client._function_invocation_id

    class Context:
        invocation_id = "abc"

    assert asyncio.run(start(req=None, client=BINDING_TEXT, context=Context())) == "abc"


def test_a_handle_tells_who_runs_it():
    handle = df.Orchestrator.create(test_a_handle_tells_who_runs_it)

    with pytest.raises(TypeError, match="perdure start"):
        handle(object())
    assert handle.__name__ == "test_a_handle_tells_who_runs_it"


@pytest.fixture
def app_with_names():
    app = df.DFApp()

    @app.activity_trigger()
    def plain(input):
        return input

    @app.activity_trigger(activity="Renamed")
    def renamed(input):
        return input

    @app.function_name("Outer")
    @app.activity_trigger()
    def inner(input):
        return input

    @app.function_name("OuterFlow")
    @app.orchestration_trigger()
    def flow(context):
        yield

    return {"plain": plain, "renamed": renamed, "inner": inner, "flow": flow}


def test_functions_are_called_by_their_registered_names(app_with_names):
    assert name_of(app_with_names["plain"], "activityTrigger") == "plain"
    assert name_of(app_with_names["renamed"], "activityTrigger") == "Renamed"
    assert name_of(app_with_names["inner"], "activityTrigger") == "Outer"
    assert name_of(app_with_names["flow"], "orchestrationTrigger") == "OuterFlow"
    assert name_of("any", "activityTrigger") == "any"


def test_what_cannot_be_called_is_refused(app_with_names):
    with pytest.raises(ValueError, match=r"orchestrationTrigger.*activityTrigger"):
        name_of(app_with_names["flow"], "activityTrigger")
    with pytest.raises(ValueError, match="Decorate it"):
        name_of(print, "activityTrigger")
    for nothing in ("", None):
        with pytest.raises(ValueError, match="function_name cannot be empty"):
            name_of(nothing, "activityTrigger")
    with pytest.raises(ValueError, match="int"):
        name_of(5, "activityTrigger")
