"""What an engine must be able to do to be measured. Runs in the peers' environments: standard library only."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

STOP_SECONDS_MAX = 15.0


def say(i: int) -> str:
    """The activity of every workload: no IO, a short string."""
    return f"Hello {i}!"


class Engine:
    """One engine on fresh state in ``folder``, with its client. All methods run on one asyncio loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[subprocess.Popen[bytes]] = []

    async def start(self) -> None:
        """Ready for work when it returns. The folder may hold the state of an earlier process."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End it and every server it started."""
        for server in reversed(self.servers):
            stop_server(server)

    async def single(self) -> None:
        """One orchestration of one activity; returns with its result."""
        raise NotImplementedError

    async def sequences(self, count: int) -> None:
        """``count`` orchestrations of five activities in a row, all started at once; returns when all are done."""
        raise NotImplementedError

    async def fan_out(self, activities: int) -> None:
        """One orchestration that runs so many activities in parallel and gathers their results."""
        raise NotImplementedError

    async def long(self, steps: int) -> Sequence[float]:
        """One orchestration of so many activities, one after another.

        Returns moments (``time.perf_counter`` of one process), evenly spread over the steps, 11 or more.
        """
        raise NotImplementedError

    async def create_waiting(self, count: int) -> None:
        """So many orchestrations; returns when each is durable and waits for the event ``go``."""
        raise NotImplementedError

    async def release_waiting(self, count: int) -> None:
        """Raise the event for those that ``create_waiting`` made, in this process or in one that was killed.

        Returns when all have completed.
        """
        raise NotImplementedError

    items_per_sequence = 0
    """Work items of one of ``sequences``, where a server hands them out; it then knows ``work_cpu_seconds``."""

    def work_cpu_seconds(self) -> tuple[float, float]:
        """Processor time that the server and the worker have used so far."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        """This process, which is client and worker, and the servers."""
        return [os.getpid(), *(server.pid for server in self.servers)]

    def versions(self) -> dict[str, str]:
        """What was measured, by name."""
        raise NotImplementedError

    def serve(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        working_folder: Path | None = None,
        user: str | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a server process that ends with the engine; its output goes to a file in the folder."""
        with (self.folder / f"server-{len(self.servers)}.log").open("ab") as log:
            server = subprocess.Popen(
                arguments,
                env=None if environment is None else {**os.environ, **environment},
                cwd=working_folder,
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.servers.append(server)
        return server


def waiting_ids(count: int) -> list[str]:
    """The ids of the waiting instances; the same in the process that finds them after a crash."""
    return [f"w{number}" for number in range(count)]


def stop_server(server: "subprocess.Popen[bytes]", by: signal.Signals = signal.SIGTERM) -> None:
    """Ask it to end; kill it when it does not."""
    if server.poll() is not None:
        return
    server.send_signal(by)
    try:
        server.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


async def at_most(width: int, call: Callable[[Any], Awaitable[Any]], arguments: Iterable[Any]) -> None:
    """Await ``call`` of each argument, ``width`` at a time."""
    left = iter(arguments)

    async def one_after_another() -> None:
        for argument in left:
            await call(argument)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(one_after_another())
