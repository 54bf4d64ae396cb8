"""The official JavaScript SDK, worker and client, on our server; and both languages in one hub."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.commands import value_of
from support.host_process import REPOSITORY
from support.official_crew import Crew
from support.official_environments import Interpreter
from support.official_scenarios import WITH_JAVASCRIPT
from support.official_tls import SecureServer, private_authority
from support.serve_process import ServeProcess

PROGRAMS = REPOSITORY / "tests" / "official" / "javascript"
UNAVAILABLE, UNAUTHENTICATED = 14, 16
pytestmark = pytest.mark.slow


def run_node(program: str, *arguments: str, **environment: str) -> list[Any]:
    """The JSON lines that a program prints."""
    command = ["node", str(PROGRAMS / program), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def seen(server: ServeProcess, javascript: Path) -> dict[str, Any]:
    lines = run_node("play.cjs", str(javascript), f"localhost:{server.grpc_port}", "javascript")
    return {line["scenario"]: line for line in lines}


def test_nothing_is_left_out(seen: dict[str, Any]) -> None:
    assert sorted(seen) == sorted(WITH_JAVASCRIPT)


@pytest.mark.parametrize("name", WITH_JAVASCRIPT)
def test_on_our_server(seen: dict[str, Any], name: str) -> None:
    assert seen[name].get("seen") == WITH_JAVASCRIPT[name], seen[name].get("error", "")


def test_a_private_authority_and_a_token(javascript: Path, tmp_path: Path) -> None:
    root, certificate, key = private_authority(tmp_path)
    file = str(tmp_path / "tokens")
    token = value_of("token", "create", "--role", "contributor", "--token-file", file, "--json")["token"]
    options = ("--tls-cert", str(certificate), "--tls-key", str(key), "--auth", "--token-file", file)
    with SecureServer(tmp_path, root, *options) as server:
        play = ("secure.cjs", str(javascript), f"localhost:{server.grpc_port}")
        trusting = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(root)}
        assert run_node(*play, token, **trusting) == [["completed", "Hello Oslo!"]]
        assert run_node(*play, "invented", **trusting) == [["refused", UNAUTHENTICATED]]
        assert run_node(*play, token) == [["refused", UNAVAILABLE]], "nobody told it to trust that authority"


def test_javascript_orchestrates_what_python_does(
    server: ServeProcess, javascript: Path, official: Interpreter, tmp_path: Path
) -> None:
    """A worker of each language, each with filters: one's orchestrator calls the other's activity, child and entity."""
    with Crew(official, server.grpc_port, tmp_path, "both-languages") as crew:
        crew.worker("filtered")
        [line] = run_node("mixed.cjs", str(javascript), f"localhost:{server.grpc_port}", "both-languages")
        assert line == [42, 3, 5]
