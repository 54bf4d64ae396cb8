"""What a payload store is, and which payloads go there."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass
class LargePayloadStorageOptions:
    """Payloads of more than ``threshold_bytes`` go to the store; more than ``max_stored_payload_bytes`` is an error.

    Both count the text's UTF-8 bytes before compression. Raises ValueError for limits that cannot be.
    """

    threshold_bytes: int = 262_144
    max_stored_payload_bytes: int = 10_485_760
    enable_compression: bool = True

    def __post_init__(self) -> None:
        if self.threshold_bytes < 0:
            raise ValueError(f"threshold_bytes must not be negative, as {self.threshold_bytes} is.")
        if self.max_stored_payload_bytes < 1:
            raise ValueError(f"max_stored_payload_bytes must be at least 1, not {self.max_stored_payload_bytes}.")


class PayloadTooLarge(ValueError):
    """A payload is larger than its store takes."""

    def __init__(self, size: int, size_max: int) -> None:
        super().__init__(
            f"A payload of {size:,} bytes is larger than the payload store takes: {size_max:,} bytes "
            "(max_stored_payload_bytes). Raise that limit, or pass a reference to the data instead of the data."
        )


class PayloadStore(ABC):
    """Keeps payloads under tokens. A store is used from several threads, and from several loops, at once.

    Clients and workers of a task hub need stores that read each other's tokens. Who writes a store of their own
    implements ``options``, ``upload``, ``download`` and ``is_known_token``.
    """

    @property
    @abstractmethod
    def options(self) -> LargePayloadStorageOptions:
        """Which payloads go to this store."""

    @abstractmethod
    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Keep the bytes for good and give the token that names them. ``instance_id`` is whose they are, if known."""

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        """``upload``, by default in a thread."""
        return await asyncio.to_thread(self.upload, data, instance_id=instance_id)

    @abstractmethod
    def download(self, token: str) -> bytes:
        """The bytes of a token. Raises LookupError when they are not there."""

    async def download_async(self, token: str) -> bytes:
        """``download``, by default in a thread."""
        return await asyncio.to_thread(self.download, token)

    @abstractmethod
    def is_known_token(self, value: str) -> bool:
        """Whether the text has the form of this store's tokens."""
