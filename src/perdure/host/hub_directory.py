"""The task hubs of a server: each a store, an engine and a client of its own, all on one loop.

The first hub lives in the file that the store URL names, every other one beside it: ``hub.db`` and ``hub.NAME.db``.
Hubs can be made and dropped while the server runs; those that have a file are found again at the next start
(docs/decisions/0012-hubs-of-a-server.md).
"""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perdure.client import TaskHubClient
from perdure.client.options import ClientOptions
from perdure.contracts.clock import Clock
from perdure.contracts.errors import InvalidInput, StorageError
from perdure.contracts.observer import Observer
from perdure.core.decisions import DecisionLimits
from perdure.core.identifiers import check_portable_id
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.engine.worker import TaskHubWorker
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import RemoteOptions
from perdure.grpc_api.hub_choice import ServedHub
from perdure.grpc_api.item_format import ProtocolItems
from perdure.grpc_api.work_item_service import WorkItemService
from perdure.host.hub_changes import HubChanges
from perdure.host.serve_options import HUB_NAME, ServeOptions
from perdure.host.store_files import delete_store
from perdure.storage.opening import open_storage
from perdure.storage.options import StorageOptions
from perdure.storage.sqlite.storage import SqliteStorage

MEMORY = "memory:"


class RunningHub:
    """One hub that runs. ``open``, ``start`` and ``stop`` belong to one loop."""

    def __init__(self, name: str, store_url: str, options: ServeOptions, clock: Clock, observers: Sequence[Observer]):
        self.name = name
        self.store_url = store_url
        self.storage = open_storage(store_url, clock, StorageOptions(durability=options.durability))
        limits = DecisionLimits(
            history_events_max=options.history_events_max,
            payload_bytes_max=options.payload_bytes_max,
            check_child_id=check_portable_id,
        )
        remote = RemoteOptions(hub=name, payload_bytes_max=options.payload_bytes_max)
        executor = RemoteExecutor(ProtocolItems(), remote.with_items_up_to(options.item_bytes_max))
        self.executor = executor
        self.worker = TaskHubWorker(
            self.storage,
            executor,
            clock,
            EngineOptions(limits, Versioning()),
            f"{socket.gethostname()}/{os.getpid()}",
            observers,
        )
        self.client = TaskHubClient(
            self.storage,
            clock,
            ClientOptions(
                check_id=check_portable_id, payload_bytes_max=options.payload_bytes_max, serves=executor.serves
            ),
        )
        self.served = ServedHub(name, self.client, WorkItemService(executor))

    @property
    def file(self) -> Path | None:
        """Where it is kept; None in memory."""
        return self.storage.path if isinstance(self.storage, SqliteStorage) else None

    def name_url(self, url: str) -> None:
        """Tell whoever finds the store held where this process can be reached."""
        if isinstance(self.storage, SqliteStorage):
            self.storage.name_url(url)

    async def start(self) -> None:
        """Open the store and run what it holds. Raises StoreInUse, StoreUnusable."""
        await self.storage.open()
        await self.worker.start()

    async def stop(self, grace_seconds: float) -> bool:
        """Commit, release, close; False when workers still had something of it. Twice-safe."""
        drained = await self.worker.stop(grace_seconds)
        await self.storage.close()
        return drained


@dataclass(frozen=True, slots=True)
class HubFailure:
    """A hub's engine or store failed, and the process should not go on."""

    hub: str
    error: BaseException


class HubDirectory:
    """See ``grpc_api.hub_choice.Hubs``."""

    def __init__(self, options: ServeOptions, clock: Clock, observers: Sequence[Observer] = ()) -> None:
        self._options = options
        self._clock = clock
        self._observers = observers
        self._hubs: dict[str, RunningHub] = {}
        self._changes = HubChanges()
        self.failed: asyncio.Future[HubFailure] = asyncio.get_running_loop().create_future()
        """Done when a hub failed for good."""
        self.added: Callable[[RunningHub], None] = lambda hub: None
        """Told of each hub that runs now."""

    @property
    def default_name(self) -> str:
        return self._options.hubs[0]

    def running(self) -> list[RunningHub]:
        """All hubs, the default one first, the others by name."""
        first = self.default_name.lower()
        return [self._hubs[name] for name in sorted(self._hubs, key=lambda name: (name != first, name))]

    def now(self, name: str) -> RunningHub | None:
        """The hub of that name, if it runs."""
        return self._hubs.get(name.lower())

    async def open(self) -> None:
        """Start the hubs that are named and those that have a file. Raises StorageError, naming the hub."""
        named = {name.lower(): name for name in self._options.hubs}
        for name in self._found():
            named.setdefault(name, name)
        for name in named.values():
            try:
                await self._start(name)
            except StorageError as error:
                error.add_note(f"task hub {name}")
                raise

    async def find(self, name: str) -> ServedHub | None:
        hub = self._hubs.get(name.lower())
        # Who calls while a hub is made anew means the new one.
        if hub is None and await self._changes.finished(name.lower()):
            hub = self._hubs.get(name.lower())
        if hub is None and self._options.creates_hubs and HUB_NAME.fullmatch(name):
            await self.create(name, recreate=False)
            hub = self._hubs.get(name.lower())
        return None if hub is None else hub.served

    async def create(self, name: str, *, recreate: bool) -> None:
        if not HUB_NAME.fullmatch(name):
            raise InvalidInput(
                f"'{name}' is no name of a task hub: 1 to 100 letters, digits, '-' and '_', the first no sign."
            )

        async def change() -> None:
            if recreate:
                await self._drop(name)
            if name.lower() not in self._hubs:
                await self._start(name)

        await self._changes.make(name.lower(), change)

    async def drop(self, name: str) -> None:
        await self._changes.make(name.lower(), lambda: self._drop(name))

    async def stop(self, grace_seconds: float) -> bool:
        """Stop all hubs at once; False when some worker still had something. Twice-safe."""
        await self._changes.close()
        hubs = list(self._hubs.values())
        ended = await asyncio.gather(*(hub.stop(grace_seconds) for hub in hubs), return_exceptions=True)
        for result in ended:
            if isinstance(result, BaseException):
                raise result
        return all(ended)

    async def _start(self, name: str) -> None:
        hub = RunningHub(name, self._url_of(name), self._options, self._clock, self._observers)
        try:
            await hub.start()
        except BaseException:
            await hub.stop(0)
            raise
        failed = hub.worker.failed
        assert failed is not None, "the worker runs"
        failed.add_done_callback(lambda future: self._note_failure(name, future))
        self._hubs[name.lower()] = hub
        self.added(hub)

    async def _drop(self, name: str) -> None:
        hub = self._hubs.pop(name.lower(), None)
        if hub is None:
            return
        # Nothing of what workers still do of it would be kept.
        await hub.stop(0)
        if hub.file is not None:
            await delete_store(hub.file)

    def _note_failure(self, name: str, future: "asyncio.Future[BaseException]") -> None:
        if not future.cancelled() and not self.failed.done() and name.lower() in self._hubs:
            self.failed.set_result(HubFailure(name, future.result()))

    def _url_of(self, name: str) -> str:
        base = _file_of(self._options.store_url)
        if base is None or name.lower() == self.default_name.lower():
            return self._options.store_url
        return f"sqlite:{base.with_name(f'{base.stem}.{name.lower()}{base.suffix}')}"

    def _found(self) -> list[str]:
        """The names of hubs that have a file beside the first one's."""
        base = _file_of(self._options.store_url)
        if base is None or not base.parent.is_dir():
            return []
        head, tail = f"{base.stem}.", base.suffix
        names = [
            entry.name[len(head) : len(entry.name) - len(tail)]
            for entry in base.parent.iterdir()
            if entry.name.startswith(head) and entry.name.endswith(tail) and len(entry.name) > len(head) + len(tail)
        ]
        return sorted(name for name in names if HUB_NAME.fullmatch(name) and name == name.lower())


def _file_of(store_url: str) -> Path | None:
    """The file that the first hub's URL names; None for a store that is none."""
    scheme, _, path = store_url.partition(":")
    if scheme != "sqlite":
        return None
    return Path(path.removeprefix("///") if path.startswith("///") else path)
