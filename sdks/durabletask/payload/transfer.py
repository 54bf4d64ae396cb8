"""Large texts of a protobuf message ↔ a payload store: every StringValue in it, whatever classes it is made of."""

import asyncio
from collections.abc import Iterator
from typing import Any

from durabletask.payload.store import PayloadStore, PayloadTooLarge

_TEXT = "google.protobuf.StringValue"
AT_ONCE_MAX = 16
"""So many downloads of one message at a time."""


def externalize_payloads(msg: Any, store: PayloadStore, *, instance_id: str | None = None) -> None:
    """Replace each large text in the message by a token of the store.

    Raises PayloadTooLarge before anything is stored or replaced, and what the store raises.
    """
    for text, data in _large(msg, store):
        text.value = store.upload(data, instance_id=instance_id)


async def externalize_payloads_async(msg: Any, store: PayloadStore, *, instance_id: str | None = None) -> None:
    """The same without blocking."""
    for text, data in _large(msg, store):
        text.value = await store.upload_async(data, instance_id=instance_id)


def deexternalize_payloads(msg: Any, store: PayloadStore) -> None:
    """Replace each token of the store in the message by its text. Raises what the store raises."""
    for token, texts in _by_token(msg, store).items():
        _set(texts, store.download(token))


async def deexternalize_payloads_async(msg: Any, store: PayloadStore) -> None:
    """The same without blocking, several downloads at a time."""
    room = asyncio.Semaphore(AT_ONCE_MAX)

    async def fetch(token: str, texts: list[Any]) -> None:
        async with room:
            _set(texts, await store.download_async(token))

    found = _by_token(msg, store)
    try:
        async with asyncio.TaskGroup() as group:
            for token, texts in found.items():
                group.create_task(fetch(token, texts))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def _large(msg: Any, store: PayloadStore) -> list[tuple[Any, bytes]]:
    options = store.options
    if msg.ByteSize() <= options.threshold_bytes:
        return []
    found: list[tuple[Any, bytes]] = []
    for text in _texts(msg):
        value = text.value
        if len(value) * 4 <= options.threshold_bytes or store.is_known_token(value):
            continue
        data = value.encode()
        if len(data) > options.threshold_bytes:
            if len(data) > options.max_stored_payload_bytes:
                raise PayloadTooLarge(len(data), options.max_stored_payload_bytes)
            found.append((text, data))
    return found


def _by_token(msg: Any, store: PayloadStore) -> dict[str, list[Any]]:
    """The texts that each token stands in: a history names one often more than once."""
    found: dict[str, list[Any]] = {}
    for text in _texts(msg):
        if text.value and store.is_known_token(text.value):
            found.setdefault(text.value, []).append(text)
    return found


def _set(texts: list[Any], data: bytes) -> None:
    value = data.decode()
    for text in texts:
        text.value = value


def _texts(msg: Any) -> Iterator[Any]:
    """All StringValues that are set, without recursion: messages nest as deep as their sender likes."""
    waiting = [msg]
    while waiting:
        message = waiting.pop()
        if message.DESCRIPTOR.full_name == _TEXT:
            yield message
            continue
        for field, value in message.ListFields():
            kind = field.message_type
            if kind is None:
                continue
            if hasattr(value, "DESCRIPTOR"):
                waiting.append(value)
            elif not kind.GetOptions().map_entry:
                waiting.extend(value)
            elif kind.fields_by_name["value"].message_type is not None:
                waiting.extend(value.values())
