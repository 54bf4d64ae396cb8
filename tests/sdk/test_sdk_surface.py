"""Names and import paths that users' code and the documented tests use, and the package's own decorators."""

import importlib
import json
import re
import subprocess
import sys
import textwrap

import azure.functions as func
import pytest

from azure import durable_functions as df
from azure.durable_functions.decorators import default_blueprint
from perdure.functions.app_loader import load_app
from perdure.functions.app_settings import AppSettings
from support.host_apps import write_app
from support.host_process import REPOSITORY, checkout_environment

NAMES = {
    "azure.durable_functions": """
        DFApp Blueprint Orchestrator Entity EntityId DurableOrchestrationContext DurableEntityContext EntityContext
        DurableOrchestrationClient OrchestrationRuntimeStatus RetryOptions ManagedIdentityTokenSource
        DurableFunctionsCompatibilityWarning orchestration_trigger activity_trigger entity_trigger
        durable_client_input default_blueprint DurableOrchestrationStatus PurgeHistoryResult EntityStateResponse
        DurableHttpRequest DurableHttpResponse TokenSource NonDeterministicOrchestrationException TaskFailedError
    """,
    "azure.durable_functions.models": """
        TaskBase DurableOrchestrationBindings DurableOrchestrationClient DurableOrchestrationContext
        DurableEntityContext DurableHttpRequest ManagedIdentityTokenSource OrchestratorState
        OrchestrationRuntimeStatus PurgeHistoryResult RetryOptions
    """,
    "azure.durable_functions.models.TokenSource": "ManagedIdentityTokenSource TokenSource",
    "azure.durable_functions.models.DurableOrchestrationStatus": "DurableOrchestrationStatus",
    "azure.durable_functions.models.DurableHttpRequest": "DurableHttpRequest",
    "azure.durable_functions.models.OrchestratorState": "OrchestratorState",
    "azure.durable_functions.models.Task": "TaskBase AtomicTask TimerTask LongTimerTask WhenAllTask WhenAnyTask "
    "RetryAbleTask TaskState",
    "azure.durable_functions.models.utils.entity_utils": "EntityId",
    "azure.durable_functions.decorators": "DFApp Blueprint",
    "azure.durable_functions.decorators.durable_app": "DFApp Blueprint",
    "azure.durable_functions.decorators.metadata": "OrchestrationTrigger ActivityTrigger EntityTrigger DurableClient",
    "azure.durable_functions.testing": "orchestrator_generator_wrapper",
}


@pytest.mark.parametrize(("module", "name"), [(m, name) for m, names in NAMES.items() for name in names.split()])
def test_every_import_path_has_its_names(module, name):
    assert isinstance(getattr(importlib.import_module(module), name), object)


def test_names_of_old_paths_are_the_classes_themselves():
    from azure.durable_functions.models.TokenSource import ManagedIdentityTokenSource
    from azure.durable_functions.models.utils.entity_utils import EntityId

    assert EntityId is df.EntityId
    assert ManagedIdentityTokenSource is df.ManagedIdentityTokenSource
    assert df.EntityContext is df.DurableEntityContext
    assert issubclass(df.DurableFunctionsCompatibilityWarning, UserWarning)


def test_all_names_what_there_is():
    assert set(NAMES["azure.durable_functions"].split()) <= set(df.__all__)
    assert all(hasattr(df, name) for name in df.__all__)


def test_constants_have_their_published_values():
    constants = importlib.import_module("azure.durable_functions.constants")

    assert (constants.DEFAULT_LOCAL_HOST, constants.DEFAULT_LOCAL_ORIGIN) == ("localhost:7071", "http://localhost:7071")
    assert constants.DATETIME_STRING_FORMAT == "%Y-%m-%dT%H:%M:%S.%fZ"
    assert constants.HTTP_ACTION_NAME == "BuiltIn::HttpActivity"
    triggers = (constants.ORCHESTRATION_TRIGGER, constants.ACTIVITY_TRIGGER, constants.ENTITY_TRIGGER)
    assert triggers == ("orchestrationTrigger", "activityTrigger", "entityTrigger")
    assert constants.DURABLE_CLIENT == "durableClient"


@pytest.mark.parametrize(("range_", "warns"), [("[1.*, 2.0.0)", True), ("[4.*, 5.0.0)", False)])
def test_the_first_extension_bundle_is_warned_about(tmp_path, range_, warns):
    host_json = {"version": "2.0", "extensionBundle": {"id": "x", "version": range_}}
    (tmp_path / "host.json").write_text(json.dumps(host_json), encoding="utf-8")
    environment = checkout_environment()
    environment["PYTHONPATH"] += f":{REPOSITORY / 'sdks'}"
    program = [sys.executable, "-c", "import azure.durable_functions"]

    ended = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    assert ("Extension Bundle" in ended.stderr) is warns


@pytest.fixture
def fresh_blueprint(monkeypatch):
    """What a test registers on the default blueprint stays with that test."""
    monkeypatch.setattr(df.default_blueprint, "_function_builders", [])


def bindings_of(function):
    return {b["type"]: b for b in json.loads(function.get_function_json())["bindings"]}


@pytest.mark.usefixtures("fresh_blueprint")
def test_d1_the_decorators_of_the_package_register_on_the_default_blueprint():
    @df.orchestration_trigger(context_name="context")
    def flow(context):
        return (yield context.call_activity(work, 1))

    @df.activity_trigger(input_name="n")
    def work(n):
        return n

    @df.entity_trigger(context_name="context")
    def thing(context):
        return None

    app = func.FunctionApp()
    app.register_functions(df.default_blueprint)

    assert [f.get_function_name() for f in app.get_functions()] == ["flow", "work", "thing"]
    assert df.default_blueprint is default_blueprint.default_blueprint


@pytest.mark.usefixtures("fresh_blueprint")
@pytest.mark.parametrize("new_app", [func.FunctionApp, df.DFApp])
def test_d1_the_client_input_stands_above_or_below_any_route(new_app):
    app = new_app()

    @app.route("one")
    def one(req):
        return None

    @df.durable_client_input(client_name="client")
    @app.route("above")
    async def above(req, client):
        return client

    if new_app is df.DFApp:

        @app.route("below")
        @df.durable_client_input(client_name="client")
        async def below(req, client):
            return client

    functions = {f.get_function_name(): bindings_of(f) for f in app.get_functions()}
    assert set(functions) == {"one", "above"} | ({"below"} if new_app is df.DFApp else set())
    assert "durableClient" not in functions["one"]
    assert all("durableClient" in b for name, b in functions.items() if name != "one")


APP = """
    import azure.functions as func
    from azure.durable_functions import Blueprint, orchestration_trigger, activity_trigger, durable_client_input

    app = func.FunctionApp()

    @app.route(route="start")
    @durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client):
        return client.create_check_status_response(req, await client.start_new("flow"))

    @orchestration_trigger(context_name="context")
    def flow(context):
        return (yield context.call_activity(hello, "Oslo"))

    @activity_trigger(input_name="city")
    def hello(city: str) -> str:
        return f"Hello {city}!"
"""


@pytest.mark.usefixtures("fresh_blueprint")
@pytest.mark.parametrize("registers", [True, False])
def test_d1_the_host_registers_the_default_blueprint_that_was_forgotten(tmp_path, monkeypatch, registers):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    source = textwrap.dedent(APP)
    if registers:
        source += "\nimport azure.durable_functions as df\napp.register_functions(df.default_blueprint)\n"

    app = load_app(write_app(tmp_path, source, head=""), AppSettings({}))

    assert [f.name for f in app.orchestrators] == ["flow"]
    assert [f.registered_name for f in app.activities] == ["hello"]
    assert [client.name for client in app.http[0].call.clients] == ["client"]
    hints = [warning for warning in app.warnings if re.search("default_blueprint", warning)]
    assert len(hints) == (0 if registers else 1)


def test_a_state_of_the_protocol_is_written_by_its_wire_names():
    from azure.durable_functions.models import OrchestratorState

    state = OrchestratorState(is_done=False, actions=[[{"actionType": 0}]], output=None, custom_status="half")

    assert json.loads(state.to_json_string()) == {
        "isDone": False,
        "schemaVersion": 1,
        "actions": [[{"actionType": 0}]],
        "customStatus": "half",
    }
