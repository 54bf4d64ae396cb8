"""What importing costs the process that imports."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def modules_after(statement: str) -> set[str]:
    """The modules that the statement brings into a fresh interpreter."""
    program = (
        f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_importing_perdure_imports_nothing_else():
    assert modules_after("import perdure") == {"perdure"}


def test_choosing_the_sdk_needs_only_the_standard_library():
    modules = modules_after("import perdure.sdks")

    assert {name for name in modules if name.split(".")[0] not in sys.stdlib_module_names} == {
        "perdure",
        "perdure.sdks",
    }


def test_the_core_brings_no_io():
    """Whatever the core's own dependencies import, it opens no door to a database, a socket or a server."""
    names = " , ".join(
        "perdure." + ".".join(path.relative_to(REPOSITORY / "src" / "perdure").with_suffix("").parts)
        for path in (REPOSITORY / "src" / "perdure" / "core").rglob("*.py")
        if path.stem != "__init__"
    )

    modules = modules_after(f"import {names}")

    assert not modules & {"asyncio", "sqlite3", "socket", "starlette", "uvicorn", "azure"}


def test_a_plain_start_does_not_pay_for_what_it_may_never_use():
    """What the host stands on, before the app is imported; the app's imports are its own."""
    modules = modules_after("import perdure.cli.main, perdure.cli.start_command, perdure.cli.running")

    libraries = {"azure.identity", "cryptography", "debugpy", "httpx", "opentelemetry", "rich"}
    ours = {
        "perdure.cli.doors",
        "perdure.core.replay.outside_code",
        "perdure.http_api.operations",
        "perdure.host.worker_main",
        "durabletask",
    }
    assert not modules & (libraries | ours)
