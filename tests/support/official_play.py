"""Programs of clients and workers in processes of their own, and the lines of JSON they print."""

import json
import subprocess
import threading
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.official_environments import PROGRAMS, Interpreter


class Program:
    """``with Program(…) as program``: runs until the end of the block, then is killed; ``lines`` as they come."""

    def __init__(self, interpreter: Interpreter, name: str, *arguments: str) -> None:
        self._command = [*interpreter.command, str(PROGRAMS / name), *arguments]
        self._environment = interpreter.environment
        self._errors: list[str] = []
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Read all the while: a full pipe would stop the program.
        self._reading = threading.Thread(target=self._read_errors, daemon=True)
        self._reading.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def line(self) -> Any:
        """The next line that it prints."""
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        assert text, f"{self._command} ended with code {self._process.wait(10)}:\n{self.errors()}"
        return json.loads(text)

    def rest(self, limit: float = 110) -> list[Any]:
        """Wait for its end; the lines that were not read yet."""
        assert self._process.stdout is not None
        timer = threading.Timer(limit, self._process.kill)
        timer.start()
        lines = [json.loads(text) for text in self._process.stdout]
        timer.cancel()
        code = self._process.wait(10)
        assert code == 0, f"{self._command} ended with code {code}:\n{self.errors()}"
        return lines

    def say(self, line: str) -> None:
        """Write a line to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self, limit: float = 40) -> None:
        """Ask it to end, by SIGTERM, and wait until it has. Its exit code is its own affair."""
        self._process.terminate()
        self._process.wait(limit)
        self.kill()

    def kill(self) -> None:
        """End it as ``kill -9`` does. Twice-safe."""
        self._process.kill()
        self._process.wait()
        self._reading.join(10)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    # What was said last was read by nobody.
                    continue

    def errors(self) -> str:
        return "".join(self._errors)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for text in self._process.stderr:
            self._errors.append(text)


def scenarios_of(path: Path, marks: tuple[str, ...]) -> list[str]:
    """The names of the scenarios in a folder of programs that bear one of the marks."""
    names = []
    for file in sorted(path.glob("*.py")):
        lines = file.read_text().splitlines()
        names += [
            following.removeprefix("def ").partition("(")[0] for line, following in pairwise(lines) if line in marks
        ]
    return names
