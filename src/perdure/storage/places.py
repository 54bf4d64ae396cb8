"""Where a store lies, read from its URL: a file, the memory of one process, or a server that many processes share."""

import re
from dataclasses import dataclass
from pathlib import Path

from perdure.contracts.errors import StoreUnusable

FORMS = "sqlite:PATH, postgresql://USER@HOST/DATABASE, or memory: for tests"
_SERVER_SCHEMES = ("postgresql", "postgres")
_SECRET_PARAMETER = re.compile(r"([?&][a-z_]*password=)[^&#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A SQLite file, for one process at a time. ``path`` is as the URL says it, perhaps relative."""

    path: Path

    @property
    def shown(self) -> str:
        """The place as people may see it."""
        return f"sqlite:{self.path}"


@dataclass(frozen=True, slots=True)
class MemoryPlace:
    """The memory of the process that opens it."""

    shown: str = "memory:"


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A database server; each task hub is a schema of its own there. ``url`` may hold a password."""

    url: str

    @property
    def shown(self) -> str:
        """The place as people may see it."""
        return without_password(self.url)

    def __repr__(self) -> str:
        return f"ServerPlace({self.shown!r})"


StorePlace = FilePlace | MemoryPlace | ServerPlace


def place_of(url: str) -> StorePlace:
    """The place a URL names; whether anything is there is not asked. Raises StoreUnusable for what is no store URL."""
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and colon and not rest.strip("/"):
        return MemoryPlace()
    if scheme == "sqlite" and colon:
        path = rest.removeprefix("///") if rest.startswith("///") else rest
        if path and not path.startswith("//"):
            return FilePlace(Path(path))
    if scheme in _SERVER_SCHEMES and rest.startswith("//"):
        return ServerPlace(url)
    raise StoreUnusable(f"{_named(url)} names no store; use {FORMS}.")


def is_store_url(text: str) -> bool:
    """Whether a text is the URL of a store, of whatever kind."""
    try:
        place_of(text)
    except StoreUnusable:
        return False
    return True


def without_password(url: str) -> str:
    """The URL of a server as people may see it: the user's name stays, what only they know does not."""
    scheme, slashes, rest = url.partition("//")
    head, at, tail = rest.rpartition("@")
    user, colon, _ = head.partition(":")
    if at and colon:
        rest = f"{user}:…@{tail}"
    return _SECRET_PARAMETER.sub(r"\1…", f"{scheme}{slashes}{rest}")


def _named(url: str) -> str:
    """What can be said of a text that may be anything, a connection string with a key in it too."""
    scheme, colon, rest = url.partition(":")
    if colon and scheme.isalnum() and (rest.startswith("//") or scheme == "sqlite") and not re.search("[@;=]", rest):
        return f"'{url}'"
    return f"What begins with '{scheme[:20]}:'" if colon and scheme.isalnum() else "The text given as store URL"
