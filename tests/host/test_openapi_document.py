"""The OpenAPI document of a running host, and schemathesis asking the host whether it is true (reliability.md §5)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.http_api.access import LEVELS, Level
from support.host_apps import write_app
from support.host_process import HostProcess

DOCUMENT = "/runtime/webhooks/durabletask/openapi.json"
SOURCE = """
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

@app.route(route="orders/{id:int}/{*rest}", methods=["GET", "PUT"])
def orders(req):
    return "order"

@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
def open_to_all(req):
    return "open"

@app.orchestration_trigger(context_name="context")
def quick(context):
    return context.get_input()
    yield

@app.orchestration_trigger(context_name="context")
def failing(context):
    raise ValueError("always")
    yield

@app.orchestration_trigger(context_name="context")
def waiting(context):
    yield context.wait_for_external_event("go")

@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state(1)
"""
CONFIG = Path(__file__).resolve().parents[1] / "support" / "schemathesis.toml"
CHANGES_THE_HOST = "^/admin/host/(restart|drain)$"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    with HostProcess(write_app(tmp_path_factory.mktemp("described"), SOURCE, head="")) as running:
        for number in range(3):
            for name in ("quick", "failing", "waiting"):
                running.http.post(f"/runtime/webhooks/durabletask/orchestrators/{name}/{name}-{number}", json=number)
        yield running


def schemathesis(url: str, *arguments: str) -> None:
    """Ask the host what its document says; every answer must be one that the document allows."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", url,
               "--no-color", "--seed", "1", *arguments]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1700, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr


def test_every_route_and_function_is_described(host: HostProcess):
    document = host.http.get(DOCUMENT).json()
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": host.url}]
    paths = document["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    base = DOCUMENT.rpartition("/")[0]
    assert {(method, path if path[0] == "/" else f"{base}/{path}") for method, path in LEVELS} <= described
    assert {("GET", "/api/orders/{id}/{rest}"), ("PUT", "/api/orders/{id}/{rest}")} <= described
    start = paths[f"{base}/orchestrators/{{name}}"]["post"]
    assert start["parameters"][0]["schema"]["enum"] == ["quick", "failing", "waiting"]
    identities = [each["operationId"] for methods in paths.values() for each in methods.values()]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize(
    ("examples", "phases"),
    [
        ("8", "fuzzing"),
        pytest.param("200", "examples,coverage,fuzzing", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_the_host_answers_as_described(host: HostProcess, examples: str, phases: str):
    schemathesis(
        f"{host.url}{DOCUMENT}", "--max-examples", examples, "--phases", phases,
        "--exclude-path-regex", CHANGES_THE_HOST,
    )  # fmt: skip
    assert "Traceback" not in host.log()


def test_no_route_forgets_to_ask_for_a_key(tmp_path: Path):
    app = write_app(tmp_path / "app", SOURCE, head="")
    with HostProcess(app, "--enableAuth") as host:
        kept = json.loads((app / ".perdure" / "hub.db.keys" / "host.json").read_text())
        key = f"x-functions-key: {kept['masterKey']['value']}"
        host.http.headers["x-functions-key"] = kept["masterKey"]["value"]
        paths = host.http.get(DOCUMENT).json()["paths"]
        keyed = [path for methods in paths.values() for path, each in methods.items() if "security" in each]
        assert len(keyed) == sum(level is not Level.ANONYMOUS for level in LEVELS.values()) + 2
        assert "security" not in paths["/api/open"]["get"]
        schemathesis(
            f"{host.url}{DOCUMENT}", "--header", key, "--max-examples", "1", "--checks", "ignored_auth",
            "--exclude-path-regex", CHANGES_THE_HOST, "--phases", "fuzzing",
        )  # fmt: skip
