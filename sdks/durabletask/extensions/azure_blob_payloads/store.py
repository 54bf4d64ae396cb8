"""Payloads as blobs, with the tokens that the SDKs of other languages write and read."""

import asyncio
import gzip
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from durabletask.extensions.blob_account import BlobAccount
from durabletask.payload import LargePayloadStorageOptions, PayloadMissing, PayloadStore

PREFIX = "blob:v1:"
URL_PREFIX = "blob:v2:"
"""What newer SDKs write: the blob's address. Only addresses in the store's own account are asked."""
_GZIP_MARK = b"\x1f\x8b"
"""No text begins so: what it stands before was compressed, by whichever SDK."""


@dataclass
class BlobPayloadStoreOptions(LargePayloadStorageOptions):
    """Where the blobs are: ``connection_string``, or ``account_url`` and a ``credential`` of azure-identity."""

    container_name: str = "durabletask-payloads"
    connection_string: str | None = None
    account_url: str | None = None
    credential: Any = field(default=None, repr=False)
    api_version: str | None = None


class BlobPayloadStore(PayloadStore):
    """Keeps each payload in a blob of its own, below the instance's id. Nothing is removed.

    Its methods may be called from any thread and any loop; async ones run in a thread.
    Raises ValueError when the options name no account.
    """

    def __init__(self, options: BlobPayloadStoreOptions) -> None:
        self._options = options
        self._account = BlobAccount(
            connection_string=options.connection_string,
            account_url=options.account_url,
            credential=options.credential,
            api_version=options.api_version,
        )

    @property
    def options(self) -> BlobPayloadStoreOptions:
        """See ``PayloadStore``."""
        return self._options

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        """See ``PayloadStore``. Raises what azure-storage-blob raises."""
        container = self._options.container_name
        name = f"{instance_id}/{uuid.uuid4().hex}" if instance_id else uuid.uuid4().hex
        self._account.make_container(container)
        self._account.write(container, name, gzip.compress(data) if self._options.enable_compression else data)
        return f"{PREFIX}{container}:{name}"

    def download(self, token: str) -> bytes:
        """See ``PayloadStore``. Raises LookupError, and what azure-storage-blob raises."""
        place = self._place_of(token)
        if place is None:
            raise PayloadMissing(f"'{token}' names no blob of {self._account.url}.")
        stored = self._account.read(*place)
        return gzip.decompress(stored) if stored.startswith(_GZIP_MARK) else stored

    def is_known_token(self, value: str) -> bool:
        """See ``PayloadStore``."""
        return self._place_of(value) is not None

    def close(self) -> None:
        """Let go of the connections."""
        self._account.close()

    async def close_async(self) -> None:
        """``close``."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> "BlobPayloadStore":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> "BlobPayloadStore":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close_async()

    def _place_of(self, token: str) -> tuple[str, str] | None:
        """Container and name of the blob that a token means."""
        if token.startswith(PREFIX):
            container, _, name = token[len(PREFIX) :].partition(":")
        elif token.startswith(URL_PREFIX + self._account.url):
            path = token[len(URL_PREFIX) + len(self._account.url) :].partition("?")[0]
            container, _, name = unquote(path).partition("/")
        else:
            return None
        return (container, name) if container and name else None
