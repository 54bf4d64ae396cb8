"""`--reload`: a parent that holds the port, watches the app's sources and replaces the child that runs the app.

The listening socket stays open in between, so requests wait instead of failing. A changed app is tried first:
one that cannot be loaded leaves the running one in place.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

POLL_SECONDS = 0.5
WATCHED_SUFFIXES = frozenset({".py"})
WATCHED_NAMES = frozenset({"host.json", "local.settings.json", "function.json"})
IGNORED_FOLDERS = frozenset({".perdure", ".venv", "venv", "__pycache__", "node_modules", ".git", ".python_packages"})

LISTEN_FD = "PERDURE_LISTEN_FD"
"""Environment variable: the number of the inherited listening socket."""


def watched_files(folder: Path) -> Iterator[Path]:
    """The files whose change restarts the app."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
        for name in files:
            if name in WATCHED_NAMES or Path(name).suffix in WATCHED_SUFFIXES:
                yield Path(root, name)


def snapshot(folders: Sequence[Path]) -> dict[Path, tuple[int, int]]:
    """Path → (modification time in ns, size) of every watched file."""
    seen: dict[Path, tuple[int, int]] = {}
    for folder in folders:
        for path in watched_files(folder):
            try:
                stat = path.stat()
            except OSError:
                continue
            seen[path] = (stat.st_mtime_ns, stat.st_size)
    return seen


class Reloader:
    """Runs ``command`` with the listening socket, and again whenever a watched file changes."""

    def __init__(
        self, command: Sequence[str], check: Sequence[str], folders: Sequence[Path], listen_fd: int,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._command = list(command)
        self._check = list(check)
        self._folders = folders
        self._fd = listen_fd
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None
        self._signals = 0

    def run(self) -> int:
        """Run until a signal or until the app ends by itself; returns its exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._pass_on)
        self._start()
        seen = snapshot(self._folders)
        while True:
            code = self._child_ended(POLL_SECONDS)
            if code is not None:
                return code
            now = snapshot(self._folders)
            if now == seen or self._signals:
                continue
            changed = sorted(str(p) for p in {*now.items()} ^ {*seen.items()} for p in [p[0]])
            seen = now
            if not self._loads():
                self._say("The changed app cannot be loaded; the one before it keeps running.")
                continue
            self._say(f"{changed[0]} changed: restarting.")
            self._stop()
            self._start()

    def _start(self) -> None:
        environment = {**os.environ, LISTEN_FD: str(self._fd)}
        # A group of its own: Ctrl+C at the terminal reaches the child through us, once.
        self._child = subprocess.Popen(self._command, env=environment, pass_fds=[self._fd], start_new_session=True)

    def _stop(self) -> None:
        assert self._child is not None
        self._child.send_signal(signal.SIGTERM)
        self._child.wait()

    def _loads(self) -> bool:
        return subprocess.run(self._check, stdin=subprocess.DEVNULL, check=False).returncode == 0

    def _child_ended(self, seconds: float) -> int | None:
        assert self._child is not None
        end = time.monotonic() + seconds
        while True:
            code = self._child.poll()
            left = end - time.monotonic()
            if code is not None or left <= 0:
                return code
            try:
                self._child.wait(left)
            except subprocess.TimeoutExpired:
                continue

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)


def python_command(*arguments: str) -> list[str]:
    """This interpreter running perdure."""
    return [sys.executable, "-m", "perdure", *arguments]
