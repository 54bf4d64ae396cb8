"""Activities in processes of their own: texts there and back, ends of all kinds, and no process left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perdure.core.registry import ActivityCall
from perdure.execution.worker_processes import ActivityFailed, WorkerProcesses
from support.host_process import checkout_environment, wait_until

CHILD = """
import os, socket, sys, threading, time
from pathlib import Path
from perdure.core.registry import ActivityDefinition, Registry
from perdure.execution.worker_side import end_with_host, serve

def crash(call):
    if call.input is not None:
        Path(call.input).write_text("running")
        time.sleep(0.2)
    os._exit(3)

def segfault(call):
    os.kill(os.getpid(), 11)
    time.sleep(20)  # another thread may be the one that dies of it

def fail(call):
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("bad \\udc80 input") from error

def slow(call):
    with open(call.input, "a") as file:
        file.write(f"begun {os.getpid()}\\n")
    while not os.path.exists(call.input + ".go"):
        time.sleep(0.01)
    return "slow"

def hold(call):
    while True:
        time.sleep(0.05)

end_with_host()
registry = Registry()
for run in (crash, segfault, fail, slow, hold):
    registry.add_activity(ActivityDefinition(run.__name__, run))
registry.add_activity(ActivityDefinition("echo", lambda call: call.input))
registry.add_activity(ActivityDefinition("pid", lambda call: str(os.getpid())))
registry.add_activity(ActivityDefinition("exits", lambda call: sys.exit(4)))
serve(socket.socket(fileno=int(sys.argv[1])), registry, 4)
"""

Workers = Callable[..., WorkerProcesses]


def command(connection: int) -> list[str]:
    return [sys.executable, "-c", CHILD, str(connection)]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setenv("PYTHONPATH", checkout_environment()["PYTHONPATH"])
    started: list[WorkerProcesses] = []

    def start(count: int = 1, seconds_max: float | None = 20) -> WorkerProcesses:
        processes = WorkerProcesses(command, count, seconds_max=seconds_max)
        started.append(processes)
        processes.start()
        return processes

    yield start
    for processes in started:
        processes.stop()
        processes.stop()


def call(processes: WorkerProcesses, name: str, input: str | None = None) -> str | None:
    return processes.call(ActivityCall("order-1", 0, name, input))


def failure(processes: WorkerProcesses, name: str, input: str | None = None) -> tuple[str, str]:
    with pytest.raises(ActivityFailed) as failed:
        call(processes, name, input)
    details = failed.value.failure_details
    return details.error_type, details.message


def test_texts_go_there_and_back(workers: Workers):
    processes = workers()
    big = "é\ud800" * 400_000
    assert [call(processes, "echo", text) for text in ('"a"', None, big)] == ['"a"', None, big]
    assert int(call(processes, "pid") or 0) != os.getpid()


def test_failures_keep_type_message_stack_and_cause(workers: Workers):
    with pytest.raises(ActivityFailed) as failed:
        call(workers(), "fail")
    details = failed.value.failure_details
    assert (details.error_type, details.message) == ("ValueError", "bad \\udc80 input")
    assert details.stack_trace
    assert details.cause is not None
    assert details.cause.error_type == "KeyError"


def test_calls_are_spread(workers: Workers, tmp_path: Path):
    processes = workers(2)
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(call, processes, "slow", str(tmp_path / "a"))
        wait_until(lambda: _text(tmp_path / "a").endswith("\n"), "the first runs")
        busy = _text(tmp_path / "a").split()[1]
        wait_until(lambda: call(processes, "pid") != busy, "the other process is ready")
        pids = {call(processes, "pid") for _ in range(5)}
        (tmp_path / "a.go").touch()
        assert waiting.result(10) == "slow"
    assert len(pids) == 1
    assert busy not in pids


@pytest.mark.parametrize(("name", "how"), [("crash", "exit code 3"), ("segfault", "signal SIGSEGV")])
def test_a_process_that_ends_fails_its_activity_and_is_replaced(workers: Workers, name: str, how: str):
    processes = workers()
    before = call(processes, "pid")
    kind, message = failure(processes, name)
    assert kind == "WorkerProcessEnded"
    assert message == f"Activity '{name}' failed: its worker process ended ({how}) while it ran."
    assert call(processes, "pid") != before


def test_exits_in_python_end_no_process(workers: Workers):
    processes = workers()
    before = call(processes, "pid")
    assert failure(processes, "exits")[0] == "SystemExit"
    assert call(processes, "pid") == before


def test_what_ran_beside_the_culprit_runs_again(workers: Workers, tmp_path: Path):
    processes = workers(1)
    slow = tmp_path / "slow"
    with ThreadPoolExecutor(2) as threads:
        innocent = threads.submit(call, processes, "slow", str(slow))
        wait_until(slow.exists, "the innocent runs")
        guilty = threads.submit(failure, processes, "crash", str(tmp_path / "crash"))
        wait_until(lambda: slow.read_text().count("begun") == 2, "the innocent runs again")
        (tmp_path / "slow.go").touch()
        assert innocent.result(10) == "slow"
        assert guilty.result(10)[0] == "WorkerProcessEnded"


def test_what_takes_too_long_fails_and_its_process_ends(workers: Workers):
    processes = workers(seconds_max=0.5)
    before = call(processes, "pid")
    kind, message = failure(processes, "hold")
    assert kind == "TimeoutError"
    assert "functionTimeout" in message
    assert call(processes, "pid") != before


def test_a_process_that_never_gets_ready_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("perdure.execution.worker_processes.RESTART_SECONDS", 0.01)
    processes = WorkerProcesses(lambda connection: [sys.executable, "-c", "raise SystemExit(1)"], 1)
    processes.start()
    assert "none could be started" in failure(processes, "echo")[1]
    processes.stop()


def test_interrupts_do_not_end_a_process(workers: Workers):
    processes = workers()
    pid = int(call(processes, "pid") or 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    assert call(processes, "pid") == str(pid)


HOST = """
import sys
from perdure.core.registry import ActivityCall
from perdure.execution.worker_processes import WorkerProcesses
processes = WorkerProcesses(lambda n: [sys.executable, "-c", sys.argv[1], str(n)], 2)
processes.start()
print(processes.call(ActivityCall("i", 0, "pid", None)), flush=True)
processes.call(ActivityCall("i", 0, "hold", None))
"""


def test_no_process_outlives_a_killed_host():
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, CHILD], stdout=subprocess.PIPE, env=checkout_environment(), text=True
    )
    assert host.stdout is not None
    with host, host.stdout:
        pid = int(host.stdout.readline())
        host.kill()
        began = time.monotonic()
        wait_until(lambda: not _is_alive(pid), "the worker process ends", limit=5)
        assert time.monotonic() - began < 5


def test_stopping_ends_the_processes(workers: Workers):
    processes = workers(2)
    pid = int(call(processes, "pid") or 0)
    assert _is_alive(pid)
    processes.stop()
    assert not _is_alive(pid)
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("perdure-worker") and _stays(thread)
    ]


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _stays(thread: threading.Thread) -> bool:
    thread.join(5)
    return thread.is_alive()


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")
