"""The task hubs of a database server, as operators see them: made, listed, brought up to date, looked at, dropped.

No hub is opened for it and no partition taken, so all of it works beside hosts that run.
"""

from datetime import datetime
from typing import Protocol

import msgspec

from perdure.contracts.errors import StorageError
from perdure.storage.notes import Notes


class NoSuchHub(StorageError):
    """There is no task hub of that name on the server."""


class HubEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One hub in a list. ``version`` is its schema's, ``size`` in bytes with indexes, ``hosts`` those alive."""

    name: str
    schema: str
    version: int
    size: int
    hosts: int


class HostRow(msgspec.Struct, frozen=True, kw_only=True):
    """One process that works on a hub, or did until it died: then ``is_alive`` is false until another takes over."""

    number: int
    name: str
    is_alive: bool
    partitions: tuple[int, ...]
    lease_ends_at: datetime


class HubStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a hub is doing, at the server's time ``now``.

    ``free``: partitions that nobody holds. ``messages``: rows in inboxes that are due. ``oldest_at``: since when the
    oldest waits, of the messages that had a due time and the instances whose start nobody has taken; None without any.
    ``activities``: scheduled and not ended.
    ``connections``: to the server's database, by anybody; ``connections_max`` is what the server takes.
    """

    name: str
    schema: str
    version: int
    size: int
    now: datetime
    partition_count: int
    free: tuple[int, ...]
    hosts: tuple[HostRow, ...]
    messages: int
    oldest_at: datetime | None
    activities: int
    connections: int
    connections_max: int


class HubServer(Protocol):
    """All methods connect for their own length. Raise StoreUnusable, Unavailable."""

    async def entries(self) -> list[HubEntry]:
        """The hubs of the database, by name."""
        ...

    async def names(self) -> dict[str, bool]:
        """Name, in lower case → whether servers run the hub unasked; by one query."""
        ...

    async def mark_served(self, hub: str) -> None:
        """From now on servers run the hub unasked. Raises NoSuchHub."""
        ...

    async def exists(self, hub: str) -> bool:
        """Whether there is a hub of that name, whatever its letters' case."""
        ...

    async def create(self, hub: str, partitions: int | None) -> bool:
        """Make the hub; False when there is one. Raises StoreUnusable when that one has other partitions."""
        ...

    async def upgrade(self, hub: str) -> tuple[int, int]:
        """Bring the schema to this program's version; versions before and after. Raises NoSuchHub, StoreUnusable."""
        ...

    async def drop(self, hub: str) -> None:
        """Delete the hub with everything in it. Raises NoSuchHub; StoreInUse while a host works on it, naming it."""
        ...

    def notes(self, hub: str) -> Notes:
        """The notes of a hub, which is there."""
        ...

    async def status(self, hub: str) -> HubStatus:
        """How the hub is doing. Raises NoSuchHub."""
        ...
