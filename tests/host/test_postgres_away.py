"""A host whose database goes away: it stays, says that it is not ready, accepts nothing, and goes on afterwards."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.postgres_cluster import Cluster

from support.commands import command
from support.host_apps import write_app
from support.host_process import HostProcess, wait_until

SOURCE = """
@app.orchestration_trigger(context_name="context")
def waits(context):
    return (yield context.wait_for_external_event("go"))
"""
MANAGEMENT = "/runtime/webhooks/durabletask"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="perdure-away-"))
    cluster = Cluster(folder)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def test_the_database_goes_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    settings = {"version": "2.0", "extensions": {"durableTask": {"hubName": "Away"}}}
    app = write_app(tmp_path / "app", SOURCE, host_json=json.dumps(settings))
    with HostProcess(app, "--store", cluster.url) as host:
        links = host.start_instance("/api/start/waits/one")
        host.awaits_event(links)
        assert host.http.get("/health").json()["ready"] is True
        cluster.stop()
        wait_until(lambda: host.http.get("/health").status_code == 503, "it is not ready", limit=10, about=host.log)
        health = host.http.get("/health")
        assert (health.json()["live"], health.headers["Retry-After"]) == (True, "1")
        assert "s3cret" not in health.text
        for refused in (
            host.http.post(f"{MANAGEMENT}/orchestrators/waits/two"),
            host.http.post(f"{MANAGEMENT}/instances/one/raiseEvent/go", json=1),
            host.http.get(f"{MANAGEMENT}/instances/one"),
        ):
            assert (refused.status_code, refused.headers.get("Retry-After")) == (503, "1"), refused.text
        state = host.http.get("/admin/host/status").json()
        assert state["hub"] is None
        assert "cannot be reached" in state["errors"][0]
        told = command("hub", "status", "--url", host.url, folder=app)
        assert (told.code, "cannot be reached" in told.err, len(told.error_lines)) == (3, True, 1), told
        assert "The hub's store cannot be used now" in host.log()
        assert host.http.post("/api/start/waits/three").status_code >= 500
        cluster.start()
        wait_until(lambda: host.http.get("/health").status_code == 200, "it is ready", limit=15, about=host.log)
        answer = host.http.post(f"{MANAGEMENT}/instances/one/raiseEvent/go", json="done")
        assert answer.status_code == 202, answer.text
        assert host.completed(links)["output"] == "done"
        assert host.http.get(f"{MANAGEMENT}/instances/two").status_code == 404
        [alone] = host.http.get("/admin/host/status").json()["hub"]["hosts"]
        assert len(alone["partitions"]) == 32
        assert "The hub's store can be used again." in host.log()
