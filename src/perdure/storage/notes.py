"""Small texts of a hub that all its hosts share: keys, when timers ran. Not for anything that instances do."""

from collections.abc import Collection, Mapping
from typing import Protocol


class Notes(Protocol):
    """Name → text. Each call is one transaction. All may raise Unavailable, StoreFailed and StoreUnusable."""

    async def read(self, prefix: str) -> dict[str, str]:
        """Those whose name begins so."""
        ...

    async def add(self, notes: Mapping[str, str]) -> None:
        """Write those whose names are free; what is there stays as it is."""
        ...

    async def put(self, notes: Mapping[str, str]) -> None:
        """Write all of them."""
        ...

    async def remove(self, names: Collection[str]) -> None:
        """Take these away, if they are there."""
        ...
