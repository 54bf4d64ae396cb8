"""F5 without an editor: a breakpoint that is held longer than functionTimeout fails nothing (cli.md §3, §4)."""

import time
from pathlib import Path

import pytest

from support.debug_adapter import DebugClient
from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess, checkout_environment, free_port

APP = """
@app.orchestration_trigger(context_name="context")
def ships(context):
    packed = yield context.call_activity("pack", "tea")
    return packed


@app.activity_trigger(input_name="what")
def pack(what):
    box = f"a box of {what}"
    return box
"""
HELD_SECONDS = 1.5
HOST_JSON = '{"version": "2.0", "functionTimeout": "00:00:01"}'


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP, host_json=HOST_JSON)


def start(host: HostProcess) -> dict[str, str]:
    """Without a function of the app's: a breakpoint stops those too."""
    return host.start_instance("/runtime/webhooks/durabletask/orchestrators/ships/s1")


def line_of(app: Path, text: str) -> int:
    lines = (app / "function_app.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_breakpoint_in_an_activity_outlasts_the_function_timeout(app: Path):
    port, line = free_port(), line_of(app, "return box")
    with HostProcess(app, "--debug-port", str(port)) as host:
        assert f"Listening for a debugger at 127.0.0.1:{port}." in host.log()
        with DebugClient(port) as editor:
            editor.attach(file=app / "function_app.py", line=line)
            links = start(host)
            thread = editor.stopped()
            assert editor.line(thread) == line
            held_until = time.monotonic() + HELD_SECONDS
            # Meanwhile nothing else stands still.
            while time.monotonic() < held_until:
                assert host.status(links)["runtimeStatus"] == "Running"
            editor.go_on(thread)
            assert host.completed(links)["output"] == "a box of tea"


def test_breakpoint_in_an_orchestrator_is_held_too(app: Path):
    port = free_port()
    environment = {
        **checkout_environment(),
        "languageWorkers__python__arguments": f"-m debugpy --listen 127.0.0.1:{port}",
    }
    with HostProcess(app, environment=environment) as host, DebugClient(port) as editor:
        editor.attach(file=app / "function_app.py", line=line_of(app, "return packed"))
        links = start(host)
        thread = editor.stopped()
        held_until = time.monotonic() + HELD_SECONDS
        while time.monotonic() < held_until:
            assert host.status(links)["runtimeStatus"] == "Running"
        editor.go_on(thread)
        assert host.completed(links)["output"] == "a box of tea"
        assert "has not returned" not in host.log()


def test_app_waits_for_its_debugger(app: Path):
    port = free_port()
    host = HostProcess(app, "--debug-port", str(port), "--wait-for-debugger")
    host.launch()
    try:
        deadline = time.monotonic() + 20
        while f"Waiting for a debugger at 127.0.0.1:{port}" not in host.log():
            assert time.monotonic() < deadline, host.log()
            time.sleep(0.02)
        assert "Functions:" not in host.log()
        with DebugClient(port) as editor:
            editor.attach(file=app / "function_app.py", line=line_of(app, "return box"))
            host.wait_ready()
        host.stop()
    finally:
        host.kill()
        host.http.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--language-worker", "-m debugpy --listen nowhere"], "nowhere"),
        (["--language-worker", "-m 'debugpy"], "cannot be read"),
        (["--debug-port", "0"], "0"),
        (["--runtime", "default"], ".NET"),
        (["--dotnet-isolated-debug"], ".NET"),
    ],
)
def test_debugging_that_cannot_be(app: Path, words: list[str], says: str):
    refused = run_perdure("start", app, *words)
    assert (refused.code, says in refused.err) == (2, True), refused


def test_debugger_that_is_not_installed_is_named(app: Path, tmp_path: Path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "debugpy.py").write_text("raise ImportError('not here')\n")
    path = {"PYTHONPATH": f"{tmp_path / 'hidden'}:{checkout_environment()['PYTHONPATH']}"}
    refused = run_perdure("start", app, "--debug-port", "9091", environment=path)
    assert (refused.code, "pip install debugpy" in refused.err) == (1, True), refused
