"""The portable program where the official package is installed too: ours by `perdure run`, theirs by python."""

import subprocess
from pathlib import Path

import pytest

from support.host_process import REPOSITORY
from support.pip_environment import PipEnvironment, pip

PROGRAM = REPOSITORY / "tests" / "user_documents" / "apps" / "portable" / "app.py"
OFFICIAL = "durabletask-azuremanaged"
SAYS = "Shipping order order-123\nResult: {'success': True, 'payment_id': 'payment-order-123'}\n"


@pytest.fixture(scope="module")
def wheelhouse_with_official(wheelhouse: Path, wheel: Path) -> Path:
    pip("download", "--quiet", "--only-binary", ":all:", "--dest", wheelhouse, wheel, OFFICIAL)
    return wheelhouse


def run(environment: PipEnvironment, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    text = PROGRAM.read_text().replace("your-connection-string", "Endpoint=embedded://;TaskHub=default")
    (folder / "app.py").write_text(text)
    return subprocess.run(
        [environment.python, *words, "app.py"],
        cwd=folder, env=environment.environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_without_the_official_package_plain_python_will_do(tmp_path: Path, wheelhouse_with_official: Path) -> None:
    environment = PipEnvironment(tmp_path / "environment", wheelhouse_with_official)
    environment.install("perdure")
    assert not environment.installed() & {"grpcio", "protobuf", "durabletask"}
    ended = run(environment, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, SAYS), ended.stderr


def test_with_it_perdure_run_puts_ours_first(tmp_path: Path, wheelhouse_with_official: Path) -> None:
    environment = PipEnvironment(tmp_path / "environment", wheelhouse_with_official)
    environment.install(OFFICIAL, "perdure")
    ended = run(environment, tmp_path, "-m", "perdure", "run")
    assert (ended.returncode, ended.stdout) == (0, SAYS), ended.stderr
    plain = run(environment, tmp_path)
    assert plain.returncode == 1, "the official package has no connection strings"
    assert "ImportError" in plain.stderr
    assert environment.run("import durabletask; print('perdure_sdks' in durabletask.__file__)") == "False"
    assert not environment.changed_files()
