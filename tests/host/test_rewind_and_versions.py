"""Rewind, restart and versions as an app and its operators meet them: a real host, twice, over one store."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.host_apps import write_app
from support.host_process import HostProcess, wait_until

SOURCE = """
import pathlib


@app.route(route="steer/{what}/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def steer(req: func.HttpRequest, client):
    what, instance_id = req.route_params["what"], req.route_params["id"]
    if what == "rewind":
        try:
            await client.rewind(instance_id, "mail fixed")
        except Exception as error:
            return func.HttpResponse(str(error), status_code=400)
        return func.HttpResponse(status_code=204)
    if what == "restart":
        return func.HttpResponse(await client.restart(instance_id, req.params.get("new") != "false"))
    return func.HttpResponse(await client.start_new("versions", instance_id, version=req.params["version"]))


@app.orchestration_trigger(context_name="context")
def family(context):
    mine = yield context.call_activity("step", "mine")
    theirs = yield context.call_sub_orchestrator("member", None, f"{context.instance_id}-child")
    return [mine, theirs]


@app.orchestration_trigger(context_name="context")
def member(context):
    retry = df.RetryOptions(100, 2)
    return (yield context.call_activity_with_retry("step", retry, "theirs"))


@app.activity_trigger(input_name="name")
def step(name: str) -> str:
    here = pathlib.Path(__file__).parent
    with open(here / "runs.txt", "a") as runs:
        runs.write(name + "\\n")
    if name == "theirs" and not (here / "fixed").exists():
        raise ValueError("the mail server is down")
    return name.upper()


@app.orchestration_trigger(context_name="context")
def versions(context):
    yield context.wait_for_external_event("go")
    child = yield context.call_sub_orchestrator("tells")
    return [context.version, child]


@app.orchestration_trigger(context_name="context")
def tells(context):
    return context.version
"""
MANAGEMENT = "/runtime/webhooks/durabletask"


def host_json(**durable: str) -> str:
    return json.dumps({"version": "2.0", "extensions": {"durableTask": durable}})


def links_of(host: HostProcess, instance_id: str) -> dict[str, str]:
    return {"statusQueryGetUri": f"{host.url}{MANAGEMENT}/instances/{instance_id}"}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", SOURCE, host_json=host_json(defaultVersion="1.0"))


def test_a_failed_family_goes_on_after_a_restart_of_the_host(app: Path):
    with HostProcess(app) as host:
        for name in ("by_http", "by_sdk"):
            failed = host.finished(host.start_instance(f"/api/start/family/{name}"))
            assert failed["runtimeStatus"] == "Failed"
            assert "the mail server is down" in failed["output"]
        host.kill()
        (app / "fixed").touch()
        (app / "runs.txt").unlink()
        host.start()

        assert host.http.post(f"{MANAGEMENT}/instances/by_http/rewind?reason=fixed").status_code == 202
        assert host.http.post("/api/steer/rewind/by_sdk").status_code == 204
        for name in ("by_http", "by_sdk"):
            done = host.wait_for(links_of(host, name), lambda s: s["runtimeStatus"] == "Completed", "it has completed")
            assert done["output"] == ["MINE", "THEIRS"]
            history = host.status(links_of(host, name), showHistory="true")["historyEvents"]
            assert [e["Reason"] for e in history if e["EventType"] == "ExecutionRewound"] == [
                "fixed" if name == "by_http" else "mail fixed"
            ]
        assert (app / "runs.txt").read_text().split() == ["theirs", "theirs"]

        refused = host.http.post("/api/steer/rewind/by_sdk")
        assert refused.status_code == 400
        assert "failed" in refused.text
        nobody = host.http.post("/api/steer/rewind/nobody")
        assert nobody.status_code == 400
        assert "nobody" in nobody.text

        new = host.http.post("/api/steer/restart/by_sdk").text
        assert new != "by_sdk"
        assert host.completed(links_of(host, new))["output"] == ["MINE", "THEIRS"]
        same = host.http.post("/api/steer/restart/by_sdk?new=false").text
        assert same == "by_sdk"
        host.completed(links_of(host, same))


def test_versions_from_host_json_client_and_url(app: Path):
    def raised(name: str) -> None:
        answer = host.http.post(
            f"{MANAGEMENT}/instances/{name}/raiseEvent/go", content="1", headers={"content-type": "application/json"}
        )
        assert answer.status_code == 202

    def state(name: str) -> dict[str, Any]:
        return host.status(links_of(host, name), showWaitingOn="true")

    with HostProcess(app) as host:
        for name in ("old", "ended"):
            host.start_instance(f"/api/start/versions/{name}")
        raised("ended")
        assert host.completed(links_of(host, "ended"))["output"] == ["1.0", "1.0"]
        host.stop()

        (app / "host.json").write_text(host_json(defaultVersion="2.0"))
        host.start()
        assert host.http.post("/api/steer/start/later?version=3.0").status_code == 200
        assert host.http.post(f"{MANAGEMENT}/orchestrators/versions/between?version=1.5").status_code == 202
        host.start_instance("/api/start/versions/new")
        assert host.http.post(f"{MANAGEMENT}/instances/ended/restart?restartWithNewInstanceId=false").status_code == 202
        for name in ("old", "later", "between", "new", "ended"):
            raised(name)
        for name, version in [("old", "1.0"), ("between", "1.5"), ("new", "2.0"), ("ended", "2.0")]:
            assert host.completed(links_of(host, name))["output"] == [version, "2.0"]
        assert state("later")["runtimeStatus"] == "Pending"
        assert state("later")["waitingOn"][0]["kind"] == "version"
        wait_until(lambda: "'later' is left as it is" in host.log(), "it is said", about=host.log)
        assert host.log().count("'later' is left as it is") == 1
        host.stop()

        (app / "host.json").write_text(
            host_json(defaultVersion="2.0", versionMatchStrategy="Strict", versionFailureStrategy="Fail")
        )
        host.start()
        failed = host.finished(links_of(host, "later"))
        assert failed["runtimeStatus"] == "Failed"
        assert "version '3.0'" in failed["output"]
        host.stop()

        (app / "host.json").write_text(host_json(versionMatchStrategy="None"))
        host.start()
        assert host.http.post(f"{MANAGEMENT}/instances/later/rewind").status_code == 202
        # Its event came before it failed.
        host.wait_for(links_of(host, "later"), lambda s: s["runtimeStatus"] == "Completed", "it has completed")
        assert host.completed(links_of(host, "later"))["output"] == ["3.0", None]
