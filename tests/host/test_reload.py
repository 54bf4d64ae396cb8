"""`--reload`: new code answers on the same port, a broken edit changes nothing, nobody is left behind."""

import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest

from support.host_apps import HEAD
from support.host_process import HostProcess, wait_until

APP = (
    HEAD
    + """
@app.route(route="version", methods=["GET"])
def version(req: func.HttpRequest) -> str:
    return "{version}"


@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
    return (yield context.call_activity("tell", None))


@app.activity_trigger(input_name="nothing")
def tell(nothing) -> str:
    return "{version}"


@app.orchestration_trigger(context_name="context")
def long(context):
    yield context.call_activity("sleep", None)


@app.activity_trigger(input_name="nothing")
def sleep(nothing) -> str:
    import time

    print("asleep", flush=True)
    time.sleep(60)
"""
)


def write(app: Path, version: str, then: str = "") -> None:
    # Replaced in one step, as editors do.
    new = app / "function_app.new"
    new.write_text(APP.replace("{version}", version) + then)
    new.replace(app / "function_app.py")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_text('{"version": "2.0"}')
    write(app, "one")
    return app


def answers(host: HostProcess, version: str) -> bool:
    try:
        return host.http.get("/api/version").text == version
    except httpx.TransportError:
        # A connection that was kept open ends with the process before.
        return False


def test_new_code_answers_on_the_same_port_and_goes_on_with_what_ran(app: Path):
    with HostProcess(app, "--reload") as host:
        assert answers(host, "one")
        links = host.start_instance("/api/start/waits/w")
        write(app, "two")
        wait_until(lambda: answers(host, "two"), "the new code answers", about=host.log)
        assert "function_app.py changed: restarting" in host.log()
        assert host.http.post("/runtime/webhooks/durabletask/instances/w/raiseEvent/go", json=1).status_code == 202
        assert host.completed(links)["output"] == "two"


def test_broken_edit_keeps_the_app_before_it(app: Path):
    with HostProcess(app, "--reload") as host:
        child = psutil.Process(host.pid).children()[0].pid
        write(app, "broken", "\nthis is no Python\n")
        wait_until(lambda: "cannot be loaded" in host.log(), "the edit is refused", about=host.log)
        assert "SyntaxError" in host.log()
        assert "this is no Python" in host.log()
        assert answers(host, "one")
        assert [process.pid for process in psutil.Process(host.pid).children()] == [child]
        write(app, "three")
        wait_until(lambda: answers(host, "three"), "the repaired code answers", about=host.log)


@pytest.mark.parametrize("is_busy", [False, True])
def test_killed_parent_takes_its_child_with_it(app: Path, is_busy: bool):
    with HostProcess(app, "--reload") as host:
        if is_busy:
            host.start_instance("/api/start/long/l")
            wait_until(lambda: "asleep" in host.log(), "it sleeps", about=host.log)
        children = psutil.Process(host.pid).children(recursive=True)
        assert len(children) == 1
        host.kill()
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive


def test_second_signal_reaches_the_child(app: Path):
    with HostProcess(app, "--reload") as host:
        host.start_instance("/api/start/long/l")
        wait_until(lambda: "asleep" in host.log(), "it sleeps", about=host.log)
        children = psutil.Process(host.pid).children(recursive=True)
        host.send_signal(signal.SIGINT)
        wait_until(lambda: "Stopping" in host.log(), "it stops", about=host.log)
        began = time.monotonic()
        host.send_signal(signal.SIGINT)
        assert host.ended(limit=5) != 0
        assert time.monotonic() - began < 3
        _, alive = psutil.wait_procs(children, timeout=1)
        assert not alive


def test_app_that_is_broken_from_the_start_ends_it(app: Path):
    write(app, "broken", "\nthis is no Python\n")
    host = HostProcess(app, "--reload")
    host.launch()
    try:
        assert host.ended(limit=20) == 1
        assert "SyntaxError" in host.log()
    finally:
        host.kill()
        host.http.close()
