"""Store and engine of an embedded hub, on a thread and loop of their own; called from any other thread."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from perdure.client import AttachedClient, TaskHubClient
from perdure.client.options import ClientOptions
from perdure.contracts.errors import StoreUnusable
from perdure.contracts.storage import Storage
from perdure.core.decisions import DecisionLimits
from perdure.core.identifiers import check_portable_id
from perdure.core.registry import ActivityDefinition, EntityDefinition, OrchestratorDefinition, Registry
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.engine.worker import TaskHubWorker
from perdure.execution.black_box import BlackBox, said
from perdure.execution.local import ExecutionLimits, LocalExecutor, turn_threads
from perdure.execution.offering_executor import offering
from perdure.execution.turns import TurnPatience
from perdure.execution.user_loop import UserLoop
from perdure.host.hub import activities_by_default, threads_by_default
from perdure.host.observers import LoggingObserver
from perdure.storage.places import FilePlace, place_of

T = TypeVar("T")
Definition = OrchestratorDefinition | ActivityDefinition | EntityDefinition
logger = logging.getLogger("perdure.host")


@dataclass(frozen=True, slots=True)
class EngineTerms:
    """How the engine runs until it is halted."""

    versioning: Versioning
    default_version: str | None
    activities_max: int | None
    threads_max: int | None


@dataclass(frozen=True, slots=True)
class _Running:
    worker: TaskHubWorker
    user_loop: UserLoop


class EmbeddedEngine:
    """Open from the beginning; ``run`` and ``halt`` in turn, ``close`` at last. One caller at a time.

    All methods block until done, and may raise StorageError.
    """

    def __init__(self, storage: Storage, store_url: str) -> None:
        place = place_of(store_url)
        self.store_url = place.shown
        """As people may see it."""
        self._storage = storage
        clock = self._clock = storage.clock
        self._registry = Registry(_ABSENT_TYPES)
        self._running: _Running | None = None
        self._box = BlackBox(place.path) if isinstance(place, FilePlace) else None
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._turn, name="perdure-embedded", daemon=True)
        self._thread.start()
        self.client = TaskHubClient(storage, clock, ClientOptions(check_id=check_portable_id))
        self.attached = AttachedClient(self.client, self._loop)
        try:
            self._do(self._open())
        except BaseException:
            self._end_loop()
            raise

    def serve(self, definitions: Sequence[Definition], beside: Sequence[Definition] = ()) -> None:
        """Know these functions and no others, besides those of ``beside`` whose names they leave free.

        Raises ValueError for a name that occurs twice; nothing has changed then.
        """
        known = _filled(definitions)
        for definition in beside:
            try:
                _add(known, definition)
            except ValueError:
                continue  # another worker serves that name now
        # The running executor holds the registry; a turn sees either of two whole tables.
        self._registry.orchestrators = known.orchestrators
        self._registry.activities = known.activities
        self._registry.entities = known.entities

    def run(self, terms: EngineTerms) -> None:
        """Run what the store holds."""
        self._do(self._run(terms))

    def halt(self, grace_seconds: float) -> bool:
        """Begin nothing new, let activities end, commit. Answers whether all ended in time. Twice-safe."""
        return self._do(self._halt(grace_seconds))

    def close(self) -> None:
        """Close the store and end the thread; it does not run any more."""
        self.attached.close()
        try:
            self._do(self._close())
        finally:
            self._end_loop()

    async def _open(self) -> None:
        await self._storage.open()
        if self._box is None:
            return
        try:
            named = self._box.open()
        except OSError as error:
            await self._storage.close()
            raise StoreUnusable(f"The file {error.filename} cannot be opened: {error.strerror}.") from error
        for key in named:
            logger.warning("The process died in user code of %s; it is tried again.", said(key))

    async def _run(self, terms: EngineTerms) -> None:
        observers = [LoggingObserver()]
        user_loop = UserLoop()
        limits = ExecutionLimits(
            terms.threads_max or threads_by_default(), terms.activities_max or activities_by_default()
        )
        local = LocalExecutor(self._registry, user_loop, limits, turn_threads(TurnPatience(), observers), box=self._box)
        executor = offering(local, self._storage, serves=local.serves, observers=observers)
        options = EngineOptions(
            DecisionLimits(default_version=terms.default_version, check_child_id=check_portable_id), terms.versioning
        )
        owner = f"{socket.gethostname()}/{os.getpid()}"
        worker = TaskHubWorker(self._storage, executor, self._clock, options, owner, observers)
        user_loop.start()
        try:
            await worker.start()
        except BaseException:
            await worker.stop(0)
            user_loop.stop()
            raise
        self._running = _Running(worker, user_loop)

    async def _halt(self, grace_seconds: float) -> bool:
        running, self._running = self._running, None
        if running is None:
            return True
        try:
            return await running.worker.stop(grace_seconds)
        finally:
            running.user_loop.stop()

    async def _close(self) -> None:
        if self._box is not None:
            self._box.close()
        await self._storage.close()

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)


_ABSENT_TYPES = {
    "orchestrator": "durabletask.worker.OrchestratorNotRegisteredError",
    "activity": "durabletask.worker.ActivityNotRegisteredError",
    "entity": "durabletask.worker.EntityNotRegisteredError",
}
"""As the portable SDK, which embeds this engine, names them."""


def _filled(definitions: Sequence[Definition]) -> Registry:
    registry = Registry()
    for definition in definitions:
        _add(registry, definition)
    return registry


def _add(registry: Registry, definition: Definition) -> None:
    match definition:
        case OrchestratorDefinition():
            registry.add_orchestrator(definition)
        case ActivityDefinition():
            registry.add_activity(definition)
        case EntityDefinition():
            registry.add_entity(definition)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
