"""Payloads too large for messages: kept in a store, and named by a token in the message (portable-sdk.md §9)."""

from durabletask.payload.file_store import FilePayloadStore
from durabletask.payload.packing import PayloadDamaged, PayloadMissing
from durabletask.payload.sqlite_store import SqlitePayloadStore
from durabletask.payload.store import LargePayloadStorageOptions, PayloadStore, PayloadTooLarge
from durabletask.payload.transfer import (
    deexternalize_payloads,
    deexternalize_payloads_async,
    externalize_payloads,
    externalize_payloads_async,
)

__all__ = [
    "FilePayloadStore",
    "LargePayloadStorageOptions",
    "PayloadDamaged",
    "PayloadMissing",
    "PayloadStore",
    "PayloadTooLarge",
    "SqlitePayloadStore",
    "deexternalize_payloads",
    "deexternalize_payloads_async",
    "externalize_payloads",
    "externalize_payloads_async",
]
