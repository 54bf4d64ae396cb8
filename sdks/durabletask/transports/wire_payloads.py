"""Where large payloads leave messages for a store, and come back. Without a store nothing happens."""

import importlib
from typing import Any, Protocol


class PayloadDoor(Protocol):
    """Both change the message in place."""

    async def put(self, message: Any, instance_id: str | None) -> None:
        """Put large payloads of a request into the store."""
        ...

    async def fetch(self, message: Any) -> None:
        """Fetch the payloads that an answer names."""
        ...


class NoStore:
    """Payloads travel as they are."""

    async def put(self, message: Any, instance_id: str | None) -> None:
        """Nothing is put."""

    async def fetch(self, message: Any) -> None:
        """Nothing is fetched."""


class StoreDoor:
    """Payloads go through a ``durabletask.payload.PayloadStore``."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._payload: Any = importlib.import_module("durabletask.payload")

    async def put(self, message: Any, instance_id: str | None) -> None:
        """See ``PayloadDoor``."""
        await self._payload.externalize_payloads_async(message, self._store, instance_id=instance_id)

    async def fetch(self, message: Any) -> None:
        """See ``PayloadDoor``."""
        await self._payload.deexternalize_payloads_async(message, self._store)


class BlockingStoreDoor(StoreDoor):
    """The same for callers without a loop: the store's blocking methods."""

    async def put(self, message: Any, instance_id: str | None) -> None:
        """See ``PayloadDoor``."""
        self._payload.externalize_payloads(message, self._store, instance_id=instance_id)

    async def fetch(self, message: Any) -> None:
        """See ``PayloadDoor``."""
        self._payload.deexternalize_payloads(message, self._store)


def payload_door(store: Any, *, blocking: bool = False) -> PayloadDoor:
    """The door to a store; without one, payloads stay."""
    if store is None:
        return NoStore()
    return BlockingStoreDoor(store) if blocking else StoreDoor(store)
