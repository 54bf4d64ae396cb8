"""The admin endpoints of a running host: functions, runs by hand, keys, drain and restart."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.host_apps import write_app
from support.host_process import HostProcess, wait_until

SOURCE = """
import pathlib
import threading
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
gate = threading.Event()

@app.route(route="hello/{who?}", methods=["GET", "POST"])
def hello(req):
    return "hello"

@app.route(route="let_go")
def let_go(req):
    gate.set()
    return "gone"

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def yearly(timer):
    pathlib.Path("yearly.ran").touch()

@app.queue_trigger(arg_name="msg", queue_name="q", connection="AzureWebJobsStorage")
def from_queue(msg: func.QueueMessage):
    pathlib.Path("queue.ran").write_text(msg.get_body().decode())

@app.orchestration_trigger(context_name="context")
def two_steps(context):
    first = yield context.call_activity("step", "a")
    second = yield context.call_activity("step", "b")
    return [first, second]

@app.activity_trigger(input_name="name")
def step(name):
    pathlib.Path(f"{name}.began").touch()
    gate.wait(60)
    return name
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(tmp_path_factory.mktemp("administered"), SOURCE, head="")


@pytest.fixture(scope="module")
def host(app: Path) -> Iterator[HostProcess]:
    with HostProcess(app, "--enableAuth") as running:
        kept = json.loads((app / ".perdure" / "hub.db.keys" / "host.json").read_text())
        running.http.headers["x-functions-key"] = kept["masterKey"]["value"]
        yield running


def test_functions_are_described(host: HostProcess):
    functions = {each["name"]: each for each in host.http.get("/admin/functions").json()}
    assert list(functions) == ["from_queue", "hello", "let_go", "step", "two_steps", "yearly"]
    assert functions["hello"]["invoke_url_template"] == f"{host.url}/api/hello/{{who?}}"
    assert functions["hello"]["config"]["bindings"] == [
        {"type": "httpTrigger", "direction": "in", "route": "hello/{who?}", "methods": ["get", "post"],
         "authLevel": "function"}
    ]  # fmt: skip
    assert functions["yearly"]["config"]["bindings"][0]["schedule"] == "0 0 0 1 1 *"
    assert functions["from_queue"]["config"]["bindings"][0]["type"] == "queueTrigger"
    assert host.http.get("/admin/functions/YEARLY").json() == functions["yearly"]
    assert host.http.get("/admin/functions/hello/status").json() == {"errors": []}
    assert host.http.get("/admin/functions/nothing").status_code == 404
    assert host.http.get("/admin/functions/nothing/status").status_code == 404


def test_any_function_runs_by_hand(host: HostProcess, app: Path):
    assert host.http.post("/admin/functions/yearly", json={"input": ""}).status_code == 202
    wait_until((app / "yearly.ran").exists, "the timer function ran", about=host.log)
    assert host.http.post("/admin/functions/from_queue", json={"input": "a message"}).status_code == 202
    wait_until((app / "queue.ran").exists, "the queue function ran", about=host.log)
    assert (app / "queue.ran").read_text() == "a message"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nothing", '{"input": ""}', 404), ("yearly", "", 400), ("yearly", "{", 400), ("yearly", "[]", 400),
        ("yearly", "{}", 400), ("two_steps", '{"input": ""}', 400),
    ],
)  # fmt: skip
def test_a_run_by_hand_that_cannot_be(host: HostProcess, path: str, body: str, status: int):
    assert host.http.post(f"/admin/functions/{path}", content=body).status_code == status


def test_the_state_of_the_host(host: HostProcess):
    status = host.http.get("/admin/host/status").json()
    assert status["state"] == "Running"
    assert status["processUptime"] >= 0
    assert status["errors"] == []
    assert {"id", "version", "versionDetails", "instanceId", "computerName", "extensionBundle"} <= set(status)


@pytest.mark.parametrize(
    ("area", "opens"),
    [("functions/hello/keys", "/api/hello"), ("host/functionkeys", "/api/hello"),
     ("host/systemkeys", None), ("host/keys", "/api/hello")],
)  # fmt: skip
def test_keys_are_made_changed_and_deleted(host: HostProcess, area: str, opens: str | None):
    def answer(key: str) -> int:
        return host.http.get("/api/hello", headers={"x-functions-key": key}).status_code

    made = host.http.post(f"/admin/{area}/partner").json()
    assert made["name"] == "partner"
    assert made["links"] == [{"rel": "self", "href": f"{host.url}/admin/{area}/partner"}]
    assert answer(made["value"]) == (200 if opens else 401)
    assert host.http.get(f"/admin/{area}/partner").json()["value"] == made["value"]
    assert {"name": "partner", "value": made["value"]} in host.http.get(f"/admin/{area}").json()["keys"]
    changed = host.http.put(f"/admin/{area}/partner", json={"name": "partner", "value": "chosen"})
    assert changed.json()["value"] == "chosen"
    assert (answer(made["value"]), answer("chosen")) == (401, 200 if opens else 401)
    assert host.http.put(f"/admin/{area}/partner", json={"value": "with space"}).status_code == 400
    assert host.http.put(f"/admin/{area}/partner", json={"value": 1}).status_code == 400
    assert host.http.put(f"/admin/{area}/a%20b", json={"value": "x"}).status_code == 400
    assert host.http.delete(f"/admin/{area}/partner").status_code == 204
    assert host.http.delete(f"/admin/{area}/partner").status_code == 404
    assert answer("chosen") == 401


def test_the_master_key_is_shown_and_stays(host: HostProcess):
    master = host.http.headers["x-functions-key"]
    assert {"name": "master", "value": master} in host.http.get("/admin/host/keys").json()["keys"]
    assert master not in host.http.get("/admin/host/functionkeys").text
    assert host.http.get("/admin/host/keys/_master").json()["value"] == master
    assert host.http.delete("/admin/host/keys/_master").status_code == 400
    assert host.http.get("/admin/host/nothing").status_code == 404
    assert host.http.get("/admin/functions/nothing/keys").status_code == 404


def test_a_new_system_key_is_in_the_next_links(host: HostProcess):
    host.http.put("/admin/host/systemkeys/durabletask_extension", json={"value": "renewed"})
    links = host.http.post("/runtime/webhooks/durabletask/orchestrators/nothing-of-this-name")
    assert links.status_code == 400
    begun = host.http.post("/runtime/webhooks/durabletask/orchestrators/two_steps/renewed-links").json()
    assert begun["statusQueryGetUri"].endswith("code=renewed")
    host.http.post(begun["terminatePostUri"].replace("{text}", "enough"))


def test_a_drained_host_begins_nothing_and_a_restarted_one_goes_on(host: HostProcess, app: Path):
    pid = host.pid
    links = host.http.post("/runtime/webhooks/durabletask/orchestrators/two_steps/drained").json()
    wait_until((app / "a.began").exists, "the first activity runs", about=host.log)
    assert host.http.post("/admin/host/drain").status_code == 202
    assert host.http.get("/admin/host/drain/status").json() == {"state": "InProgress"}
    assert host.http.get("/api/let_go").text == "gone"
    wait_until(
        lambda: host.http.get("/admin/host/drain/status").json() == {"state": "Completed"}, "drained", about=host.log
    )
    assert not (app / "b.began").exists()
    assert host.http.get("/api/hello").text == "hello"

    before = host.http.get("/admin/host/status").json()["instanceId"]
    assert host.http.post("/admin/host/restart").status_code == 200
    wait_until(
        lambda: host.http.get("/admin/host/status").json()["instanceId"] != before, "started again", about=host.log
    )
    assert host.pid == pid
    assert host.http.get("/admin/host/drain/status").json() == {"state": "Disabled"}
    host.http.get("/api/let_go")
    assert host.finished(links)["output"] == ["a", "b"]
