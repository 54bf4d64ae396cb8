"""Opening a SQLite store: what is made, what is checked, what is refused."""

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from perdure.contracts.errors import StoreUnusable, Unavailable
from perdure.storage.memory.storage import MemoryStorage
from perdure.storage.migrations import read_migrations
from perdure.storage.opening import open_storage
from perdure.storage.options import Access, Durability, Placement, StorageOptions
from perdure.storage.sqlite.storage import SqliteStorage
from perdure.storage.sqlite.tables import MIGRATIONS
from support.sqlite_store import opened, outside
from support.store_stage import WallClock
from support.stored_instances import creation


def refusal(path: Path, **options: object) -> str:
    """Why the store cannot be opened."""

    async def scenario() -> str:
        with pytest.raises(StoreUnusable) as refused:
            async with opened(path, **options):
                pass
        return str(refused.value)

    return asyncio.run(scenario())


def test_file_and_folder_are_made_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "app" / ".perdure" / "hub.db"

    async def scenario() -> None:
        async with opened(path, placement=Placement.ADAPTIVE) as stage:
            await stage.create(creation("a"))
            modes = {name: stat.S_IMODE(os.stat(path.parent / name).st_mode) for name in os.listdir(path.parent)}
            assert {name for name, mode in modes.items() if mode == 0o600} >= {"hub.db", "hub.db-wal", "hub.db.lock"}
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    asyncio.run(scenario())
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert not (tmp_path / "app" / ".gitignore").exists()


def test_a_folder_of_the_users_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".perdure").mkdir()
    (tmp_path / ".perdure" / ".gitignore").write_text("mine")

    async def scenario() -> None:
        async with opened(tmp_path / ".perdure" / "hub.db"), opened(tmp_path / "data" / "hub.db"):
            pass

    asyncio.run(scenario())
    assert (tmp_path / ".perdure" / ".gitignore").read_text() == "mine"
    assert not (tmp_path / "data" / ".gitignore").exists()


@pytest.mark.parametrize(("durability", "synchronous"), [(Durability.FULL, 2), (Durability.RELAXED, 1)])
def test_the_promised_pragmas_are_in_force(tmp_path: Path, durability: Durability, synchronous: int) -> None:
    connections: list[sqlite3.Connection] = []

    class Watched(sqlite3.Connection):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            connections.append(self)

    async def scenario() -> None:
        async with opened(tmp_path / "hub.db", Watched, durability=durability) as stage:
            writer = connections[0]
            assert writer.execute("pragma journal_mode").fetchone() == ("wal",)
            assert writer.execute("pragma synchronous").fetchone() == (synchronous,)
            assert f"durability {durability.value}" in stage.storage.describe()

    asyncio.run(scenario())


@pytest.mark.parametrize(("name", "word"), [("synchronous", "wal"), ("synchronous", "off"), ("journal_mode", "delete")])
def test_a_pragma_that_does_not_hold_stops_the_start(tmp_path: Path, name: str, word: str) -> None:
    class Disobedient(sqlite3.Connection):
        """Another value gets through: SQLite takes an unknown word without an error."""

        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql.startswith(f"pragma {name} ="):
                sql = f"pragma {name} = {word}"
            return super().execute(sql, *parameters)  # type: ignore[arg-type]

    async def scenario() -> None:
        with pytest.raises(StoreUnusable, match=name):
            async with opened(tmp_path / "hub.db", Disobedient):
                pass
        # Nothing is left locked.
        async with opened(tmp_path / "hub.db"):
            pass

    asyncio.run(scenario())


def test_a_journal_mode_that_was_only_a_wish_stops_the_start(tmp_path: Path) -> None:
    class Wishful(sqlite3.Connection):
        """As when the disk fails while the mode is changed: the answer is the new mode, the file keeps the old."""

        asked = 0

        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql.startswith("pragma journal_mode"):
                Wishful.asked += 1
                sql = "select 'wal'" if Wishful.asked <= 2 else sql
            return super().execute(sql, *parameters)  # type: ignore[arg-type]

    async def scenario() -> None:
        with pytest.raises(StoreUnusable, match="journal_mode"):
            async with opened(tmp_path / "hub.db", Wishful):
                pass

    asyncio.run(scenario())


def test_a_newer_schema_is_refused_with_both_versions(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "hub.db"):
            pass

    asyncio.run(scenario())
    with outside(tmp_path / "hub.db") as connection:
        connection.execute("pragma user_version = 77")
    for access in Access:
        why = refusal(tmp_path / "hub.db", access=access)
        assert "77" in why
        assert f"up to {len(read_migrations(MIGRATIONS))}" in why
    with outside(tmp_path / "hub.db") as connection:
        assert connection.execute("pragma user_version").fetchone() == (77,)


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    with outside(tmp_path / "other.db") as connection:
        connection.execute("create table precious (x)")
    assert "another program" in refusal(tmp_path / "other.db")
    with outside(tmp_path / "other.db") as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("precious",)]


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary " * 100)
    assert "not a database" in refusal(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "dear diary " * 100


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert "symbolic link" in refusal(tmp_path / "link.db")
    assert not (tmp_path / "real.db").exists()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(tmp_path)


def test_reading_only_needs_a_store(tmp_path: Path) -> None:
    assert "no store" in refusal(tmp_path / "nothing.db", access=Access.READ_ONLY)
    assert list(tmp_path.iterdir()) == []


def test_reading_only_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"

    async def scenario() -> None:
        async with opened(path) as stage:
            await stage.create(creation("a"))
        before = path.read_bytes()
        async with opened(path, access=Access.READ_ONLY) as stage:
            assert await stage.storage.get("a") is not None
            with pytest.raises(Unavailable, match="read only"):
                await stage.create(creation("b"))
            with pytest.raises(Unavailable, match="read only"):
                await stage.storage.acquire("me")
        assert path.read_bytes() == before

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["sqlite:{}/a b.db", "sqlite:///{}/a b.db"])
def test_a_url_names_a_file(tmp_path: Path, url: str) -> None:
    async def scenario() -> None:
        storage = open_storage(url.format(tmp_path), WallClock())
        assert isinstance(storage, SqliteStorage)
        await storage.open()
        await storage.close()

    asyncio.run(scenario())
    assert (tmp_path / "a b.db").exists()


def test_a_path_may_be_relative_and_odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        for url in ("sqlite:.perdure/hub.db", "sqlite:///data/50%?#é.db"):
            storage = open_storage(url, WallClock())
            await storage.open()
            await storage.close()

    asyncio.run(scenario())
    assert (tmp_path / ".perdure" / "hub.db").exists()
    assert (tmp_path / "data" / "50%?#é.db").exists()


def test_memory_is_a_store_of_its_own() -> None:
    options = StorageOptions(waiting_max=7)
    first, second = (open_storage("memory:", WallClock(), options) for _ in range(2))
    assert isinstance(first, MemoryStorage)
    assert first is not second
    assert first.describe() == "store memory:, durability none"


@pytest.mark.parametrize("url", ["", "hub.db", "mysql://x", "sqlite", "sqlite:", "memory", "memory:x", "sqlite://x/y"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(StoreUnusable, match="sqlite:PATH"):
        open_storage(url, WallClock())


def test_what_names_no_store_is_not_shown_with_its_password() -> None:
    with pytest.raises(StoreUnusable) as refused:
        open_storage("mysql://me:secret@host/db", WallClock())
    assert "secret" not in str(refused.value)
