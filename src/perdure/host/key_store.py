"""Where a host keeps its keys (architecture.md J15): in files beside a file, in the hub where many hosts share it."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from perdure.functions.app_settings import AppSettings
from perdure.host.hub import HubOptions
from perdure.host.key_files import FOLDER_SETTING, KeyFiles, key_folder
from perdure.host.shared_keys import SharedKeys
from perdure.http_api.keys import KeyRing
from perdure.storage.opening import hub_server
from perdure.storage.places import ServerPlace


class KeyStore(Protocol):
    """The ring and its keeping. What is awaited raises KeyFilesError or StorageError."""

    def ring(self) -> KeyRing:
        """The keys as they are known. Raises KeyFilesError."""
        ...

    def watch(self, changed: Callable[[KeyRing], None]) -> None:
        """Call ``changed`` with each new ring, as soon as it is noticed."""
        ...

    async def refresh(self) -> None:
        """See to it that ``ring`` is not too old; the old one is kept while the store is away."""
        ...

    async def read(self) -> KeyRing:
        """The keys as they are kept at this moment."""
        ...

    async def complete(self, function_names: Collection[str]) -> KeyRing:
        """The ring with a first key wherever there was none; what is new is kept."""
        ...

    async def save(self, ring: KeyRing) -> None:
        """Keep this ring."""
        ...


class KeysOnDisk:
    """See ``KeyStore``; the files are looked at whenever the ring is asked for."""

    def __init__(self, folder: Path) -> None:
        self._files = KeyFiles(folder)
        self.ring = self._files.ring
        self.watch = self._files.watch

    async def refresh(self) -> None:
        """See ``KeyStore``."""

    async def read(self) -> KeyRing:
        """See ``KeyStore``."""
        return self.ring()

    async def complete(self, function_names: Collection[str]) -> KeyRing:
        """See ``KeyStore``."""
        return self._files.complete(function_names)

    async def save(self, ring: KeyRing) -> None:
        """See ``KeyStore``."""
        self._files.save(ring)


def key_store(hub: HubOptions, app_folder: Path, settings: AppSettings) -> KeyStore:
    """The keys of an app's hub. A folder that the settings name is always taken. Raises StoreUnusable."""
    place = hub.place
    if isinstance(place, ServerPlace) and not settings.get(FOLDER_SETTING):
        return SharedKeys(hub_server(place).notes(hub.name))
    return KeysOnDisk(key_folder(hub.store_url, app_folder, settings))
