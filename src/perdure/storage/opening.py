"""The one place that knows the kinds of stores."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from perdure.contracts.clock import Clock
from perdure.contracts.errors import StoreUnusable
from perdure.contracts.storage import Storage
from perdure.storage.options import StorageOptions
from perdure.storage.places import FilePlace, MemoryPlace, ServerPlace, place_of
from perdure.storage.server_hubs import HubServer
from perdure.storage.sqlite.storage import SqliteStorage

if TYPE_CHECKING:
    from perdure.storage.memory.storage import MemoryStorage
    from perdure.storage.postgres.storage import PostgresStorage

_NO_OPTIONS = StorageOptions()
DEFAULT_HUB = "default"


@runtime_checkable
class _Watched(Protocol):
    """A storage that notices by itself when its store is away."""

    @property
    def trouble(self) -> str | None: ...


def open_storage(
    url: str, clock: Clock, options: StorageOptions = _NO_OPTIONS, *, hub: str = DEFAULT_HUB
) -> "MemoryStorage | SqliteStorage | PostgresStorage":
    """The storage a URL names, not yet opened; ``hub`` names one of a server's, a file holds only one.

    A path is relative to the working directory unless it begins with '/'. Raises StoreUnusable for what is no store.
    """
    match place_of(url):
        case MemoryPlace():
            from perdure.storage.memory.storage import MemoryStorage

            return MemoryStorage(options, clock)
        case FilePlace(path):
            return SqliteStorage(str(path), clock, options)
        case ServerPlace(url):
            try:
                from perdure.storage.postgres.storage import PostgresStorage
            except ImportError as error:
                raise package_missing(error) from error
            return PostgresStorage(url, hub, clock, options)


def hub_server(place: ServerPlace) -> HubServer:
    """The server at a place, to ask about its hubs. Raises StoreUnusable when the package for it is not installed."""
    try:
        from perdure.storage.postgres.hubs import PostgresHubs
    except ImportError as error:
        raise package_missing(error) from error
    return PostgresHubs(place.url)


def trouble_of(storage: Storage) -> str | None:
    """Why nothing can be done with an open store now; None when it can, or when only trying would tell."""
    return storage.trouble if isinstance(storage, _Watched) else None


def name_url(storage: Storage, url: str) -> None:
    """Tell whoever finds the store held where this process can be reached; what many share, nobody finds held."""
    if isinstance(storage, SqliteStorage):
        storage.name_url(url)


def package_missing(error: ImportError) -> Exception:
    """What it means that a module of the PostgreSQL store cannot be imported."""
    if error.name != "asyncpg":
        return error
    return StoreUnusable("A PostgreSQL store needs the package asyncpg: pip install 'perdure[postgres]'")
