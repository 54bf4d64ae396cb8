"""Strict type checkers accept every sample, but those that are published quickstarts letter for letter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.host_process import REPOSITORY

SAMPLES = REPOSITORY / "samples"
SOURCES = [str(REPOSITORY / "src"), str(REPOSITORY / "sdks")]
AS_PUBLISHED = {"hello_cities", "portable_order"}
IMPORTING_THEIR_OWN_MODULES = {"blueprint_quickstart"}


def sample_names() -> list[str]:
    apps = (each for each in SAMPLES.iterdir() if (each / "host.json").exists() or each.name.startswith("portable_"))
    return sorted(each.name for each in apps if each.name not in AS_PUBLISHED)


def sources_of(sample: str) -> list[Path]:
    return [path for path in sorted((SAMPLES / sample).rglob("*.py")) if not path.name.startswith("test_")]


def test_pyright_strict_accepts_the_samples(tmp_path):
    roots = {name: os.path.relpath(SAMPLES / name, tmp_path) for name in sample_names()}
    sources = [os.path.relpath(path, tmp_path) for name in roots for path in sources_of(name)]
    config = {
        "include": sources,
        "typeCheckingMode": "strict",
        "executionEnvironments": [{"root": root, "extraPaths": SOURCES} for root in roots.values()],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "-p", str(tmp_path), "--pythonpath", sys.executable, "--outputjson"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)

    report = json.loads(ended.stdout)
    assert report["summary"]["filesAnalyzed"] == len(sources)
    assert [f"{found['file']}: {found['message']}" for found in report["generalDiagnostics"]] == []


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True])
def test_mypy_strict_accepts_the_samples(tmp_path_factory, apart):
    """Those that import modules of their own folder are checked from there, the others all at once."""
    names = [name for name in sample_names() if (name in IMPORTING_THEIR_OWN_MODULES) == apart]
    folder = SAMPLES / names[0] if apart else SAMPLES
    cache = tmp_path_factory.getbasetemp() / "mypy_cache"
    options = ["--strict", "--explicit-package-bases", "--namespace-packages", "--cache-dir", str(cache)]
    sources = [os.path.relpath(path, folder) for name in names for path in sources_of(name)]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join(SOURCES)}

    ended = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *sources],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
