"""F5 without an editor: a breakpoint that is held longer than functionTimeout fails nothing (cli.md §3, §4)."""

import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from perdure.cli.project.vscode import LAUNCH
from support.debug_adapter import DebugClient
from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess, checkout_environment, free_port, wait_until

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


@pytest.mark.slow
def test_f5_runs_the_app_and_debugs_it_again_after_a_change(app: Path):
    """What `perdure init --vscode` writes, with debugpy's own adapter in the place of the editor's."""
    launch, http, adapter_port = LAUNCH, free_port(), free_port()
    configuration = {
        **launch, "args": [*launch["args"], "--port", str(http)], "cwd": str(app), "console": "internalConsole",
        "python": [sys.executable], "env": {"PYTHONPATH": checkout_environment()["PYTHONPATH"]},
    }  # fmt: skip
    place = {"file": app / "function_app.py", "line": line_of(app, "return box")}
    adapter = subprocess.Popen([sys.executable, "-m", "debugpy.adapter", "--port", str(adapter_port)])
    host = HostProcess(app, port=http)
    opened = ExitStack()
    try:
        editor = opened.enter_context(closing(editor_at(adapter_port)))
        editor.launch(**place, configuration=configuration)
        child = opened.enter_context(closing(editor.attach_to_child(**place)))
        for number in range(2):
            wait_until(lambda: pings(host), "the host answers", limit=60)
            links = host.start_instance(f"/runtime/webhooks/durabletask/orchestrators/ships/f5-{number}")
            thread = child.stopped()
            assert host.status(links)["runtimeStatus"] == "Running"
            child.go_on(thread)
            assert host.completed(links)["output"] == "a box of tea"
            if number == 0:
                (app / "function_app.py").write_text((app / "function_app.py").read_text() + "\n# changed\n")
                # First the process that tries whether the changed app loads, then the one that runs it.
                opened.enter_context(closing(editor.attach_to_child(**place)))
                child = opened.enter_context(closing(editor.attach_to_child(**place)))
        editor.ask("disconnect", {"terminateDebuggee": True})
        wait_until(lambda: not pings(host), "the host has ended")
    finally:
        opened.close()
        adapter.terminate()
        adapter.wait(20)
        host.http.close()


def editor_at(port: int) -> DebugClient:
    """The adapter's one client, as soon as it listens."""
    clients: list[DebugClient] = []

    def listens() -> bool:
        with suppress(ConnectionRefusedError):
            clients.append(DebugClient(port))
        return bool(clients)

    wait_until(listens, "the adapter listens")
    return clients[0]


def pings(host: HostProcess) -> bool:
    try:
        return host.http.get("/admin/host/ping").status_code == 200
    except httpx.TransportError:
        return False


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
