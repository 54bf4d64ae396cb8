"""A real ``perdure start`` in a process of its own, as a user runs it, and a client for what it serves."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 35.0
TERMINAL = {"Completed", "Failed", "Terminated", "Canceled"}


class HostProcess:
    """``with HostProcess(app) as host``: ready on entry; on exit stopped by SIGTERM, with exit code 0.

    ``kill`` and ``start`` may follow each other in between; the port and the store stay.
    """

    def __init__(
        self,
        app: Path,
        *arguments: str,
        python: Path | str = sys.executable,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        """``address``: where it is found; ``arguments`` say so too."""
        self.app = app
        self.port = free_port() if port is None else port
        self.url = f"http://{address}:{self.port}"
        self.log_file = app / "host.log"
        hooks = {"response": [refusals_tell_nothing_inside]}
        self.http = httpx.Client(base_url=self.url, timeout=30, event_hooks=hooks)
        self._command = [str(python), "-m", "perdure", "start", str(app), "--port", str(self.port), *arguments]
        self._environment = checkout_environment() if environment is None else dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            self.http.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        if kind is not None:
            self.kill()
        else:
            self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the host is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None

    def start(self) -> None:
        """Start and wait until it answers."""
        self.launch()
        self.wait_ready()

    def wait_ready(self, limit: float = READY_SECONDS_MAX) -> None:
        """Wait until what was launched answers."""
        wait_until(self._answers, "the host answers", limit=limit, pause=0.01, about=self.log)

    def launch(self) -> None:
        """Start it and do not wait."""
        assert self._process is None, "the host is running already"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.app, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def send_signal(self, number: int) -> None:
        assert self._process is not None, "the host is not running"
        self._process.send_signal(number)

    def ended(self, limit: float) -> int:
        """Wait until it ends by itself; returns its exit code, -N when signal N ended it."""
        assert self._process is not None, "the host is not running"
        try:
            code = self._process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the host did not end in {limit} s; its log:\n{self.log()}") from None
        self._process = None
        return code

    def kill(self) -> None:
        """End it as ``kill -9`` does. Twice-safe."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it by SIGTERM; it must exit with code 0 in time. Twice-safe."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the host did not stop in {STOP_SECONDS_MAX} s; its log:\n{self.log()}") from None
        assert code == 0, f"the host ended with code {code}; its log:\n{self.log()}"

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def _answers(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"the host ended with code {code} at its start; its log:\n{self.log()}"
        try:
            return self.http.get("/admin/host/ping").status_code == 200
        except httpx.TransportError:
            return False

    def start_instance(self, path: str, body: Any = None) -> dict[str, str]:
        """POST to one of the app's own starter functions; returns the management links."""
        answer = self.http.post(path, json=body) if body is not None else self.http.post(path)
        assert answer.status_code == 202, f"{answer.status_code}: {answer.text}\n{self.log()}"
        links: dict[str, str] = answer.json()
        assert answer.headers["Location"] == links["statusQueryGetUri"]
        return links

    def status(self, links: Mapping[str, str], **query: str) -> dict[str, Any]:
        answer = self.http.get(httpx.URL(links["statusQueryGetUri"]).copy_merge_params(query))
        assert answer.status_code in (200, 202), f"{answer.status_code}: {answer.text}"
        status: dict[str, Any] = answer.json()
        return status

    def wait_for(
        self, links: Mapping[str, str], wanted: Callable[[dict[str, Any]], bool], what: str, limit: float = 20
    ) -> dict[str, Any]:
        """Ask for the status until it is as wanted."""
        newest: dict[str, Any] = {}

        def reached() -> bool:
            newest.clear()
            newest.update(self.status(links))
            return wanted(newest)

        wait_until(reached, what, limit=limit, about=lambda: f"the newest status was {newest}\n{self.log()}")
        return newest

    def awaits_event(self, links: Mapping[str, str]) -> None:
        """Wait until the store says that the instance waits for an event: what came before is committed."""

        def awaited() -> bool:
            reasons = self.status(links, showWaitingOn="true").get("waitingOn") or []
            return any(reason["kind"] == "event" for reason in reasons)

        wait_until(awaited, "it waits for an event", about=self.log)

    def finished(self, links: Mapping[str, str], limit: float = 20) -> dict[str, Any]:
        """Wait until the instance has ended; returns its status."""
        return self.wait_for(links, lambda status: status["runtimeStatus"] in TERMINAL, "the instance has ended", limit)

    def completed(self, links: Mapping[str, str], limit: float = 20) -> dict[str, Any]:
        """Wait until the instance has completed; returns its status."""
        status = self.finished(links, limit)
        assert status["runtimeStatus"] == "Completed", f"{status}\n{self.log()}"
        return status


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def checkout_environment() -> dict[str, str]:
    """This process's environment, with the checkout's sources importable and no environment of somebody else named."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PERDURE_STORE")}
    environment["PYTHONPATH"] = str(REPOSITORY / "src")
    return environment


def refusals_tell_nothing_inside(answer: httpx.Response) -> None:
    """No error answer of the host's own routes shows a traceback, a path of the installation or of the store."""
    if answer.status_code >= 400 and answer.request.url.path.startswith(("/runtime/", "/admin/", "/health")):
        body = answer.read()
        assert not _INSIDE.search(body), body


_INSIDE = re.compile(rb'Traceback|File \\?"|site-packages|/src/perdure|sqlite:|hub\.db')


def wait_until(
    condition: Callable[[], bool],
    what: str,
    *,
    limit: float = 20,
    pause: float = 0.02,
    about: Callable[[], str] = str,
) -> None:
    """Ask until the condition holds; fails after ``limit`` seconds, saying what was awaited."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"not in {limit} s: {what}\n{about()}"
        time.sleep(pause)
