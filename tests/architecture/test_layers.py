"""The import rules of .importlinter, and that the packages they speak of are those that exist."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def lint_imports(folder: Path, source: Path, config: Path) -> subprocess.CompletedProcess[str]:
    command = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(config_filename=sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(REPOSITORY / "sdks")])}
    return subprocess.run(
        [sys.executable, "-c", command, str(config)], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_every_contract_holds():
    result = lint_imports(REPOSITORY, REPOSITORY / "src", REPOSITORY / ".importlinter")

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("core/planted.py", "import perdure.contracts", "Each layer imports only the layers below it"),
        ("core/planted.py", "import asyncio", "The core is pure"),
        ("engine/planted.py", "import perdure.formats", "Engine and client know the contracts"),
        ("telemetry/planted.py", "import perdure.storage", "Each layer imports only the layers below it"),
        ("newcomer.py", "", "Each layer imports only the layers below it"),
    ],
)
def test_a_planted_breach_is_found(tmp_path, module, line, contract):
    """The rules bite: a skeleton of the tree with one wrong import fails the contract that forbids it."""
    source = tmp_path / "src"
    for package in (REPOSITORY / "src").rglob("__init__.py"):
        skeleton = source / package.relative_to(REPOSITORY / "src")
        skeleton.parent.mkdir(parents=True, exist_ok=True)
        skeleton.touch()
    for name in ("__main__", "sdks"):
        (source / "perdure" / f"{name}.py").touch()
    (source / "perdure" / module).write_text(line + "\n")

    result = lint_imports(tmp_path, source, REPOSITORY / ".importlinter")

    assert result.returncode == 1
    broken = [text for text in result.stdout.splitlines() if text.endswith("BROKEN")]
    assert any(text.startswith(contract) for text in broken), result.stdout + result.stderr


def test_each_existing_package_has_its_layer_and_no_layer_is_empty():
    config = configparser.ConfigParser()
    config.read(REPOSITORY / ".importlinter")
    layers = config["importlinter:contract:layers"]["layers"].replace("|", " ").split()
    package = REPOSITORY / "src" / "perdure"

    present = {path.stem for path in package.glob("*.py") if path.stem != "__init__"}
    present |= {path.parent.name for path in package.glob("*/__init__.py")}

    assert set(layers) == present
