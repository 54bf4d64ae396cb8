"""Payload stores, and the texts of messages that go there and come back."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import wrappers_pb2

import durabletask
from durabletask.payload import (
    FilePayloadStore,
    LargePayloadStorageOptions,
    PayloadDamaged,
    PayloadMissing,
    PayloadStore,
    PayloadTooLarge,
    SqlitePayloadStore,
    deexternalize_payloads,
    deexternalize_payloads_async,
    externalize_payloads,
    externalize_payloads_async,
)
from perdure.formats.protobuf import messages as pb

MakeStore = Callable[..., PayloadStore]
SMALL = LargePayloadStorageOptions(threshold_bytes=10, max_stored_payload_bytes=1000)


@pytest.fixture(params=["file", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Gives stores of one kind in one place."""
    if request.param == "file":
        return lambda options=None: FilePayloadStore(tmp_path / "payloads", options)
    return lambda options=None: SqlitePayloadStore(tmp_path / "made" / "payloads.db", options)


@pytest.mark.parametrize(
    "data", [b"", b"x", b'"' + b"a" * 300_000 + b'"', "\u00e4\U0001f600".encode() * 99, b"\x1f\x8b\x08no"]
)
@pytest.mark.parametrize("compresses", [True, False])
def test_another_store_in_the_same_place_reads_what_was_stored(
    make_store: MakeStore, data: bytes, compresses: bool
) -> None:
    token = make_store(LargePayloadStorageOptions(enable_compression=compresses)).upload(data, instance_id="a/../b")
    reader = make_store()
    assert reader.is_known_token(token)
    assert reader.download(token) == data
    assert len(token) < 100


def test_the_same_bytes_are_stored_once(make_store: MakeStore) -> None:
    store = make_store()
    assert store.upload(b"abc" * 99) == store.upload(b"abc" * 99, instance_id="other")
    assert store.upload(b"abc" * 98) != store.upload(b"abc" * 99)


def test_async_calls_do_the_same(make_store: MakeStore) -> None:
    store = make_store()

    async def scenario() -> None:
        tokens = await asyncio.gather(*(store.upload_async(f"{n % 5}".encode() * 99) for n in range(20)))
        assert len(set(tokens)) == 5
        assert await store.download_async(tokens[7]) == b"2" * 99

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "text", ["", '"text"', "file:v1:", "file:v1:../../etc/passwd", "sqlite:v1:" + "G" * 64, "blob:v1:c:b"]
)
def test_other_texts_are_no_tokens(make_store: MakeStore, text: str) -> None:
    assert not make_store().is_known_token(text)
    with pytest.raises(PayloadMissing, match="is no token"):
        make_store().download(text)


def test_a_payload_that_is_not_there_is_told(make_store: MakeStore, tmp_path: Path) -> None:
    token = make_store().upload(b"here" * 99)
    with pytest.raises(PayloadMissing, match="Clients and workers of a task hub need the same"):
        make_store().download(token[:-1] + ("0" if token[-1] != "0" else "1"))


def test_a_changed_payload_is_told(tmp_path: Path) -> None:
    files = FilePayloadStore(tmp_path)
    token = files.upload(b"payload" * 99)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    path.write_bytes(b"something else")
    with pytest.raises(PayloadDamaged, match="cannot be unpacked"):
        files.download(token)
    rows = SqlitePayloadStore(tmp_path / "payloads.db")
    token = rows.upload(b"payload" * 99)
    with closing(sqlite3.connect(tmp_path / "payloads.db")) as database, database:
        database.execute("update payload set data = x'00ff'")
    with pytest.raises(PayloadDamaged):
        rows.download(token)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"threshold_bytes": -1}, "threshold_bytes"), ({"max_stored_payload_bytes": 0}, "max_stored_payload_bytes")],
)
def test_limits_that_cannot_be_are_refused(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        LargePayloadStorageOptions(**options)


def test_defaults() -> None:
    options = LargePayloadStorageOptions()
    assert (options.threshold_bytes, options.max_stored_payload_bytes) == (262_144, 10_485_760)
    assert options.enable_compression


def _item(large: str) -> Any:
    """Texts in fields, in lists and in a oneof, and a map and other kinds of fields beside them."""
    item = pb.WorkItem(completionToken="token" * 10)
    request = item.orchestratorRequest
    request.instanceId = "i" * 50
    started = request.pastEvents.add(eventId=1).executionStarted
    started.input.value = large
    started.tags["a"] = "b" * 50
    request.newEvents.add().taskCompleted.result.value = large
    request.newEvents.add().eventRaised.input.value = "small"
    request.entityParameters.SetInParent()
    return item


@pytest.mark.parametrize("large", ["x" * 11, "\u00e4" * 6, "\U0001f600" * 3])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_large_texts_become_tokens_and_texts_again(make_store: MakeStore, large: str, asynchronous: bool) -> None:
    store = make_store(SMALL)
    item, expected = _item(large), _item(large)
    if asynchronous:
        asyncio.run(externalize_payloads_async(item, store, instance_id="i"))
    else:
        externalize_payloads(item, store, instance_id="i")
    first, second, third = [*item.orchestratorRequest.pastEvents, *item.orchestratorRequest.newEvents]
    token = first.executionStarted.input.value
    assert store.is_known_token(token)
    assert second.taskCompleted.result.value == token
    assert third.eventRaised.input.value == "small"
    externalize_payloads(item, store)
    assert first.executionStarted.input.value == token, "a token is not stored itself"
    if asynchronous:
        asyncio.run(deexternalize_payloads_async(item, store))
    else:
        deexternalize_payloads(item, store)
    assert item == expected


def test_what_is_not_larger_than_the_threshold_stays(make_store: MakeStore) -> None:
    item = _item("x" * 10)
    externalize_payloads(item, make_store(SMALL))
    assert item == _item("x" * 10)


def test_messages_of_other_classes_are_walked_alike(make_store: MakeStore) -> None:
    message, store = wrappers_pb2.StringValue(value="x" * 99), make_store(SMALL)
    externalize_payloads(message, store)
    assert store.is_known_token(message.value)
    deexternalize_payloads(message, store)
    assert message.value == "x" * 99


def test_a_payload_beyond_the_maximum_is_refused_and_nothing_is_changed(make_store: MakeStore) -> None:
    store, item = make_store(SMALL), _item("x" * 1001)
    with pytest.raises(PayloadTooLarge, match=r"1,001 bytes is larger than .* 1,000 bytes \(max_stored"):
        externalize_payloads(item, store)
    with pytest.raises(ValueError, match="larger"):
        asyncio.run(externalize_payloads_async(item, store))
    assert item == _item("x" * 1001)
    fits = _item("x" * 1000)
    externalize_payloads(fits, store)
    assert fits != _item("x" * 1000)


def test_a_missing_payload_is_one_error_for_all_ways(make_store: MakeStore) -> None:
    item, store = _item("x" * 20), make_store(SMALL)
    externalize_payloads(item, store)
    request = item.orchestratorRequest
    token = request.newEvents[0].taskCompleted.result.value
    request.newEvents[0].taskCompleted.result.value = token[:-1] + ("0" if token[-1] != "0" else "1")
    with pytest.raises(PayloadMissing):
        deexternalize_payloads(item, store)
    with pytest.raises(PayloadMissing):
        asyncio.run(deexternalize_payloads_async(item, store))


def test_the_package_gives_the_public_names() -> None:
    assert durabletask.PayloadStore is durabletask.payload.PayloadStore is PayloadStore
    assert durabletask.LargePayloadStorageOptions is LargePayloadStorageOptions
    for module in ("client", "exception_properties", "extensions", "history", "payload", "scheduled", "testing"):
        assert getattr(durabletask, module).__name__ == f"durabletask.{module}"
