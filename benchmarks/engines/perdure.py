"""perdure in this process: the Functions host without its HTTP server, an ordinary app, durability ``full``."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.engines.engine import Engine, at_most, waiting_ids
from benchmarks.engines.postgres import Postgres
from perdure import __version__
from perdure.client import TaskHubClient
from perdure.contracts.records import InstanceFilter
from perdure.core.status import RuntimeStatus
from perdure.functions.logging_setup import configure_logging, log_levels
from perdure.host.assembly import FunctionsHost
from perdure.host.options import StartOptions
from perdure.host.running_process import SWITCH_INTERVAL_SECONDS, spare_collections
from perdure.host.settings import read_settings

APP = Path(__file__).resolve().parents[1] / "app"
SENDERS, STARTERS = 200, 2000
_PENDING = InstanceFilter(statuses=frozenset({RuntimeStatus.Pending}))


class PerdureEngine(Engine):
    """On SQLite. Engine, client and app share the process, as they do under ``perdure start``."""

    def store(self) -> str:
        """Where the state is kept."""
        return f"sqlite:{self.folder / 'hub.db'}"

    async def start(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        app = self.folder / "app"
        if not app.exists():
            shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
        settings = read_settings(StartOptions(app, store=self.store()), os.environ)
        configure_logging(log_levels(settings.host.logging.levels, is_verbose=False, user_level=None))
        self._host = FunctionsHost(settings)
        await self._host.open()
        await self._host.load()
        spare_collections()
        await self._host.start()
        self._moments: list[float] = import_module("function_app").moments
        self._client: TaskHubClient = self._host.hub.client

    async def stop(self) -> None:
        await self._host.stop(10)

    async def single(self) -> None:
        await self._completed(await self._client.start("sequence", input="1"), '"Hello 0!"')

    async def sequences(self, count: int) -> None:
        async def one(_: int) -> None:
            await self._completed(await self._client.start("sequence", input="5"), '"Hello 4!"')

        await at_most(min(count, STARTERS), one, range(count))

    async def fan_out(self, activities: int) -> None:
        await self._completed(await self._client.start("fan_out", input=json.dumps(activities)), str(activities))

    async def long(self, steps: int) -> Sequence[float]:
        self._moments.clear()
        instance_id = await self._client.start("long", input=json.dumps(steps))
        await self._completed(instance_id, f'"Hello {steps - 1}!"')
        return self._moments

    async def create_waiting(self, count: int) -> None:
        async def start(instance_id: str) -> None:
            await self._client.start("wait", instance_id=instance_id)

        await at_most(SENDERS, start, waiting_ids(count))
        while pending := (await self._client.query(_PENDING, limit=1000)).records:
            for record in pending:
                await self._client.wait_for_start(record.origin.instance_id)

    async def release_waiting(self, count: int) -> None:
        async def release(instance_id: str) -> None:
            await self._client.raise_event(instance_id, "go", '"x"')

        async def finish(instance_id: str) -> None:
            await self._completed(instance_id, '"x"')

        await at_most(SENDERS, release, waiting_ids(count))
        await at_most(SENDERS, finish, waiting_ids(count))

    def versions(self) -> dict[str, str]:
        return {"perdure": __version__}

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that ``perdure start`` runs on."""
        if sys.platform == "win32":
            return asyncio.new_event_loop()
        return import_module("uvloop").new_event_loop()

    async def _completed(self, instance_id: str, output: str) -> None:
        record = await self._client.wait_for_completion(instance_id)
        assert record is not None
        progress = record.progress
        if progress.status is not RuntimeStatus.Completed or progress.output != output:
            raise AssertionError(f"{instance_id} ended as {progress.status.value} with {progress.output!r}")


class PerdureOnPostgres(PerdureEngine):
    """On PostgreSQL, one process."""

    def store(self) -> str:
        self._postgres = Postgres(self)
        self.url = self._postgres.start()
        return self.url

    async def stop(self) -> None:
        await super().stop()
        self._postgres.stop()

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "postgresql": self._postgres.version()}
