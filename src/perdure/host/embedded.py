"""Task hubs inside the program that uses them: found by the SDK through the entry point ``perdure.embedded``.

One hub is one store, shared by all clients and workers of the process that name it. The store is open while somebody
uses it; orchestrations run while a worker serves. What lies in memory is kept until the process ends.
"""

import atexit
import logging
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perdure.client import AttachedClient, TaskHubClient
from perdure.contracts.errors import InvalidInput, StoreInUse, StoreUnusable
from perdure.core.registry import ActivityDefinition, EntityDefinition, OrchestratorDefinition
from perdure.core.versioning import Versioning
from perdure.host.embedded_engine import Definition, EmbeddedEngine, EngineTerms
from perdure.storage.memory.storage import MemoryStorage
from perdure.storage.opening import open_storage
from perdure.storage.system_clock import SystemClock

logger = logging.getLogger("perdure.host")

DEFAULT_HUB = "default"
GRACE_SECONDS = 30.0
EXIT_GRACE_SECONDS = 1.0
"""How long activities may go on once the program has come to its end."""
_SERVER_SCHEMES = ("postgresql://", "postgres://")
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """How the worker that begins wants its hub run; workers that join must say the same or nothing.

    None leaves the limit to the hub. ``default_version`` is what sub-orchestrations are stamped with.
    """

    versioning: Versioning = field(default_factory=Versioning)
    default_version: str | None = None
    activities_max: int | None = None
    threads_max: int | None = None


_UNSAID = EmbeddedOptions()


class EmbeddedServing:
    """One worker's part in a hub."""

    def __init__(self, hub: "EmbeddedHub", definitions: Sequence[Definition], options: EmbeddedOptions) -> None:
        self._hub = hub
        self.definitions = definitions
        self.options = options

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> bool:
        """End this worker's part. The last worker's end halts the hub: running activities end first.

        While other workers serve, its functions go on: without them, its orchestrations that run would fail. They are
        withdrawn with the last worker, or when another worker serves their names. Blocks; to be called from a thread
        without a loop. Answers whether all activities ended in time; those that did not run again when a worker serves
        them. Twice-safe.
        """
        return self._hub.leave(self, grace_seconds)


class EmbeddedHub:
    """A hub of this process; made by ``open_embedded``. All methods may be called from any thread.

    They block while the store is opened or activities end: a program with a loop calls them in a thread.
    """

    def __init__(self, key: tuple[str, str], engine: EmbeddedEngine) -> None:
        self._key = key
        self._engine = engine
        self._turnover = threading.Lock()
        self._servings: list[EmbeddedServing] = []
        self._left: list[Definition] = []
        """What workers served that have stopped since the hub runs."""
        self._options = _UNSAID
        self.holders = 0
        """How often it was opened and not closed; guarded by the table's lock."""

    @property
    def client(self) -> AttachedClient:
        """The hub's client: awaitable on any loop. Raises ClientDetached once the hub is closed."""
        return self._engine.attached

    @property
    def task_hub(self) -> TaskHubClient:
        """The same client for ``client.run``: its methods are awaited on the engine's loop only."""
        return self._engine.client

    @property
    def make_options(self) -> type[EmbeddedOptions]:
        """What makes the options of ``serve``, for whoever cannot import this module."""
        return EmbeddedOptions

    @property
    def store(self) -> str:
        """The URL of the store."""
        return self._engine.store_url

    def serve(
        self,
        orchestrators: Sequence[OrchestratorDefinition],
        activities: Sequence[ActivityDefinition],
        entities: Sequence[EntityDefinition],
        options: EmbeddedOptions = _UNSAID,
    ) -> EmbeddedServing:
        """Run the hub with these functions besides those of other workers; returns once it runs.

        Raises ValueError for a name that another running worker serves here, or options that differ from what the hub
        runs with. An orchestration whose name nobody serves fails, as at any worker without filters.
        """
        serving = EmbeddedServing(self, [*orchestrators, *activities, *entities], options)
        with self._turnover:
            if self._servings and options not in (_UNSAID, self._options):
                raise ValueError(
                    "The workers of one embedded hub share its versioning and its limits, and a worker with others "
                    "runs already. Give all of them the same options, or this one none, or another task hub."
                )
            running = [definition for other in self._servings for definition in other.definitions]
            self._engine.serve([*running, *serving.definitions], beside=self._left if self._servings else ())
            if not self._servings:
                self._options = options
                self._engine.run(_terms_of(options))
            self._servings.append(serving)
        with _lock:
            self.holders += 1
        return serving

    def leave(self, serving: EmbeddedServing, grace_seconds: float) -> bool:
        """See ``EmbeddedServing.stop``."""
        drained = True
        with self._turnover:
            if serving not in self._servings:
                return True
            self._servings.remove(serving)
            self._left += serving.definitions
            if not self._servings:
                self._left.clear()
                drained = self._engine.halt(grace_seconds)
        self.close()
        return drained

    def close(self) -> None:
        """Give back one hold; with the last one the store is closed. Blocks until it is."""
        with _lock:
            self.holders -= 1
            if self.holders == 0:
                del _hubs[self._key]
                self._engine.close()

    def end(self) -> None:
        """Close the hub whoever holds it: the process ends."""
        self._engine.halt(EXIT_GRACE_SECONDS)
        self._engine.close()


def open_embedded(location: str | None, hub: str = DEFAULT_HUB, *, name: str = "") -> EmbeddedHub:
    """The hub in the SQLite file at ``location``, or with None in memory under ``name``; ``close`` gives it back.

    A ``location`` that is a PostgreSQL URL joins the hub there, beside other processes. A folder means ``hub.db`` in
    it. Hubs other than ``default`` have a file of their own beside it, as with
    ``perdure serve``: ``hub.NAME.db``. Raises InvalidInput for a hub name that cannot be; StoreInUse, which names the
    process that holds the file; StoreUnusable.
    """
    if _HUB_NAME.fullmatch(hub) is None:
        raise InvalidInput(
            f"'{hub}' cannot be a task hub: letters, digits, '-' and '_', up to 100, none of '-_' first."
        )
    hub = hub.lower()
    server = location is not None and location.startswith(_SERVER_SCHEMES)
    path = None if location is None or server else _file_of(Path(location).absolute(), hub)
    key = (location if server and location else f"memory:{name}" if path is None else f"sqlite:{path}", hub)
    with _lock:
        found = _hubs.get(key)
        if found is None:
            found = EmbeddedHub(key, _joined(*key) if server else _opened(key, path))
            _hubs[key] = found
        found.holders += 1
        return found


def _joined(url: str, hub: str) -> EmbeddedEngine:
    return EmbeddedEngine(open_storage(url, SystemClock(), hub=hub), url)


def _opened(key: tuple[str, str], path: Path | None) -> EmbeddedEngine:
    if path is None:
        storage = _memories.setdefault(key, MemoryStorage())
        return EmbeddedEngine(storage, "memory:")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnusable(f"The folder {path.parent} cannot be made: {error.strerror}.") from error
    url = f"sqlite:{path}"
    try:
        return EmbeddedEngine(open_storage(url, SystemClock()), url)
    except StoreInUse as error:
        by = "another process" if error.pid is None else f"process {error.pid}"
        reached = "" if error.url is None else f", reached at {error.url}"
        raise StoreInUse(
            f"The store {path} is in use by {by}{reached}. An embedded hub belongs to one process at a time: end that "
            "one, name another file, or let 'perdure serve' have the store and name its http:// endpoint instead.",
            error.pid,
            error.url,
        ) from error


def _file_of(path: Path, hub: str) -> Path:
    if path.is_dir():
        path = path / "hub.db"
    path = path.resolve()
    return path if hub == DEFAULT_HUB else path.with_name(f"{path.stem}.{hub}{path.suffix}")


def _terms_of(options: EmbeddedOptions) -> EngineTerms:
    return EngineTerms(options.versioning, options.default_version, options.activities_max, options.threads_max)


def _close_all() -> None:
    with _lock:
        for hub in list(_hubs.values()):
            try:
                hub.end()
            except Exception:  # the program has ended: all that is left to do is to tell
                logger.exception("The embedded hub in %s did not close.", hub.store)
        _hubs.clear()


def _forget() -> None:
    """A forked child has none of its parent's threads, and so none of its hubs."""
    global _lock
    _lock = threading.RLock()
    _hubs.clear()
    _memories.clear()


_lock = threading.RLock()
_hubs: dict[tuple[str, str], EmbeddedHub] = {}
_memories: dict[tuple[str, str], MemoryStorage] = {}
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
