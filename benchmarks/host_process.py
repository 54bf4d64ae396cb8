"""D for perdure: a real ``perdure start samples/hello_cities``, and one HTTP client as a user would be."""

import compileall
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.engines.engine import stop_server
from benchmarks.job import Figures
from benchmarks.machine import ROOT
from benchmarks.measuring import cpu_seconds, memory_mb

SAMPLE = ROOT / "samples" / "hello_cities"
START = "/api/orchestrators/hello_orchestrator"
RESULT_SECONDS_MAX = 30.0
IDLE_SECONDS = 1.0
PAUSE_SECONDS = 0.002


class HostFailed(Exception):
    """The host did not give the result; the message is what is known."""


def measure_host(folder: Path, sample: Path = SAMPLE) -> Figures:
    """From the start of the process to the first result, and its memory when it then does nothing.

    The app is compiled before, as after its first start.

    Raises HostFailed.
    """
    app = folder / "app"
    shutil.copytree(sample, app, ignore=shutil.ignore_patterns("__pycache__", ".perdure"))
    compileall.compile_dir(app, quiet=2)
    port = free_port()
    command = [sys.executable, "-m", "perdure", "start", str(app), "--port", str(port)]
    log_path = folder / "host.log"
    with log_path.open("ab") as log:
        begun = time.perf_counter()
        host = subprocess.Popen(
            command, cwd=app, env=own_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _first_result(host, port, begun + RESULT_SECONDS_MAX)
        first_result = time.perf_counter() - begun
        used = cpu_seconds([host.pid])
        time.sleep(IDLE_SECONDS)
        idle = memory_mb([host.pid])
    except HostFailed as error:
        raise HostFailed(f"{error}; its log ends: {log_path.read_text(errors='replace')[-500:]}") from error
    finally:
        stop_server(host)
    return {"first_result_s": first_result, "first_result_cpu_s": used, "idle_mb": idle}


def own_environment() -> dict[str, str]:
    """For processes that run perdure: this checkout, installed or not, and no environment of somebody else."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PERDURE_STORE")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT / "sdks")])
    return environment


def _first_result(host: "subprocess.Popen[bytes]", port: int, until: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        links = _ask(host, connection, "POST", START, until)
        path = links["statusQueryGetUri"].partition("://")[2].partition("/")[2]
        while (status := _ask(host, connection, "GET", f"/{path}", until))["runtimeStatus"] != "Completed":
            if status["runtimeStatus"] not in ("Pending", "Running"):
                raise HostFailed(f"the first orchestration ended as {status}")
            _pause(until)
    finally:
        connection.close()


def _ask(
    host: "subprocess.Popen[bytes]", connection: http.client.HTTPConnection, method: str, path: str, until: float
) -> dict[str, Any]:
    while True:
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        except OSError:
            # It does not listen yet.
            connection.close()
            if host.poll() is not None:
                raise HostFailed(f"the host ended with code {host.returncode}") from None
            _pause(until)
            continue
        if answer.status == 503:
            _pause(until)
            continue
        if answer.status not in (200, 202):
            raise HostFailed(f"{method} {path} was answered {answer.status}: {body[:200]!r}")
        parsed: dict[str, Any] = json.loads(body)
        return parsed


def _pause(until: float) -> None:
    if time.perf_counter() > until:
        raise HostFailed(f"no result in {RESULT_SECONDS_MAX} s")
    time.sleep(PAUSE_SECONDS)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
