"""When an app may run on the installed package, and what is said when it may not."""

import json
import os
import socket
from pathlib import Path

import pytest

from support.host_apps import run_perdure, write_app
from support.host_process import REPOSITORY, HostProcess, free_port

HELLO = """
@app.orchestration_trigger(context_name="context")
def hello(context):
    return (yield context.call_activity("say", context.get_input()))


@app.activity_trigger(input_name="name")
def say(name: str) -> str:
    return f"Hello {name}"
"""


def site(folder: Path, version: str) -> str:
    """A path that holds the metadata of an official package, and no package."""
    metadata = folder / f"azure_functions_durable-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: azure-functions-durable\nVersion: {version}\n", encoding="utf-8")
    return os.pathsep.join([str(REPOSITORY / "src"), str(folder)])


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", HELLO)


def refused(app: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    ended = run_perdure("start", app, "--port", str(free_port()), *arguments, environment=environment)
    assert ended.code == 1, ended.err
    assert "Traceback" not in ended.err
    return " ".join(ended.err.split())


def test_without_the_official_package(app):
    said = refused(app, "--sdk", "installed")
    assert "--sdk installed needs the official azure-functions-durable" in said
    assert 'pip install "azure-functions-durable<2"' in said


def test_the_second_generation(app, tmp_path):
    said = refused(app, "--sdk", "installed", environment={"PYTHONPATH": site(tmp_path / "site", "2.0.0b1")})
    assert "2.0.0b1 is installed, and from 2.0 on it speaks another protocol" in said


def test_ours_first_on_the_path(app, tmp_path):
    said = refused(app, "--sdk", "installed", environment={"PYTHONPATH": site(tmp_path / "site", "1.7.0")})
    assert "finds perdure's own package first" in said


def test_an_endpoint_switched_off(tmp_path, official_environment):
    host_json = {"version": "2.0", "extensions": {"durableTask": {"localRpcEndpointEnabled": False}}}
    app = write_app(tmp_path / "app", HELLO, host_json=json.dumps(host_json))
    said = refused(app, "--sdk", "installed", environment=official_environment)
    assert "Remove 'localRpcEndpointEnabled' under extensions.durableTask" in said


def test_an_unknown_choice(app):
    ended = run_perdure("start", app, environment={"PERDURE_SDK": "theirs"})
    assert ended.code == 2
    assert "PERDURE_SDK is 'ours' or 'installed', not 'theirs'." in ended.err


def test_the_setting_chooses_and_a_taken_port_is_no_hindrance(app, official_environment):
    environment = {**official_environment, "PERDURE_SDK": "installed"}
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 17071))
            taken.listen()
        except OSError:
            pass  # somebody else has it: as good
        with HostProcess(app, environment=environment) as host:
            links = host.start_instance("/api/start/hello/h1", "you")
            assert host.completed(links)["output"] == "Hello you"
            assert "runs as a guest of perdure" in host.log()


def test_an_app_that_asks_for_the_endpoint_has_one(tmp_path):
    """Ours beside it: clients of the official package in another process may look for it."""
    show_binding = """
@app.route(route="binding")
@app.generic_input_binding(arg_name="client", type="durableClient")
def binding(req: func.HttpRequest, client: str) -> str:
    return client
"""
    host_json = {"version": "2.0", "extensions": {"durableTask": {"localRpcEndpointEnabled": True}}}
    app = write_app(tmp_path / "app", HELLO + show_binding, host_json=json.dumps(host_json))
    with HostProcess(app) as host:
        base = host.http.get("/api/binding").json()["rpcBaseUrl"]
        assert base.startswith("http://127.0.0.1:")
        assert base.endswith("/durabletask/")
        started = host.http.post(f"{base}orchestrators/hello", json='"you"')
        assert started.status_code == 202, started.text
        management = f"{host.url}/runtime/webhooks/durabletask/instances/{started.json()['id']}"
        assert host.completed({"statusQueryGetUri": management})["output"] == "Hello you"
