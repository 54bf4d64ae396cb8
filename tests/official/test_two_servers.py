"""Two servers on one PostgreSQL hub, each with a worker that has only half of the functions; either may be killed."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from support.official_environments import Interpreter
from support.official_play import Program
from support.postgres_server import shared_server
from support.serve_process import ServeProcess

LEASE_SECONDS = 2
ORDERS = 8


class Two:
    """The servers, and their workers."""

    def __init__(self, interpreter: Interpreter, folder: Path, ends: ExitStack) -> None:
        self.hub = f"o{uuid4().hex[:12]}"
        self.servers: list[ServeProcess] = []
        self._interpreter = interpreter
        self._ends = ends
        for number in range(2):
            place = folder / f"server{number}"
            place.mkdir()
            server = ServeProcess(
                place, "--store", shared_server(), "--hubs", self.hub,
                environment={"PERDURE_LEASE_SECONDS": str(LEASE_SECONDS)},
            )  # fmt: skip
            self.servers.append(ends.enter_context(server))

    def worker(self, server: ServeProcess, half: str) -> Program:
        worker = self._ends.enter_context(self._program("parted.py", server, half))
        assert worker.line() == "started"
        return worker

    def client(self, server: ServeProcess) -> Program:
        return self._ends.enter_context(self._program("asking.py", server))

    def _program(self, name: str, server: ServeProcess, *arguments: str) -> Program:
        return Program(self._interpreter, name, f"localhost:{server.grpc_port}", self.hub, *arguments)


@pytest.fixture
def two(official: Interpreter, tmp_path: Path) -> Iterator[Two]:
    with ExitStack() as ends:
        yield Two(official, tmp_path, ends)


def ask(client: Program, *call: object) -> object:
    client.say(json.dumps(call))
    answer = client.line()
    assert "answer" in answer, f"{call}: {answer}"
    return answer["answer"]


def expected(number: int) -> list[object]:
    return [f"packed {number}", f"billed, packed {number}", number + 1, 5]


def test_each_half_calls_the_other(two: Two) -> None:
    for server, half in zip(two.servers, ("caller", "called"), strict=True):
        two.worker(server, half)
    clients = [two.client(server) for server in two.servers]
    begun = time.monotonic()
    for number in range(ORDERS):
        ask(clients[number % 2], "start", f"order{number}", "order", number)
    for number in range(ORDERS):
        assert ask(clients[1 - number % 2], "output", f"order{number}") == expected(number)
    # Pushed all the way: each order has six steps, and a lost hint would cost a second.
    assert time.monotonic() - begun < 15


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_either_server_may_be_killed(two: Two, victim: int) -> None:
    halves = ("caller", "called")
    for server, half in zip(two.servers, halves, strict=True):
        two.worker(server, half)
    left = two.servers[1 - victim]
    client, lost = two.client(left), two.client(two.servers[victim])
    for number in range(ORDERS):
        ask((client, lost)[number % 2], "start", f"order{number}", "order", number)
    time.sleep(0.3)
    two.servers[victim].kill()
    two.worker(left, halves[victim])
    for number in range(ORDERS):
        assert ask(client, "output", f"order{number}") == expected(number)
    two.servers[victim].start()
