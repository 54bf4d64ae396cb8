"""The portable samples print what their READMEs show: in process, on a file, and against a server."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support.host_process import REPOSITORY, checkout_environment
from support.serve_process import ServeProcess

NAMES = sorted(each.name for each in (REPOSITORY / "samples").glob("portable_*"))


def shown(name: str) -> str:
    """What the first command of the sample's README prints."""
    text = (REPOSITORY / "samples" / name / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^\$ perdure run samples/{name}/app\.py\n(?P<output>.*?)^(?:\$|```)", text, re.M | re.S)
    assert found, "the README shows no run"
    return found["output"]


def assert_all_print_what_is_shown(folder: Path, words: Mapping[str, Sequence[str]]) -> None:
    """All at once: what takes long in them is waiting."""
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        for name in NAMES:
            program = REPOSITORY / "samples" / name / "app.py"
            running[name] = subprocess.Popen(
                [sys.executable, "-m", "perdure", "run", str(program), *words[name]],
                cwd=folder, env=checkout_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        for name, process in running.items():
            output, errors = process.communicate(timeout=60)
            assert (process.returncode, output) == (0, shown(name)), errors
            assert "Traceback" not in errors
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.mark.parametrize("place", ["memory", "file"])
def test_in_process(tmp_path: Path, place: str) -> None:
    words = {name: () if place == "memory" else (f"Endpoint=embedded://{tmp_path}/{name}.db",) for name in NAMES}
    assert_all_print_what_is_shown(tmp_path, words)


def test_against_a_server(tmp_path: Path) -> None:
    # Each has a hub of its own: its worker would fail what it does not know.
    with ServeProcess(tmp_path, "--hubs", ",".join(NAMES)) as server:
        address = f"Endpoint=http://localhost:{server.grpc_port};Authentication=None"
        assert_all_print_what_is_shown(tmp_path, {name: (f"{address};TaskHub={name}",) for name in NAMES})
