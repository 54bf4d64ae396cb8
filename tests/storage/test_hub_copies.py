"""A hub copied between stores: every row arrives, in its order; what is broken off goes on."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from perdure.contracts.errors import StoreInUse, StoreUnusable
from perdure.contracts.records import ReusePolicy
from perdure.contracts.storage import Storage
from perdure.core import messages as ms
from perdure.storage.copying.copy import Copied, copy_hub
from perdure.storage.copying.ends import source_at, target_at
from perdure.storage.copying.parts import Counts
from perdure.storage.opening import hub_server, open_storage
from perdure.storage.options import Access, Placement, StorageOptions
from perdure.storage.places import FilePlace, ServerPlace, StorePlace
from perdure.storage.system_clock import SystemClock
from support.postgres_server import looking_at, shared_server
from support.stored_instances import creation, later

INSTANCES = 1_200
"""More than go into two transactions."""


class BrokenOff(Exception):
    """Somebody has pulled the plug."""


@pytest.fixture
def hub() -> Iterator[str]:
    name = f"h{uuid4().hex[:12]}"
    yield name

    async def drop() -> None:
        async with looking_at(shared_server()) as connection:
            await connection.execute(f'drop schema if exists "perdure_{name}" cascade')

    asyncio.run(drop())


@pytest.fixture
def server() -> ServerPlace:
    return ServerPlace(shared_server())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "hub.db"
    asyncio.run(filled(path))
    return path


@pytest.fixture
def file(template: Path, tmp_path: Path) -> FilePlace:
    (tmp_path / "hub.db").write_bytes(template.read_bytes())
    return FilePlace(tmp_path / "hub.db")


async def filled(path: Path) -> None:
    """Instances that wait for their start, and messages for some of them and for somebody who is not there."""
    storage = opened(FilePlace(path), "")
    await storage.open()
    made = [creation(f"i{number:04}", text='"\u00fc\u4e2d"') for number in range(INSTANCES)]
    await asyncio.gather(*(storage.create_instance(each, ReusePolicy.NON_RUNNING) for each in made))
    for number in range(30):
        event = ms.RaiseEvent("go", str(number))
        await storage.send(ms.Envelope("i0007", event))
        await storage.send(ms.Envelope("@counter@nobody", event, later(number)))
    await storage.close()


def opened(place: StorePlace, hub: str, access: Access = Access.HOLD) -> Storage:
    options = StorageOptions(access=access, placement=Placement.INLINE)
    url = place.shown if isinstance(place, FilePlace) else shared_server()
    return open_storage(url, SystemClock(), options, hub=hub)


def copied(
    source: StorePlace, target: StorePlace, hub: str, told: Callable[[int, int], None] = lambda done, whole: None
) -> Copied:
    return asyncio.run(copy_hub(source_at(source, hub), target_at(target, hub, None), told))


def rows_of(path: Path) -> dict[str, list[Any]]:
    """All that a file holds, but for where a message has its place."""
    connection = sqlite3.connect(path)
    try:
        return {
            table: connection.execute(f"select {columns} from {table} order by {order}").fetchall()
            for table, columns, order in (
                ("instance", "*", "number"),
                ("history", "instance, first_seq, count, format, events, crc", "instance, first_seq"),
                ("activity", "*", "number"),
                ("inbox", "target, due_at, format, message", "position"),
            )
        }
    finally:
        connection.close()


def sound(place: StorePlace, hub: str) -> bool:
    async def run() -> bool:
        storage = opened(place, hub, Access.READ_ONLY)
        await storage.open()
        try:
            return [finding async for finding in storage.verify(False)] == []
        finally:
            await storage.close()

    return asyncio.run(run())


def test_there_and_back(file: FilePlace, server: ServerPlace, hub: str, tmp_path: Path) -> None:
    there = copied(file, server, hub)
    assert there.source == there.target == Counts(INSTANCES, 0, 0, INSTANCES + 60)
    assert there.resumed == 0
    assert sound(server, hub)
    back = FilePlace(tmp_path / "back.db")
    copied(server, back, hub)
    assert rows_of(back.path) == rows_of(file.path)
    assert sound(back, hub)
    assert back.path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir() if ".part" in entry.name] == []


def test_from_file_to_file(file: FilePlace, tmp_path: Path, hub: str) -> None:
    other = FilePlace(tmp_path / "other.db")
    copied(file, other, hub)
    assert rows_of(other.path) == rows_of(file.path)


def test_a_copy_takes_new_instances_and_numbers_none_twice(file: FilePlace, server: ServerPlace, hub: str) -> None:
    copied(file, server, hub)

    async def run() -> None:
        storage = opened(server, hub)
        await storage.open()
        await storage.create_instance(creation("new"), ReusePolicy.NON_RUNNING)
        record, old = await storage.get("new"), await storage.get("i1199")
        assert record is not None
        assert old is not None
        assert (record.origin.number or 0) > (old.origin.number or 0)
        await storage.close()

    asyncio.run(run())


@pytest.mark.parametrize("at", [500, 1_100, 1_300, 2_000])
@pytest.mark.parametrize("kind", ["server", "file"])
def test_what_is_broken_off_goes_on(
    file: FilePlace, server: ServerPlace, hub: str, tmp_path: Path, at: int, kind: str
) -> None:
    target = server if kind == "server" else FilePlace(tmp_path / "other.db")

    def told(done: int, whole: int) -> None:
        if done >= at:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        copied(file, target, hub, told)
    if isinstance(target, ServerPlace):
        # Nobody can take half a hub for a whole one.
        with pytest.raises(StoreUnusable, match="half of a copy"):
            asyncio.run(open_and_close(opened(server, hub)))
    else:
        assert not target.path.exists()
    result = copied(file, target, hub)
    assert result.resumed >= at
    assert result.source == result.target
    assert sound(target, hub)


async def open_and_close(storage: Storage) -> None:
    await storage.open()
    await storage.close()


@pytest.mark.parametrize("kind", ["server", "file"])
def test_a_source_that_was_used_since_is_copied_anew(
    file: FilePlace, server: ServerPlace, hub: str, tmp_path: Path, kind: str
) -> None:
    target = server if kind == "server" else FilePlace(tmp_path / "other.db")

    def told(done: int, whole: int) -> None:
        if done >= 500:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        copied(file, target, hub, told)

    async def use() -> None:
        storage = opened(file, hub)
        await storage.open()
        await storage.send(ms.Envelope("i0001", ms.RaiseEvent("late", None)))
        await storage.close()

    asyncio.run(use())
    result = copied(file, target, hub)
    assert result.resumed == 0
    assert result.target == Counts(INSTANCES, 0, 0, INSTANCES + 61)


def test_a_target_that_holds_something_is_refused(
    file: FilePlace, server: ServerPlace, hub: str, tmp_path: Path
) -> None:
    for target in (server, FilePlace(tmp_path / "other.db")):
        copied(file, target, hub)
        with pytest.raises(StoreUnusable, match="is not empty"):
            copied(file, target, hub)


def test_a_hub_that_is_empty_is_filled(file: FilePlace, server: ServerPlace, hub: str) -> None:
    asyncio.run(hub_server(server).create(hub, 4))
    assert copied(file, server, hub).target.instances == INSTANCES
    status = asyncio.run(hub_server(server).status(hub))
    assert status.partition_count == 4


def test_a_source_that_is_worked_on_is_refused(file: FilePlace, server: ServerPlace, hub: str, tmp_path: Path) -> None:
    held = opened(file, hub)

    async def while_held(storage: Storage, run: Callable[[], Coroutine[Any, Any, Copied]]) -> None:
        await storage.open()
        await storage.acquire("web1/17")
        try:
            with pytest.raises(StoreInUse):
                await run()
        finally:
            await storage.close()

    asyncio.run(while_held(held, lambda: copy_hub(source_at(file, hub), target_at(server, hub, None), print)))
    copied(file, server, hub)
    target = FilePlace(tmp_path / "back.db")
    asyncio.run(
        while_held(opened(server, hub), lambda: copy_hub(source_at(server, hub), target_at(target, hub, None), print))
    )
    copied(server, target, hub)


def test_what_is_damaged_is_not_made_whole(file: FilePlace, server: ServerPlace, hub: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(file.path)
    connection.execute("update instance set input = '\"other\"' where id = 'i0003'")
    connection.commit()
    connection.close()
    copied(file, server, hub)
    assert not sound(server, hub)


def test_a_missing_source_is_named(tmp_path: Path, server: ServerPlace, hub: str) -> None:
    with pytest.raises(StoreUnusable, match="There is no store"):
        copied(FilePlace(tmp_path / "none.db"), server, hub)
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(StoreUnusable, match="There is no hub"):
        copied(server, FilePlace(tmp_path / "other.db"), hub)
