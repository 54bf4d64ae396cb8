"""Which ends a copy between two places has."""

from perdure.contracts.errors import StoreUnusable
from perdure.storage.copying.parts import Source, Target
from perdure.storage.copying.sqlite_ends import SqliteSource, SqliteTarget
from perdure.storage.opening import package_missing
from perdure.storage.places import FilePlace, MemoryPlace, ServerPlace, StorePlace


def source_at(place: StorePlace, hub: str) -> Source:
    """The hub to copy. Raises StoreUnusable."""
    match place:
        case FilePlace(path):
            return SqliteSource(path)
        case ServerPlace(url):
            try:
                from perdure.storage.copying.postgres_ends import PostgresSource
            except ImportError as error:
                raise package_missing(error) from error
            return PostgresSource(url, hub)
        case MemoryPlace():
            raise StoreUnusable(_MEMORY)


def target_at(place: StorePlace, hub: str, partitions: int | None) -> Target:
    """The hub to be. ``partitions`` is for one on a server; None: as many as are usual. Raises StoreUnusable."""
    match place:
        case FilePlace(path):
            if partitions is not None:
                raise StoreUnusable(f"{place.shown} is a file and has one partition.")
            return SqliteTarget(path)
        case ServerPlace(url):
            try:
                from perdure.storage.copying.postgres_ends import PostgresTarget
            except ImportError as error:
                raise package_missing(error) from error
            return PostgresTarget(url, hub, partitions)
        case MemoryPlace():
            raise StoreUnusable(_MEMORY)


_MEMORY = "The store memory: lives in its process only; it can be no end of a copy."
