"""Where a server's hubs lie, and which there are (docs/decisions/0012-hubs-of-a-server.md).

Files: the first hub's is the one the store URL names, every other one lies beside it, ``hub.db`` and ``hub.NAME.db``.
A database server: each hub is a schema of its own, and other processes may make and drop some at any time.
"""

from pathlib import Path
from typing import Protocol

from perdure.host.serve_options import HUB_NAME
from perdure.host.store_files import delete_store
from perdure.storage.opening import hub_server
from perdure.storage.places import FilePlace, MemoryPlace, ServerPlace, place_of
from perdure.storage.server_hubs import NoSuchHub

LOOK_SECONDS = 10.0
"""How often a server looks for hubs that other processes have made or dropped."""


class HubStores(Protocol):
    """The stores of the hubs of one server."""

    look_seconds: float | None
    """How often to look for what other processes did; None: nobody else makes or drops hubs here."""

    def url_of(self, hub: str) -> str:
        """The store URL of a hub."""
        ...

    async def found(self) -> dict[str, bool]:
        """The hubs that are there, besides those in memory: name in lower case → whether servers run it unasked."""
        ...

    async def made(self, hub: str) -> None:
        """A server has made this hub, for every server to run."""
        ...

    async def delete(self, hub: str) -> None:
        """Delete a hub that this process does not run any more. Raises StoreInUse, OSError."""
        ...


class MemoryHubs:
    """Hubs of this process alone."""

    look_seconds: float | None = None

    def url_of(self, hub: str) -> str:
        """See ``HubStores``."""
        return "memory:"

    async def found(self) -> dict[str, bool]:
        """None outlives the process."""
        return {}

    async def made(self, hub: str) -> None:
        """See ``HubStores``."""

    async def delete(self, hub: str) -> None:
        """It is gone with its storage."""


class FileHubs:
    """A SQLite file for each hub."""

    look_seconds: float | None = None

    def __init__(self, store_url: str, path: Path, first: str) -> None:
        self._store_url = store_url
        self._base = path
        self._first = first.lower()

    def url_of(self, hub: str) -> str:
        """See ``HubStores``."""
        if hub.lower() == self._first:
            return self._store_url
        return f"sqlite:{self._base.with_name(f'{self._base.stem}.{hub.lower()}{self._base.suffix}')}"

    async def made(self, hub: str) -> None:
        """See ``HubStores``. Its file says it."""

    async def found(self) -> dict[str, bool]:
        """Those that have a file beside the first one's."""
        base = self._base
        if not base.parent.is_dir():
            return {}
        head, tail = f"{base.stem}.", base.suffix
        names = [
            entry.name[len(head) : len(entry.name) - len(tail)]
            for entry in base.parent.iterdir()
            if entry.name.startswith(head) and entry.name.endswith(tail) and len(entry.name) > len(head) + len(tail)
        ]
        return {name: True for name in sorted(names) if HUB_NAME.fullmatch(name) and name == name.lower()}

    async def delete(self, hub: str) -> None:
        """See ``HubStores``."""
        place = place_of(self.url_of(hub))
        assert isinstance(place, FilePlace)
        await delete_store(place.path)


class ServerHubs:
    """A schema for each hub. Those of apps lie in the database, too: a server runs one only when it is named."""

    look_seconds: float | None = LOOK_SECONDS

    def __init__(self, place: ServerPlace) -> None:
        self._place = place

    def url_of(self, hub: str) -> str:
        """See ``HubStores``."""
        return self._place.url

    async def found(self) -> dict[str, bool]:
        """See ``HubStores``."""
        return await hub_server(self._place).names()

    async def made(self, hub: str) -> None:
        """See ``HubStores``."""
        await hub_server(self._place).mark_served(hub)

    async def delete(self, hub: str) -> None:
        """See ``HubStores``. One that is gone already is deleted, too."""
        try:
            await hub_server(self._place).drop(hub)
        except NoSuchHub:
            return


def hub_stores(store_url: str, first: str) -> HubStores:
    """The stores that a URL means; ``first`` is the hub that the URL itself names. Raises StoreUnusable."""
    match place_of(store_url):
        case MemoryPlace():
            return MemoryHubs()
        case FilePlace(path):
            return FileHubs(store_url, path, first)
        case ServerPlace() as place:
            return ServerHubs(place)
