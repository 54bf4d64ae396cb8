"""`verify`, `backup` and `hub`: the store as a whole, closed or held by a host, with and without keys."""

import json
import os
import stat
from pathlib import Path

import httpx
import pytest

from support.commands import command, value_of
from support.host_apps import write_app
from support.host_process import HostProcess

APP = """
@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def ids_in(store: Path) -> list[str]:
    page = value_of("durable", "get-instances", "--store", f"sqlite:{store}", "--json", folder=store.parent)
    return [row["OrchestrationInstance"]["InstanceId"] for row in page["instances"]]


def test_backup_and_verify_through_a_running_host(app: Path, tmp_path: Path):
    copy = tmp_path / "copy.db"
    with HostProcess(app) as host:
        host.start_instance("/api/start/waits/w1")
        said = command("backup", copy, folder=app)
        assert (said.code, said.out) == (0, f"Copied {copy.stat().st_size:,} bytes to {copy}\n")
        host.start_instance("/api/start/waits/w2")
        assert command("verify", "--liveness", folder=app).out == "The store is sound.\n"
        assert value_of("verify", app, "--json") == []
        assert value_of("hub", "list", "--json", folder=app)[0]["host"] == f"http://localhost:{host.port}"
        assert value_of("hub", "list", "--url", host.url, "--json")[0]["taskHub"] == "TestHubName"
        dropped = command("hub", "drop", "--yes", folder=app)
        assert (dropped.code, f"process {host.pid}" in dropped.err) == (3, True)
        assert [name for name in os.listdir(app / ".perdure") if name.startswith(".backup")] == []
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert ids_in(copy) == ["w1"]
    assert command("verify", "--store", f"sqlite:{copy}", folder=app).out == "The store is sound.\n"


def test_backup_of_a_closed_store(app: Path, tmp_path: Path):
    command("durable", "start-new", "--function-name", "waits", "--id", "early", folder=app)
    copied = value_of("backup", tmp_path / "copy.db", "--json", folder=app)
    assert copied["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert ids_in(tmp_path / "copy.db") == ["early"]
    again = command("backup", tmp_path / "copy.db", folder=app)
    assert (again.code, "exists" in again.err) == (1, True)
    assert command("backup", tmp_path / "no" / "folder.db", folder=app).code in (1, 3)
    assert command("backup", tmp_path, folder=app).out.endswith("hub.db\n")


def test_backup_of_nothing(app: Path, tmp_path: Path):
    refused = command("backup", tmp_path / "copy.db", folder=app)
    assert (refused.code, "There is no store" in refused.err) == (3, True)
    assert not (tmp_path / "copy.db").exists()


def test_hub_is_listed_and_dropped(app: Path):
    assert command("hub", "list", folder=app).out == "There is no task hub yet.\n"
    command("durable", "start-new", "--function-name", "waits", folder=app)
    listed = value_of("hub", "list", "--json", folder=app)
    assert [(hub["taskHub"], hub["host"]) for hub in listed] == [("TestHubName", None)]
    assert "TestHubName" in command("hub", "list", folder=app).out
    assert command("hub", "drop", "Elsewhere", "--yes", folder=app).code == 3
    assert command("hub", "drop", "--url", "http://localhost:7071", "--yes", folder=app).code == 2
    assert command("hub", "drop", "TestHubName", "--yes", folder=app).code == 0
    assert value_of("hub", "list", "--json", folder=app) == []


def test_keys_are_read_from_the_store_or_given(app: Path, tmp_path: Path):
    with HostProcess(app, "--enableAuth") as host:
        assert host.http.get("/admin/perdure/instances").status_code == 401
        started = command("durable", "start-new", "--function-name", "waits", "--id", "kept", folder=app)
        assert started.code == 0, started
        refused = command("durable", "get-instances", "--url", host.url, folder=tmp_path)
        assert (refused.code, "--code" in refused.err) == (1, True)
        keys = json.loads((app / ".perdure" / "hub.db.keys" / "host.json").read_text())
        system, master = keys["systemKeys"][0]["value"], keys["masterKey"]["value"]
        for key in (system, master):
            page = value_of("durable", "get-instances", "--url", host.url, "--code", key, "--json", folder=tmp_path)
            assert len(page["instances"]) == 1
        # What the management API would not tell, only the master key opens.
        assert command("verify", "--url", host.url, "--code", system).code == 1
        assert command("verify", "--url", host.url, "--code", master).code == 0
        assert command("backup", tmp_path / "copy.db", folder=app).code == 0


def test_host_on_an_address_of_its_own_is_found(app: Path):
    host = HostProcess(app, "--host", "127.0.0.2")
    host.http.close()
    host.http = httpx.Client(base_url=f"http://127.0.0.2:{host.port}")
    with host:
        assert value_of("durable", "get-instances", "--json", folder=app) == {
            "instances": [],
            "continuationToken": None,
        }
