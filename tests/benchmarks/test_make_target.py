"""`make bench` installs what it runs, also where nothing was installed before."""

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_new_environment_gets_the_benchmark_and_its_peers(tmp_path: Path) -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "bench", f"VENV={tmp_path / 'new'}"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert (
        planned.index('--editable ".[grpc,postgres]"')
        < planned.index("install_peers.py")
        < planned.index("-m benchmarks")
    )
