"""The one place that knows the schemes of store URLs."""

from typing import TYPE_CHECKING

from perdure.contracts.clock import Clock
from perdure.contracts.errors import StoreUnusable
from perdure.storage.options import StorageOptions
from perdure.storage.sqlite.storage import SqliteStorage

if TYPE_CHECKING:
    from perdure.storage.memory.storage import MemoryStorage

_NO_OPTIONS = StorageOptions()


def open_storage(url: str, clock: Clock, options: StorageOptions = _NO_OPTIONS) -> "MemoryStorage | SqliteStorage":
    """The storage a URL names, not yet opened: ``memory:``, ``sqlite:PATH`` or ``sqlite:///PATH``.

    A path is relative to the working directory unless it begins with '/'. Raises StoreUnusable for anything else.
    """
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and colon and not rest.strip("/"):
        from perdure.storage.memory.storage import MemoryStorage

        return MemoryStorage(options, clock)
    if scheme == "sqlite" and colon:
        path = rest.removeprefix("///") if rest.startswith("///") else rest
        if path and not path.startswith("//"):
            return SqliteStorage(path, clock, options)
    if scheme in ("postgresql", "postgres"):
        raise StoreUnusable("This version has no PostgreSQL store yet; use sqlite:PATH, or memory: for tests.")
    raise StoreUnusable(f"'{_without_secrets(url)}' names no store; use sqlite:PATH, or memory: for tests.")


def _without_secrets(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('//')[0]}//…@{tail}" if at else url
