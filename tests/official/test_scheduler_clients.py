"""The scheduler's own official client and worker: other than address and credential nothing of a program changes.

Rows 5, 6, 14 and 19 of scheduler.md §9.
"""

import json
from pathlib import Path
from typing import Any

from support.commands import command, value_of
from support.host_process import wait_until
from support.official_crew import Crew
from support.official_environments import Interpreter
from support.official_play import Program
from support.official_tls import SecureServer, private_authority
from support.serve_process import ServeProcess

GREETINGS = ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
STATUS = ("durable", "get-runtime-status", "--id", "x", "--show-waiting")
NO, UNKNOWN = "PERMISSION_DENIED", "UNAUTHENTICATED"


def sample(interpreter: Interpreter, address: str, hub: str, tokens: dict[str, str]) -> Any:
    with Program(interpreter, "scheduler_sample.py", address, hub, json.dumps(tokens)) as program:
        [line] = program.rest()
    return line


def test_only_the_address_changes(tmp_path: Path, official: Interpreter) -> None:
    """A hub named as the emulator's container is told it, and the probe that its users have."""
    with ServeProcess(tmp_path, environment={"DTS_TASK_HUB_NAMES": "default,orders"}) as server:
        assert server.http.get("/health").status_code == 200
        seen = sample(official, f"http://localhost:{server.grpc_port}", "orders", {})
    assert seen == {"output": GREETINGS}


def test_a_private_authority_and_tokens(tmp_path: Path, official: Interpreter) -> None:
    root, certificate, key = private_authority(tmp_path)
    file = tmp_path / "tokens"
    tokens = {
        who: value_of("token", "create", "--role", role, *more, "--token-file", str(file), "--json")["token"]
        for who, role, *more in (
            ("client", "contributor"),
            ("worker", "worker"),
            ("reader", "reader"),
            ("stranger", "contributor", "--hub", "elsewhere"),
            ("expired", "admin", "--expires", "1s"),
        )
    }
    arguments = ("--tls-cert", str(certificate), "--tls-key", str(key), "--auth", "--token-file", str(file))
    trusting = Interpreter(official.command, [])
    trusting.environment = {**official.environment, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(root)}
    with SecureServer(tmp_path, root, *arguments) as server:
        url = f"{server.url}/runtime/webhooks/durabletask/instances"
        bearer = {"authorization": f"Bearer {tokens['expired']}"}
        wait_until(lambda: server.http.get(url, headers=bearer).status_code == 401, "one token has expired")
        address = f"https://localhost:{server.grpc_port}"
        seen = sample(trusting, address, "default", {**tokens, "invented": "x" * 40})
        # Without the authority's certificate nobody talks to anybody.
        with Program(official, "scheduler_sample.py", address, "default", json.dumps(tokens)) as program:
            wait_until(lambda: "UNAVAILABLE" in program.errors(), "the certificate is not trusted")
        log = server.log()
    assert seen == {
        "output": GREETINGS,
        "client": ["OK", "OK", "OK"],
        "worker": [NO, NO, NO],
        "reader": ["OK", NO, NO],
        "stranger": ["NOT_FOUND"] * 3,
        "expired": [UNKNOWN] * 3,
        "invented": [UNKNOWN] * 3,
    }
    assert not any(token in log for token in tokens.values())


def test_what_no_worker_takes_is_said(server: ServeProcess, official: Interpreter, tmp_path: Path) -> None:
    """At once, on the command line: that nobody is connected who has the orchestrator, or the activity."""
    with Crew(official, server.grpc_port, tmp_path, "lonely") as crew:
        crew.ask("start", "x", "calls_unknown", "far_away")
        shown = command(*STATUS, "--url", server.url, "--task-hub-name", "lonely")
        assert "no connected worker" in shown.out, shown
        crew.worker("filtered")
        crew.until(["RUNNING", "called"], "status", "x")
        shown = command(*STATUS, "--url", server.url, "--task-hub-name", "lonely")
        assert "far_away" in shown.out, shown
