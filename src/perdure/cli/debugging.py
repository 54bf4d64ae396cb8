"""Opening the process to a debugger before the app is imported (cli.md §3, `--debug-port`)."""

import os
import shlex
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import click

from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.output import fail
from perdure.execution.debugger import tracer

WORKER_ARGUMENTS = "languageWorkers__python__arguments"
"""The setting by which the VS Code extension asks a host's Python to listen for it."""
DEFAULT_PORT = 9091
TRIES_SECONDS = 5.0
"""A child that reloading has ended lets go of its port a moment later."""


@dataclass(frozen=True, slots=True)
class DebuggerDoor:
    """Where to listen for a debugger, and whether the app waits for it."""

    address: str
    port: int
    waits: bool


def debugger_door(port: int | None, *, waits: bool, arguments: str | None) -> DebuggerDoor | None:
    """From the options, else from what a language worker is told; None for no debugger."""
    if port is not None or waits:
        return DebuggerDoor("127.0.0.1", port or DEFAULT_PORT, waits)
    return None if arguments is None else _asked_of_worker(arguments)


def worker_arguments(environment: Mapping[str, str]) -> str | None:
    """What the environment tells a language worker."""
    return environment.get(WORKER_ARGUMENTS) or environment.get(WORKER_ARGUMENTS.replace("__", ":"))


def _asked_of_worker(arguments: str) -> DebuggerDoor | None:
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        fail(f"The arguments for the language worker, {arguments!r}, cannot be read: {error}.", USAGE)
    if "debugpy" not in words or "--listen" not in words[:-1]:
        click.echo(
            f"Note: the language worker's arguments {arguments!r} have no effect here; debugpy's have.", err=True
        )
        return None
    place = words[words.index("--listen") + 1]
    address, _, port = place.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        fail(f"--listen takes HOST:PORT or PORT, not '{place}', in the language worker's arguments.", USAGE)
    return DebuggerDoor(address or "127.0.0.1", int(port), "--wait-for-client" in words)


def open_door(door: DebuggerDoor) -> None:
    """Listen for a debugger, and wait for it if that is wanted. Ends the command when that cannot be."""
    # Its warning about frozen modules concerns breakpoints in Python's own start-up code.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    try:
        import debugpy  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        fail(
            "A debugger needs the package debugpy in the app's environment.\n"
            f"Install it with: {sys.executable} -m pip install debugpy",
            FAILURE,
        )
    deadline = time.monotonic() + TRIES_SECONDS
    while True:
        try:
            debugpy.listen((door.address, door.port))
            break
        except RuntimeError as error:
            if time.monotonic() >= deadline:
                fail(f"Cannot listen for a debugger at {door.address}:{door.port}: {error}.", FAILURE)
            time.sleep(0.2)
    if door.waits:
        click.echo(f"Waiting for a debugger at {door.address}:{door.port}. Ctrl+C stops.")
        sys.stdout.flush()
        debugpy.wait_for_client()
    else:
        click.echo(f"Listening for a debugger at {door.address}:{door.port}.")


def hold_one_thread() -> None:
    """Let a breakpoint stop the thread that comes to it, and no other.

    Stopping all is a debugger's habit; here it would stop a thread while it holds what the host needs. A debug
    configuration that says ``stopAllThreadsOnSuspend`` is obeyed.
    """
    debugger = tracer()
    if hasattr(debugger, "multi_threads_single_notification"):
        debugger.multi_threads_single_notification = False


def spare_this_thread() -> None:
    """Leave this thread out, also when the user pauses all: it runs the host, and from here on no user code."""
    threading.current_thread().pydev_do_not_trace = True  # type: ignore[attr-defined]
    debugger = tracer()
    if debugger is not None:
        debugger.disable_tracing()
