"""User code that never returns, wherever it runs: others complete, the API answers, and the log names it (M3)."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.host_apps import write_app
from support.host_process import HostProcess, wait_until

DURABLE = "/runtime/webhooks/durabletask"
APP = """
from datetime import timedelta


@app.orchestration_trigger(context_name="context")
def ordinary(context):
    doubled = yield context.call_activity("double", context.get_input())
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=20))
    again = yield context.call_activity("double_async", doubled)
    yield context.call_entity(df.EntityId("keeper", context.instance_id), "keep", again)
    return again


@app.activity_trigger(input_name="value")
def double(value: int) -> int:
    return value * 2


@app.activity_trigger(input_name="value")
async def double_async(value: int) -> int:
    return value * 2


@app.entity_trigger(context_name="context")
def keeper(context):
    context.set_state(context.get_input())


@app.route(route="pleasant", methods=["GET"])
def pleasant(req: func.HttpRequest) -> str:
    return "def"


@app.route(route="pleasant_async", methods=["GET"])
async def pleasant_async(req: func.HttpRequest) -> str:
    return "async def"


@app.orchestration_trigger(context_name="context")
def calls(context):
    yield context.call_activity(context.get_input(), None)


@app.activity_trigger(input_name="value")
def spinning_activity(value):
    while True:
        pass


@app.activity_trigger(input_name="value")
async def spinning_async_activity(value):
    while True:
        pass


@app.route(route="spinning_http", methods=["POST"])
def spinning_http(req: func.HttpRequest) -> str:
    while True:
        pass


@app.route(route="spinning_async_http", methods=["POST"])
async def spinning_async_http(req: func.HttpRequest) -> str:
    while True:
        pass


@app.orchestration_trigger(context_name="context")
def spinning_orchestrator(context):
    while True:
        pass
    yield


@app.orchestration_trigger(context_name="context")
async def spinning_async_orchestrator(context):
    while True:
        pass


@app.entity_trigger(context_name="context")
def spinning_entity(context):
    while True:
        pass
"""
BEGIN = {
    "spinning_activity": ("/api/start/calls/stuck", "spinning_activity"),
    "spinning_async_activity": ("/api/start/calls/stuck", "spinning_async_activity"),
    "spinning_http": ("/api/spinning_http", None),
    "spinning_async_http": ("/api/spinning_async_http", None),
    "spinning_orchestrator": ("/api/start/spinning_orchestrator/stuck", None),
    "spinning_async_orchestrator": ("/api/start/spinning_async_orchestrator/stuck", None),
    "spinning_entity": (f"{DURABLE}/entities/spinning_entity/stuck?op=spin", None),
}
ALIKE = ("spinning_http", "spinning_async_orchestrator")
"""These run on the same threads as a plain activity and a plain orchestrator."""
NAMED_IN_LOG = [name for name in BEGIN if name not in ("spinning_activity", "spinning_http")]
"""A plain function that runs long keeps one thread and blocks nobody, so only the others are worth a warning."""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostProcess]:
    with HostProcess(write_app(tmp_path / "app", APP)) as host:
        yield host
        host.kill()


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in ALIKE else ()) for n in BEGIN])
def test_code_that_never_returns_stops_nobody_else(host: HostProcess, name: str):
    path, body = BEGIN[name]
    with ThreadPoolExecutor(1) as requests:
        stuck = requests.submit(host.http.post, path, json=body)
        slowest = 0.0
        began = time.monotonic()
        for number in range(20):
            started = host.http.post(f"{DURABLE}/orchestrators/ordinary/o{number}", json=number)
            assert started.status_code == 202
        while True:
            asked = time.monotonic()
            listed = host.http.get(f"{DURABLE}/instances?instanceIdPrefix=o").json()
            assert host.http.get("/admin/host/ping").status_code == 200
            slowest = max(slowest, time.monotonic() - asked)
            outputs = [instance["output"] for instance in listed if instance["runtimeStatus"] == "Completed"]
            if len(outputs) == 20 or time.monotonic() - began > 10:
                break
        took = time.monotonic() - began
        assert sorted(outputs) == [number * 4 for number in range(20)]
        for path in ("/api/pleasant", "/api/pleasant_async"):
            assert host.http.get(path).status_code == 200
        if name in NAMED_IN_LOG:
            wait_until(lambda: f"'{name}'" in host.log(), "the log names it", limit=10, about=host.log)
            assert "function_app.py" in host.log()
        assert slowest < 1
        assert took < 5
        print(f"{name}: 20 instances in {took:.1f} s, the slowest answer took {slowest:.2f} s")
        host.kill()
        stuck.exception()


def test_thread_limit_reached_by_code_that_never_returns_is_named(tmp_path: Path):
    app = write_app(tmp_path / "app", APP)
    (app / "local.settings.json").write_text(
        '{"IsEncrypted": false, "Values": {"PYTHON_THREADPOOL_THREAD_COUNT": "2"}}'
    )
    with HostProcess(app) as host:
        for number in range(2):
            host.start_instance(f"/api/start/calls/stuck-{number}", "spinning_activity")
        waiting = host.start_instance("/api/start/ordinary/waiting", 1)
        wait_until(lambda: "'spinning_activity'" in host.log(), "the log names it", limit=10, about=host.log)
        # Nothing else is held up: this one needs no thread.
        asynchronous = host.start_instance("/api/start/calls/free", "double_async")
        assert host.finished(asynchronous)["runtimeStatus"] == "Failed"  # None * 2
        assert host.status(waiting)["runtimeStatus"] == "Running"
        host.kill()
