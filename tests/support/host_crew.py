"""Several real hosts on one hub in PostgreSQL, and what a test does to them."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import asyncpg

from perdure.core.partitions import partition_of
from support.host_process import REPOSITORY, HostProcess, checkout_environment, wait_until
from support.ledgers import Fault
from support.postgres_hub import PostgresHub
from support.proxy_thread import ProxyThread

LEDGER_APP = REPOSITORY / "tests" / "support" / "ledger_app"
PARTITIONS = 32
READY_SECONDS_MAX = 120.0
"""Several start at once, beside what others left them to do."""
DURABLE = "/runtime/webhooks/durabletask"


@dataclass
class HostCrew:
    """``with HostCrew(folder, url) as crew``: all ready and the partitions shared on entry, stopped on exit.

    With ``proxied`` each reaches the database through ``proxies`` of its own.
    """

    folder: Path
    url: str
    count: int = 3
    app: Path = LEDGER_APP
    lease_seconds: float = 10.0
    proxied: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    hub: str = field(default_factory=lambda: f"h{uuid4().hex[:12]}")
    hosts: list[HostProcess] = field(default_factory=list[HostProcess])
    proxies: list[ProxyThread] = field(default_factory=list[ProxyThread])
    faults: list[Fault] = field(default_factory=list[Fault])
    _ends: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        try:
            for number in range(self.count):
                self.hosts.append(self._made(number))
            for host in self.hosts:
                host.launch()
            for host in self.hosts:
                host.wait_ready(READY_SECONDS_MAX)
            self.wait_shared()
        except BaseException:
            self.kill_all()
            self._ends.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                for host in self.hosts:
                    host.stop()
            elif isinstance(error, AssertionError):
                PostgresHub(self.url, self.hub).keep(self.folder / "hub")
        finally:
            self.kill_all()
            self._ends.close()

    @property
    def ledger(self) -> Path:
        """Where the activities of the ledger app are written down."""
        return self.folder / "ledger"

    def kill_all(self) -> None:
        for host in self.hosts:
            host.kill()
            host.http.close()

    def host_environment(self) -> dict[str, str]:
        """What each host gets."""
        return {
            **checkout_environment(),
            "LEDGER": str(self.ledger),
            "PERDURE_LEASE_SECONDS": str(self.lease_seconds),
            "AzureFunctionsJobHost__extensions__durableTask__hubName": self.hub,
            **self.environment,
        }

    def place(self, number: int) -> Path:
        """A copy of the app, as on a machine of its own."""
        place = self.folder / f"host{number}"
        shutil.copytree(self.app, place, ignore=shutil.ignore_patterns(".perdure", "__pycache__", "host.log"))
        return place

    def store_of(self, number: int) -> str:
        """The URL that this host is given."""
        if not self.proxied:
            return self.url
        proxy = self._ends.enter_context(ProxyThread(self.url))
        self.proxies.append(proxy)
        return proxy.url

    def _made(self, number: int) -> HostProcess:
        return HostProcess(
            self.place(number), "--store", self.store_of(number), environment=self.host_environment()
        )  # fmt: skip

    # What the hub says

    def ask(self, text: str, *arguments: Any) -> list[Any]:
        """Rows of the database; "hub." stands for the schema."""
        return PostgresHub(self.url, self.hub).ask(text, *arguments)

    def owners(self) -> dict[int, set[int]]:
        """Process id → the partitions it holds by a lease that is not over."""
        return PostgresHub(self.url, self.hub).owners()

    def shared_by(self, hosts: Collection[HostProcess]) -> bool:
        """Whether these hold all partitions, evenly."""
        owners = self.owners()
        sizes = sorted(len(partitions) for partitions in owners.values())
        even = sorted(PARTITIONS // len(hosts) + (n < PARTITIONS % len(hosts)) for n in range(len(hosts)))
        return owners.keys() == {host.pid for host in hosts} and sizes == even

    def wait_shared(self, hosts: Collection[HostProcess] | None = None, limit: float | None = None) -> float:
        """Until the partitions are shared evenly by all, or by these; gives the seconds it took.

        What is under way in a partition that moves meanwhile may run again where it goes.
        """
        hosts = self.hosts if hosts is None else hosts
        began = time.monotonic()
        limit = 3 * self.lease_seconds + 5 if limit is None else limit
        with self.fault("move"):
            wait_until(lambda: self.shared_by(hosts), "the partitions are shared", limit=limit, about=self.about)
        return time.monotonic() - began

    def about(self) -> str:
        """For a failure: who holds what, and the end of each log."""
        try:
            owners: Any = {pid: len(partitions) for pid, partitions in self.owners().items()}
        except (OSError, asyncpg.PostgresError) as error:
            owners = error
        logs = "\n".join(f"--- {host.app.name}\n{host.log()[-3000:]}" for host in self.hosts)
        return f"{owners}\n{logs}"

    def verify(self) -> None:
        """The store must be sound, and nobody waits for what will never come."""
        PostgresHub(self.url, self.hub).verify()

    # What is done to it

    @contextmanager
    def fault(self, what: str, hosts: Collection[HostProcess] | None = None) -> Iterator[None]:
        """What is done within is a fault, to these or to all."""
        pids = None if hosts is None else frozenset(host.pid for host in hosts)
        begun = time.monotonic()
        yield
        self.faults.append(Fault(what, begun, time.monotonic(), pids))

    def kill(self, host: HostProcess) -> None:
        with self.fault("kill", [host]):
            host.kill()

    def stop(self, host: HostProcess) -> None:
        with self.fault("stop", [host]):
            host.stop()

    def join(self, environment: Mapping[str, str]) -> HostProcess:
        """One more host, with this in its environment."""
        number = len(self.hosts)
        host = HostProcess(
            self.place(number), "--store", self.store_of(number), environment={**self.host_environment(), **environment}
        )
        self.hosts.append(host)
        self.start(host)
        return host

    @contextmanager
    def stopping(self, host: HostProcess) -> Iterator[None]:
        """From the signal on; at the end it must have ended."""
        with self.fault("stop", [host]):
            host.send_signal(signal.SIGTERM)
            yield
            assert host.ended(limit=35) == 0, host.log()

    def start(self, *hosts: HostProcess) -> None:
        """Others give partitions to who joins: an activity under way runs again there."""
        with self.fault("move"):
            for host in hosts:
                host.launch()
            for host in hosts:
                host.wait_ready(READY_SECONDS_MAX)

    def pause(self, host: HostProcess, seconds: float) -> None:
        """As a machine that sleeps."""
        with self.fault("pause", [host]):
            host.send_signal(signal.SIGSTOP)
            time.sleep(seconds)  # the pause is what is tested
            host.send_signal(signal.SIGCONT)

    # Probes: how long until somebody goes on with what one host had

    def probe(self, host: HostProcess, count: int = 8) -> list[str]:
        """Instances that wait for an event, in partitions of this host."""
        partitions = self.owners()[host.pid]
        ids = [name for name in (f"p{uuid4().hex[:10]}" for _ in range(2000)) if partition_of(name, 32) in partitions]
        probes = ids[:count]
        for name in probes:
            host.start_instance(f"/api/start/waits/{name}", 1)
        for name in probes:
            wait_until(lambda name=name: self.status(host, name) == "Running", "it waits", about=self.about)
        return probes

    def taken_over(self, probes: list[str], through: HostProcess, limit: float) -> float:
        """Send each its event through a host; seconds until the last has completed."""
        began = time.monotonic()
        for name in probes:
            answer = through.http.post(f"{DURABLE}/instances/{name}/raiseEvent/go", json=1)
            assert answer.status_code == 202, (answer.status_code, answer.text)
        wait_until(
            lambda: all(self.status(through, name) == "Completed" for name in probes),
            "another host has gone on with it",
            limit=limit,
            about=self.about,
        )
        return time.monotonic() - began

    def status(self, host: HostProcess, instance_id: str) -> str:
        """Of an instance, as a host sees it; its HTTP status when it tells none."""
        answer = host.http.get(f"{DURABLE}/instances/{instance_id}")
        return answer.json()["runtimeStatus"] if answer.status_code in (200, 202) else str(answer.status_code)


def answers_again(host: HostProcess, limit: float, about: Callable[[], str]) -> float:
    """Seconds until a host takes a start."""
    began = time.monotonic()

    def taken() -> bool:
        return host.http.post(f"/api/start/waits/again-{uuid4().hex[:10]}", json=1).status_code == 202

    wait_until(taken, "starts are taken again", limit=limit, pause=0.1, about=about)
    return time.monotonic() - began


def check_is_root(what: str) -> None:
    """Fails, and says so, where the system does not let a test do what it needs to."""
    assert os.geteuid() == 0, f"This test needs root: {what}. Run `make faults` as root, for instance in a container."
