"""The SDK's types: strict checkers accept an app that is right and find each mistake in one that is not."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from support.host_process import REPOSITORY

APPS = Path(__file__).parent / "typed_apps"
SOURCES = [str(REPOSITORY / "src"), str(REPOSITORY / "sdks")]


def marked_lines() -> set[int]:
    text = (APPS / "bad_app.py").read_text(encoding="utf-8")
    return {number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# mistake")}


def test_pyright_strict_finds_the_mistakes_and_nothing_else(tmp_path):
    config = tmp_path / "pyrightconfig.json"
    include = [os.path.relpath(APPS, tmp_path)]
    config.write_text(json.dumps({"include": include, "extraPaths": SOURCES}), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "-p", str(config), "--pythonpath", sys.executable, "--outputjson"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    report = json.loads(ended.stdout)
    errors = [found for found in report["generalDiagnostics"] if found["severity"] == "error"]
    in_bad_app = [found for found in errors if found["file"].endswith("bad_app.py")]
    assert report["summary"]["filesAnalyzed"] == 2
    assert [found for found in errors if found not in in_bad_app] == []
    assert {found["range"]["start"]["line"] + 1 for found in in_bad_app} == marked_lines()


def test_mypy_strict_finds_the_mistakes_and_nothing_else(tmp_path):
    options = ["--strict", "--explicit-package-bases", "--namespace-packages", "--cache-dir", str(tmp_path)]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join(SOURCES)}
    command = [sys.executable, "-m", "mypy", *options, *map(str, sorted(APPS.glob("*.py")))]

    ended = subprocess.run(command, env=environment, cwd=APPS, capture_output=True, text=True, timeout=110, check=False)

    found = {(name, int(line)) for name, line in re.findall(r"^([^:\n]+):(\d+): error:", ended.stdout, re.MULTILINE)}
    assert found == {("bad_app.py", line) for line in marked_lines()}, ended.stdout + ended.stderr
