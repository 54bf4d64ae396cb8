"""`perdure run`: a program runs as python runs it, with our SDK in front."""

import os
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(SOURCES / "src")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "perdure", "run", *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_program_gets_its_arguments_folder_and_name(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "beside.py").write_text("value = 3\n")
    (tmp_path / "app" / "main.py").write_text(
        "import sys, beside, durabletask\n"
        "print(__name__, __file__, sys.argv, beside.value, durabletask.__file__)\n"
        "sys.exit(7)\n"
    )
    ended = run(tmp_path, "app/main.py", "--json", "-m", "x", "--no-color")
    assert ended.returncode == 7, ended.stderr
    name, file, rest = ended.stdout.split(" ", 2)
    assert (name, file) == ("__main__", "app/main.py")
    assert rest.startswith("['app/main.py', '--json', '-m', 'x', '--no-color'] 3 ")
    assert rest.strip().endswith(str(SOURCES / "sdks" / "durabletask" / "__init__.py"))


def test_a_module_is_run_by_name(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text("import sys; print(sys.argv[1:], __package__)\n")
    (tmp_path / "package" / "__init__.py").write_text("")
    ended = run(tmp_path, "-m", "package", "one", "--two")
    assert (ended.returncode, ended.stdout) == (0, "['one', '--two'] package\n"), ended.stderr


def test_an_error_is_the_programs_own_traceback(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def fail():\n    raise ValueError('mine')\n\nfail()\n")
    ended = run(tmp_path, "main.py")
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[1].strip().startswith('File "main.py", line 4')
    assert lines[-1] == "ValueError: mine"
    assert "runpy" not in ended.stderr


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    ended = run(tmp_path, "absent.py")
    assert ended.returncode == 2
    assert "There is no program absent.py." in ended.stderr
    ended = run(tmp_path)
    assert ended.returncode == 2
    assert "perdure run app.py" in ended.stderr


def test_an_environment_without_perdure_is_told_how_to_get_it(tmp_path: Path) -> None:
    import venv

    venv.create(tmp_path / ".venv", with_pip=False)
    (tmp_path / "main.py").write_text("print(1)\n")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES / "nothing")}
    ended = subprocess.run(
        [sys.executable, "-m", "perdure", "run", "main.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "-m pip install perdure" in ended.stderr
