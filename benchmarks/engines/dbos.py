"""DBOS Transact, in this process, with its default settings: synchronous workflows and steps on its threads."""

import asyncio
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from dbos import DBOS, SetWorkflowID

from benchmarks.engines.engine import Engine, at_most, say, waiting_ids
from benchmarks.engines.postgres import Postgres

SENDERS = 200
_moments: list[float] = []


@DBOS.step()
def activity(i: int) -> str:
    """The activity."""
    return say(i)


@DBOS.step()
def timed_activity(i: int) -> str:
    """The activity of E."""
    _moments.append(time.perf_counter())
    return say(i)


@DBOS.workflow()
def sequence(activities: int) -> str:
    """Activities in a row."""
    last = ""
    for i in range(activities):
        last = activity(i)
    return last


@DBOS.workflow()
def long(steps: int) -> str:
    """Many activities in a row."""
    last = ""
    for i in range(steps):
        last = timed_activity(i)
    return last


@DBOS.workflow()
async def fan_out(activities: int) -> int:
    """Activities in parallel: only the asynchronous interface has that."""
    return len(await asyncio.gather(*(async_activity(i) for i in range(activities))))


@DBOS.step()
async def async_activity(i: int) -> str:
    """The activity of B."""
    return say(i)


@DBOS.workflow()
async def wait() -> Any:
    """Wait for the event."""
    return await DBOS.recv_async("go", timeout_seconds=3600)


class Dbos(Engine):
    """The parts that do not depend on the database. Waiting for a thread blocks the loop, which has nothing else."""

    def url(self) -> str:
        """Where the state is kept."""
        raise NotImplementedError

    async def start(self) -> None:
        DBOS(
            config={
                "name": "bench",
                "system_database_url": self.url(),
                "log_level": "ERROR",
                "application_version": "1",
                "enable_otlp": False,
            }
        )
        DBOS.launch()

    async def stop(self) -> None:
        DBOS.destroy()
        await super().stop()

    async def single(self) -> None:
        DBOS.start_workflow(sequence, 1).get_result()

    async def sequences(self, count: int) -> None:
        for handle in [DBOS.start_workflow(sequence, 5) for _ in range(count)]:
            handle.get_result()

    async def fan_out(self, activities: int) -> None:
        answered = await (await DBOS.start_workflow_async(fan_out, activities)).get_result()
        assert answered == activities, f"{answered} of {activities} activities answered"

    async def long(self, steps: int) -> Sequence[float]:
        _moments.clear()
        DBOS.start_workflow(long, steps).get_result()
        return _moments

    async def create_waiting(self, count: int) -> None:
        async def start(id_: str) -> None:
            with SetWorkflowID(id_):
                await DBOS.start_workflow_async(wait)

        await at_most(SENDERS, start, waiting_ids(count))

    async def release_waiting(self, count: int) -> None:
        async def finish(id_: str) -> None:
            result = await (await DBOS.retrieve_workflow_async(id_)).get_result()
            assert result == "x", f"{id_} answered {result!r}"

        await at_most(SENDERS, lambda id_: DBOS.send_async(id_, "x", "go"), waiting_ids(count))
        await at_most(SENDERS, finish, waiting_ids(count))

    def versions(self) -> dict[str, str]:
        return {"dbos": version("dbos")}


class DbosOnSqlite(Dbos):
    """State in one SQLite file."""

    def url(self) -> str:
        return f"sqlite:///{self.folder}/dbos.sqlite"


class DbosOnPostgres(Dbos):
    """State in PostgreSQL."""

    def url(self) -> str:
        self._postgres = Postgres(self)
        return self._postgres.start()

    async def stop(self) -> None:
        DBOS.destroy()
        self._postgres.stop()
        await Engine.stop(self)

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "postgresql": self._postgres.version()}
