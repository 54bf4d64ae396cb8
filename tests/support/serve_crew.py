"""Two servers on one hub in PostgreSQL, a worker at each that has half of the functions, orders that need both."""

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from support.host_process import wait_until
from support.ledgers import Fault, lost_leases, read_ledger, repeats
from support.official_environments import Interpreter
from support.official_play import Program
from support.postgres_hub import PostgresHub
from support.serve_process import ServeProcess

HALVES = ("caller", "called")
"""The worker of each server."""
STEPS = ("first", "spread0", "spread1", "spread2", "last")
ANSWER_SECONDS_MAX = 90
PAUSE_SECONDS = 0.15


@dataclass
class ServeCrew:
    """``with ServeCrew(folder, url, interpreter) as crew``: servers and workers run; orders are sent ``under_way``."""

    folder: Path
    url: str
    interpreter: Interpreter
    lease_seconds: float = 2.0
    hub: str = field(default_factory=lambda: f"s{uuid4().hex[:12]}")
    servers: list[ServeProcess] = field(default_factory=list[ServeProcess])
    workers: list[Program] = field(default_factory=list[Program])
    faults: list[Fault] = field(default_factory=list[Fault])
    orders: list[str] = field(default_factory=list[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    _ends: ExitStack = field(default_factory=ExitStack)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            for number in range(len(HALVES)):
                place = self.folder / f"server{number}"
                place.mkdir()
                environment = {"PERDURE_LEASE_SECONDS": str(self.lease_seconds)}
                server = ServeProcess(place, "--store", self.url, "--hubs", self.hub, environment=environment)
                self.servers.append(ends.enter_context(server))
            for number in range(len(HALVES)):
                self.workers.append(self._worker(number, ends))
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._ends:
            if isinstance(error, AssertionError):
                PostgresHub(self.url, self.hub).keep(self.folder / "hub")

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def about(self) -> str:
        """For a failure: the end of each server's log and what each worker wrote."""
        logs = "\n".join(f"--- {server.app.name}\n{server.log()[-3000:]}" for server in self.servers)
        return logs + "\n".join(f"--- {worker.pid}\n{worker.errors()[-2000:]}" for worker in self.workers)

    # What is done to it

    @contextmanager
    def fault(self, what: str, pids: Collection[int] | None = None) -> Iterator[None]:
        """What is done within is a fault, to what ran in these workers or to all."""
        begun = time.monotonic()
        yield
        self.faults.append(Fault(what, begun, time.monotonic(), None if pids is None else frozenset(pids)))

    def kill_server(self, number: int) -> None:
        with self.fault("server killed", [self.workers[number].pid]):
            self.servers[number].kill()

    def stop_server(self, number: int) -> None:
        with self.fault("server stopped", [self.workers[number].pid]):
            self.servers[number].send_signal(signal.SIGTERM)
            assert self.servers[number].ended(limit=40) == 0, self.servers[number].log()

    def start_server(self, number: int) -> None:
        with self.fault("move"):
            self.servers[number].start()

    def kill_worker(self, number: int) -> None:
        with self.fault("worker killed", [self.workers[number].pid]):
            self.workers[number].kill()

    def stop_worker(self, number: int) -> None:
        with self.fault("worker stopped", [self.workers[number].pid]):
            self.workers[number].end()

    def start_worker(self, number: int) -> None:
        """In the place of one that was killed or stopped."""
        self.workers[number] = self._worker(number, self._ends)

    @contextmanager
    def substitute(self, number: int) -> Iterator[None]:
        """Meanwhile one more worker of the server's half, at the other server."""
        with ExitStack() as ends:
            program = self._worker(number, ends, at=1 - number)
            yield
            with self.fault("worker stopped", [program.pid]):
                program.end()

    def _worker(self, number: int, ends: ExitStack, at: int | None = None) -> Program:
        program = ends.enter_context(self._program("ledgered.py", number if at is None else at, HALVES[number]))
        assert program.line() == "started"
        return program

    def _program(self, name: str, number: int, *arguments: str) -> Program:
        interpreter = Interpreter(self.interpreter.command, [])
        interpreter.environment = {**self.interpreter.environment, "LEDGER": str(self.ledger)}
        return Program(interpreter, name, f"localhost:{self.servers[number].grpc_port}", self.hub, *arguments)

    # Orders

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Clients of both servers send orders meanwhile; what a server does not answer is sent to it again."""
        with ThreadPoolExecutor(len(HALVES)) as pool:
            streams = [pool.submit(self._keep_ordering, number) for number in range(len(HALVES))]
            try:
                yield
            finally:
                self._over.set()
            for stream in streams:
                stream.result()

    def _keep_ordering(self, server: int) -> None:
        with self._program("asking.py", server) as client:
            while not self._over.wait(PAUSE_SECONDS):
                self.order(client)

    def order(self, client: Program) -> str:
        """Send one; its id."""
        with self._lock:
            number = len(self.orders)
            self.orders.append(f"order-{number:05}")
        answer = said(client, "start", self.orders[number], "order", number)
        if "answer" not in answer:
            self.refused[f"{answer['code']}: {answer['text']}"] += 1
        return self.orders[number]

    def goes_on(self, limit: float, *, through: int = 0) -> float:
        """Seconds until orders have ended, in whatever partitions, that a client of this server sends now."""
        began = time.monotonic()
        with self._program("asking.py", through) as client:
            sent = {self.order(client) for _ in range(4)}
            wait_until(lambda: sent <= self.completed(), f"{sent} end", limit=limit, pause=0.1, about=self.about)
        return time.monotonic() - began

    def completed(self) -> set[str]:
        """Orders whose row says so."""
        rows = PostgresHub(self.url, self.hub).ask("select id from hub.instance where status = 1 and name = 'order'")
        return {row["id"] for row in rows}

    def check(self, limit: float = 90) -> str:
        """Nothing lost, nothing doubled; gives the figures in one line. Everything runs, all faults are over."""
        assert not self.refused, self.refused
        wait_until(lambda: self.completed() == {*self.orders}, "all have ended", limit=limit, about=self.about)
        counts: dict[int, list[int]] = {}
        with self._program("asking.py", 1) as client:
            for number, order in enumerate(self.orders):
                *rest, count = said(client, "output", order)["answer"]
                twice = (number + 1) * 2
                assert rest == [number + 1, [number + 2, number + 3, number + 4], twice, twice + 1], (order, rest)
                counts.setdefault(number % 5, []).append(count)
            for group, told in counts.items():
                assert sorted(told) == [*range(1, len(told) + 1)], f"asked-{group}: {sorted(told)}"
                for key in (f"told-{group}", f"asked-{group}"):
                    held = said(client, "entity", "shelf", key)["answer"]
                    assert held == len(told), f"{key} is {held}, not {len(told)}"
        keys = [f"{order}/{step}" for order in self.orders for step in STEPS]
        keys += [f"{order}:leg/leg" for order in self.orders]
        runs = read_ledger(self.ledger.read_text(encoding="utf-8"))
        faults = [*self.faults, *(lost for server in self.servers for lost in lost_leases(server.log()))]
        again = repeats(runs, keys, faults, lease_seconds=self.lease_seconds)
        PostgresHub(self.url, self.hub).verify()
        done = Counter(fault.what for fault in faults)
        return f"{len(self.orders)} orders; {dict(done)}; activities run again next to {dict(again)} of {len(keys)}"


def said(client: Program, *call: Any) -> dict[str, Any]:
    """What the client answers."""
    client.say(json.dumps(call))
    answer: dict[str, Any] = client.line()
    return answer
