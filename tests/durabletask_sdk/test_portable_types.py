"""The portable SDK's types: a strict checker infers results, and finds each mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support.host_process import REPOSITORY

PROGRAMS = Path(__file__).parent / "typed_programs"
SOURCES = [str(REPOSITORY / "src"), str(REPOSITORY / "sdks")]


def marked_lines() -> set[int]:
    text = (PROGRAMS / "bad_program.py").read_text(encoding="utf-8")
    return {number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# mistake")}


def test_pyright_strict_infers_results_and_finds_the_mistakes(tmp_path):
    config = tmp_path / "pyrightconfig.json"
    settings = {
        "include": [os.path.relpath(PROGRAMS, tmp_path)],
        "extraPaths": SOURCES,
        "typeCheckingMode": "strict",
        "reportMissingTypeStubs": False,
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "-p", str(config), "--pythonpath", sys.executable, "--outputjson"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    report = json.loads(ended.stdout)
    errors = [found for found in report["generalDiagnostics"] if found["severity"] == "error"]
    assert report["summary"]["filesAnalyzed"] == 3
    assert [found for found in errors if found["file"].endswith(("good_program.py", "scheduler_program.py"))] == []
    assert {found["range"]["start"]["line"] + 1 for found in errors} == marked_lines()
