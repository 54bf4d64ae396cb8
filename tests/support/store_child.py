"""Run as a program: what another process does with a store. ``python store_child.py JOB PATH [ARGUMENT]``"""

import asyncio
import os
import signal
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

from perdure.contracts.errors import StoreInUse
from perdure.core import events as ev
from perdure.core.checkpoint import NewActivity
from perdure.core.status import RuntimeStatus
from support.sqlite_store import opened
from support.store_stage import Stage
from support.stored_instances import creation, episode, later, raised, timer

KILLED = 42
FINISHED = 0


class Mortal(sqlite3.Connection):
    """Dies at a given statement, as by SIGKILL: nothing is cleaned up."""

    left = 1 << 60

    def cursor(self, *arguments: Any) -> Any:
        return super().cursor(MortalCursor)


class MortalCursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> Any:
        Mortal.left -= 1
        if Mortal.left <= 0:
            os._exit(KILLED)
        return super().execute(sql, *parameters)


async def workload(path: Path, acknowledge: Any) -> None:
    """Starts, steps, ends; ``acknowledge`` is told what the store has promised."""
    async with opened(path, Mortal) as stage:
        await stage.create(creation("unheld"))
        acknowledge("unheld")
        await stage.hold()
        acknowledge("held")
        for n in range(3):
            await _steps(stage, f"i{n}", acknowledge)
        assert await stage.storage.purge(["i0"]) == 1
        acknowledge("purged i0")
        client = stage.sending(raised("i1", "late"))
        await asyncio.sleep(0)
        await stage.storage.release([stage.lease])
        await client
        acknowledge("late")


async def _steps(stage: Stage, name: str, acknowledge: Any) -> None:
    first = await stage.begin(
        creation(name),
        [ev.TaskScheduled(0, "work")],
        activities=[NewActivity(2, 0, "work")],
        outbox=[raised(f"{name}x")],
    )
    acknowledge(f"{name} 0")
    second = episode(first, events=[ev.EventRaised("e", str(first.origin.number))], children=[creation(f"{name}c")])
    await stage.commit(second)
    acknowledge(f"{name} 1")
    await stage.commit(episode(second, status=RuntimeStatus.Completed), kept=[timer(first, 3, later(5))])
    acknowledge(f"{name} 2")


def _tell(pipe: int, what: str) -> None:
    os.write(pipe, f"{what},".encode())


def die_at_each(folder: Path, first: int, last: int) -> None:
    """One forked process a point; prints how each ended and what it had acknowledged."""
    for point in range(first, last):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            Mortal.left = point
            asyncio.run(workload(folder / f"{point}.db", partial(_tell, writing)))
            os._exit(FINISHED)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            acknowledged = pipe.read()
        _, status = os.waitpid(child, 0)
        print(point, os.waitstatus_to_exitcode(status), acknowledged, sep=";", flush=True)


async def hold(path: Path, url: str) -> None:
    """Hold the store until somebody kills this process; with a URL, tell it."""
    async with opened(path) as stage:
        if url:
            stage.storage.name_url(url)  # type: ignore[attr-defined]
        print(os.getpid(), flush=True)
        await asyncio.Event().wait()


async def leave_child(path: Path) -> None:
    """Hold the store and fork a child that lives on; the child's pid is printed."""
    async with opened(path):
        child = os.fork()
        if child == 0:
            # Printed here: what is done in a child after a fork is done by now.
            print(os.getpid(), flush=True)
            signal.pause()
        os._exit(KILLED)


async def migrate(path: Path) -> None:
    async with opened(path, Mortal):
        pass


def migrate_dying(folder: Path, first: int, last: int) -> None:
    for point in range(first, last):
        child = os.fork()
        if child == 0:
            Mortal.left = point
            asyncio.run(migrate(folder / f"{point}.db"))
            os._exit(FINISHED)
        _, status = os.waitpid(child, 0)
        print(point, os.waitstatus_to_exitcode(status), sep=";", flush=True)


async def race(path: Path) -> None:
    """Open, say so, and close when a line comes."""
    try:
        async with opened(path, lock_seconds_max=0.0):
            print("held", flush=True)
            sys.stdin.readline()
    except StoreInUse as error:
        print(f"in use by {error.pid}", flush=True)


if __name__ == "__main__":
    job, path, rest = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    if job == "die_at_each":
        die_at_each(path, int(rest[0]), int(rest[1]))
    elif job == "migrate_dying":
        migrate_dying(path, int(rest[0]), int(rest[1]))
    elif job == "hold":
        asyncio.run(hold(path, rest[0] if rest else ""))
    elif job == "leave_child":
        asyncio.run(leave_child(path))
    elif job == "race":
        asyncio.run(race(path))
