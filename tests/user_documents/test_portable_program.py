"""The overview's portable program, letter for letter but for its placeholder: in process, and against a server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.host_process import checkout_environment
from support.serve_process import ServeProcess

PROGRAM = Path(__file__).parent / "apps" / "portable" / "app.py"
PLACEHOLDER = "your-connection-string"
SAYS = "Shipping order order-123\nResult: {'success': True, 'payment_id': 'payment-order-123'}\n"


def run(folder: Path, connection_string: str, *words: str) -> str:
    source = PROGRAM.read_text()
    assert source.count(PLACEHOLDER) == 1
    (folder / "app.py").write_text(source.replace(PLACEHOLDER, connection_string))
    ended = subprocess.run(
        [sys.executable, *words, "app.py"],
        cwd=folder, env=checkout_environment() | {"PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "never awaited" not in ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("place", "words"),
    [("embedded://", ()), ("Endpoint=embedded://;TaskHub=default", ("-m", "perdure", "run"))],
    ids=["python", "perdure run"],
)
def test_in_process(tmp_path: Path, place: str, words: tuple[str, ...]) -> None:
    assert run(tmp_path, place, *words) == SAYS


def test_in_process_on_a_file(tmp_path: Path) -> None:
    place = f"Endpoint=embedded://{tmp_path}/state.db;TaskHub=orders"
    assert run(tmp_path, place) == SAYS
    assert run(tmp_path, place) == SAYS


def test_against_a_server(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with ServeProcess(folder, "--store", str(folder / "hub.db")) as server:
        address = f"http://localhost:{server.grpc_port}"
        assert run(tmp_path, address) == SAYS
        assert run(tmp_path, f"Endpoint={address};TaskHub=default;Authentication=None") == SAYS
