"""Official workers and a client in processes of their own, and what the workers have marked."""

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.host_process import wait_until
from support.official_environments import Interpreter
from support.official_play import Program


class Crew:
    """``with Crew(…) as crew``: a client at once, workers as they are asked for; all end with the block."""

    def __init__(self, interpreter: Interpreter, port: int, folder: Path, hub: str = "default") -> None:
        self._interpreter = Interpreter(interpreter.command, [])
        self._interpreter.environment = {**interpreter.environment, "MARKS": str(folder)}
        self._place = (f"localhost:{port}", hub)
        self._folder = folder
        self._programs = ExitStack()
        self._client: Program

    def __enter__(self) -> Self:
        self._client = self._programs.enter_context(Program(self._interpreter, "asking.py", *self._place))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._programs.close()

    def worker(self, *kind: str) -> Program:
        """A new worker; it may not be connected yet. A ``filtered`` one asks for no work but what it knows."""
        worker = self._programs.enter_context(Program(self._interpreter, "working.py", *self._place, *kind))
        assert worker.line() == "started"
        return worker

    def ask(self, *call: Any) -> Any:
        """Let the client do something; its answer."""
        answer = self.try_to(*call)
        assert "answer" in answer, f"{call}: {answer}"
        return answer["answer"]

    def try_to(self, *call: Any) -> dict[str, Any]:
        """Let the client do something; its answer, or the ``code`` and ``text`` of a refusal."""
        self._client.say(json.dumps(call))
        answer: dict[str, Any] = self._client.line()
        return answer

    def until(self, wanted: Any, *call: Any, limit: float = 20) -> None:
        """Ask again until the answer is as wanted."""
        wait_until(lambda: self.ask(*call) == wanted, f"{call} gives {wanted}", limit=limit)

    def marks(self) -> list[tuple[int, str]]:
        """Who ran what: process ids and texts, in order."""
        file = self._folder / "marks"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(pid), text) for pid, _, text in (line.partition(" ") for line in lines)]

    def until_marked(self, text: str, times: int = 1, limit: float = 20) -> None:
        def marked() -> bool:
            return [mark for _, mark in self.marks()].count(text) >= times

        wait_until(marked, f"'{text}' is marked {times} times", limit=limit)

    def let_go(self) -> None:
        """What is stuck goes on."""
        (self._folder / "go").touch()
