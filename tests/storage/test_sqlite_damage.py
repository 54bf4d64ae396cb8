"""Damage is found, at load and by ``verify``, and concerns only the instance it hits (reliability.md D10)."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.contracts.errors import HistoryCorrupted, StoreFailed, StoreUnusable
from perdure.contracts.records import DamagedInstance, Finding, FindingKind, InstanceFilter, StoredInstance
from perdure.core import events as ev
from perdure.core.checkpoint import NewActivity
from perdure.core.status import RuntimeStatus
from perdure.storage.options import Access
from support.sqlite_store import opened, outside
from support.store_stage import Stage
from support.stored_instances import T0, creation, entity, episode, later, raised, started, timer

NEIGHBOURS = 5
INSTANCE_TEXTS = (
    "name",
    "execution_id",
    "version",
    "input",
    "parent",
    "trace_context",
    "tags",
    "custom_status",
    "output",
)
INSTANCE_NUMBERS = (
    "kind",
    "created_at",
    "generation",
    "scheduled_start_at",
    "status",
    "updated_at",
    "last_seq",
    "episode_at",
)


async def build(path: Path) -> None:
    """A damaged one to be, its neighbours, an entity; rows in every table."""
    async with opened(path) as stage:
        await stage.hold()
        for name in ("victim", *(f"n{n}" for n in range(NEIGHBOURS))):
            made = creation(
                name,
                version="1.0",
                trace_context="00-ab-cd-01",
                tags={"k": "v"},
                parent=ev.ParentLink("p", "e", 1, 1),
                scheduled_start_at=T0,
            )
            first = await stage.begin(
                made,
                [ev.TaskScheduled(0, "work", "[1]"), ev.TimerCreated(1, later(60))],
                activities=[NewActivity(2, 0, "work", "[1]", "2", {"k": "v"}, "00-1")],
                outbox=[raised(name, "go", '"é"')],
                custom_status='"half"',
                output='"some"',
                awaited_events=("go",),
            )
            second = episode(first, events=[started(later(1)), ev.EventRaised("x", "1")], **_kept(first))
            await stage.commit(second, kept=[timer(first, 3, later(60))])
            await stage.commit(episode(second, events=[started(later(2)), ev.EventRaised("y", "2")], **_kept(first)))
        await stage.commit(episode(entity("@c@k"), state='{"n": 1}'))


def _kept(first: object) -> dict[str, object]:
    progress = first.progress  # type: ignore[attr-defined]
    return {
        "custom_status": progress.custom_status,
        "output": progress.output,
        "awaited_events": progress.awaited_events,
    }


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "hub.db"
    asyncio.run(build(path))
    assert asyncio.run(findings(path)) == []
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, sound: bytes) -> Path:
    (tmp_path / "hub.db").write_bytes(sound)
    return tmp_path / "hub.db"


async def findings(path: Path) -> list[Finding]:
    """As ``verify`` reads a store that nobody holds."""
    async with opened(path, access=Access.READ_ONLY) as stage:
        return await stage.findings()


def flip(path: Path, table: str, column: str, condition: str) -> None:
    """Change one byte of one value, or one bit of a number."""
    with outside(path) as connection:
        [(rowid, value)] = connection.execute(f"select rowid, {column} from {table} where {condition}").fetchall()
        if isinstance(value, str):
            raw = value.encode()
            middle = len(raw) // 2
            value = (raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]).decode("utf-8")
        else:
            value ^= 1
        connection.execute("pragma ignore_check_constraints = 1")
        connection.execute(f"update {table} set {column} = ? where rowid = ?", (value, rowid))


async def neighbours_are_sound(stage: Stage) -> None:
    loaded = await stage.storage.load(stage.held, [f"n{n}" for n in range(NEIGHBOURS)])
    assert len(loaded) == NEIGHBOURS
    assert all(isinstance(instance, StoredInstance) for instance in loaded.values())
    assert (await stage.storage.get("n0")).progress.output == '"some"'  # type: ignore[union-attr]


async def victim_is_refused(path: Path, *, record_readable: bool) -> str:
    """Not served by any read; the rest goes on. Returns why."""
    async with opened(path) as stage:
        [stage.lease] = await stage.storage.acquire("test")
        loaded = await stage.storage.load(stage.held, ["victim"])
        damaged = loaded["victim"]
        assert isinstance(damaged, DamagedInstance)
        assert damaged.record.origin.instance_id == "victim"
        with pytest.raises(HistoryCorrupted, match="victim"):
            await stage.storage.history("victim")
        if record_readable:
            assert await stage.storage.get("victim") is not None
        else:
            with pytest.raises(HistoryCorrupted, match="victim"):
                await stage.storage.get("victim")
        page = await stage.storage.query(InstanceFilter(), 100)
        # It may have become an entity, or older; it is still there, and listing goes on.
        assert len(page.records) >= NEIGHBOURS
        await neighbours_are_sound(stage)
        return damaged.reason


@pytest.mark.parametrize("column", [*INSTANCE_TEXTS, *INSTANCE_NUMBERS, "origin_crc", "progress_crc", "awaited_events"])
def test_a_flipped_byte_in_a_record_is_found(path: Path, column: str) -> None:
    flip(path, "instance", column, "id = 'victim'")
    assert ("victim", FindingKind.RECORD) in {(f.instance_id, f.kind) for f in asyncio.run(findings(path))}
    asyncio.run(victim_is_refused(path, record_readable=False))


@pytest.mark.parametrize("column", ["events", "count", "format", "crc", "first_seq"])
def test_a_flipped_byte_in_a_history_is_found(path: Path, column: str) -> None:
    flip(path, "history", column, "instance = (select number from instance where id = 'victim') and first_seq = 4")
    found = asyncio.run(findings(path))
    assert [(f.instance_id, f.kind) for f in found] == [("victim", FindingKind.HISTORY)]
    asyncio.run(victim_is_refused(path, record_readable=True))


@pytest.mark.parametrize("column", ["target", "message", "due_at", "format", "crc"])
def test_a_flipped_byte_in_a_message_is_found(path: Path, column: str) -> None:
    flip(path, "inbox", column, "target = 'victim' and due_at is not null")
    found = asyncio.run(findings(path))
    assert FindingKind.RECORD in {f.kind for f in found}

    async def recover() -> None:
        async with opened(path) as stage:
            [lease] = await stage.storage.acquire("test")
            with pytest.raises(StoreFailed, match="verify"):
                await stage.storage.recover([lease], later(10**9), later(10**9))

    asyncio.run(recover())


@pytest.mark.parametrize(
    "column", ["execution_id", "seq", "task_id", "name", "input", "crc", "instance", "version", "tags", "trace_context"]
)
def test_a_flipped_byte_in_an_activity_is_found(path: Path, column: str) -> None:
    flip(path, "activity", column, "instance = (select number from instance where id = 'victim')")
    found = asyncio.run(findings(path))
    assert {f.kind for f in found} & {FindingKind.RECORD, FindingKind.ORPHAN}

    async def recover() -> None:
        async with opened(path) as stage:
            [lease] = await stage.storage.acquire("test")
            with pytest.raises(StoreFailed, match="verify"):
                await stage.storage.recover([lease], T0, T0)

    asyncio.run(recover())


def broken_text(connection: sqlite3.Connection, table: str, column: str, condition: str) -> None:
    """Bytes that are no UTF-8, where text should be."""
    connection.execute(f"update {table} set {column} = cast(x'c328ff' as text) where {condition}")


@pytest.mark.parametrize("column", ["name", "input", "output", "tags", "awaited_events"])
def test_bytes_that_are_no_text_hit_only_their_instance(path: Path, column: str) -> None:
    with outside(path) as connection:
        broken_text(connection, "instance", column, "id = 'victim'")
    assert [(f.instance_id, f.kind) for f in asyncio.run(findings(path))] == [("victim", FindingKind.RECORD)]
    asyncio.run(victim_is_refused(path, record_readable=False))


def test_a_history_that_is_no_text_hits_only_its_instance(path: Path) -> None:
    with outside(path) as connection:
        broken_text(connection, "history", "events", "instance = (select number from instance where id = 'victim')")
    assert [(f.instance_id, f.kind) for f in asyncio.run(findings(path))] == [("victim", FindingKind.HISTORY)]
    assert "UTF-8" in asyncio.run(victim_is_refused(path, record_readable=True))


def test_text_of_a_newer_format_is_named_as_such(path: Path) -> None:
    with outside(path) as connection:
        # As a newer program would write it, checksum and all.
        from perdure.storage.rows import history_checksum

        row = "select number, instance, first_seq, count, events from history where first_seq = 4 limit 1"
        number, instance, first_seq, count, events = connection.execute(row).fetchone()
        crc = history_checksum(events.encode(), instance, first_seq, count, 9)
        connection.execute("update history set format = 9, crc = ? where number = ?", (crc, number))
    [finding] = asyncio.run(findings(path))
    assert "format 9" in finding.what


@pytest.mark.parametrize("first_seq", [0, 4, 6])
def test_a_removed_row_is_found(path: Path, first_seq: int) -> None:
    with outside(path) as connection:
        changed = connection.execute(
            "delete from history where first_seq = ? and instance = (select number from instance where id = 'victim')",
            (first_seq,),
        ).rowcount
        assert changed == 1
    assert [(f.instance_id, f.kind) for f in asyncio.run(findings(path))] == [("victim", FindingKind.HISTORY)]
    asyncio.run(victim_is_refused(path, record_readable=True))


def swap_places(connection: sqlite3.Connection, rows: list[tuple[int, int]], columns: str) -> None:
    """Exchange some columns between history rows, given as (row, row) numbers."""
    [(one, two)] = rows
    read = f"select {columns} from history where number = ?"
    first, second = (connection.execute(read, (number,)).fetchone() for number in (one, two))
    setting = ", ".join(f"{column.strip()} = ?" for column in columns.split(","))
    connection.execute("drop index history_by_instance")
    connection.execute(f"update history set {setting} where number = ?", (*second, one))
    connection.execute(f"update history set {setting} where number = ?", (*first, two))
    connection.execute("create unique index history_by_instance on history (instance, first_seq)")


def row_of(connection: sqlite3.Connection, name: str, first_seq: int) -> int:
    """The number of a history row."""
    query = "select number from history where first_seq = ? and instance = (select number from instance where id = ?)"
    return connection.execute(query, (first_seq, name)).fetchone()[0]


@pytest.mark.parametrize(
    "other", [lambda c: row_of(c, "victim", 6), lambda c: row_of(c, "n0", 4)], ids=["within", "across"]
)
@pytest.mark.parametrize("columns", ["events, crc", "first_seq, instance"])
def test_swapped_rows_are_found(path: Path, other: Callable[[sqlite3.Connection], int], columns: str) -> None:
    with outside(path) as connection:
        swap_places(connection, [(row_of(connection, "victim", 4), other(connection))], columns)
    assert "victim" in {f.instance_id for f in asyncio.run(findings(path)) if f.kind is FindingKind.HISTORY}


def test_swapped_records_are_found(path: Path) -> None:
    progress = (
        "status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, "
        "state, locked_by, progress_crc"
    )
    with outside(path) as connection:
        row = connection.execute(f"select {progress} from instance where id = 'n0'").fetchone()
        setting = ", ".join(f"{column} = ?" for column in progress.split(", "))
        connection.execute(f"update instance set {setting} where id = 'victim'", row)
    assert [(f.instance_id, f.kind) for f in asyncio.run(findings(path))] == [("victim", FindingKind.RECORD)]


def test_rows_without_an_instance_are_found(path: Path) -> None:
    with outside(path) as connection:
        connection.execute("delete from instance where id = 'victim'")
    kinds = [finding.kind for finding in asyncio.run(findings(path))]
    assert kinds == [FindingKind.ORPHAN, FindingKind.ORPHAN]


@pytest.mark.parametrize(("table", "condition"), [("activity", "1"), ("inbox", "due_at is not null")])
def test_lost_work_is_found(path: Path, table: str, condition: str) -> None:
    with outside(path) as connection:
        connection.execute(f"delete from {table} where {condition}")
    found = asyncio.run(findings(path))
    assert {finding.kind for finding in found} == {FindingKind.STUCK}
    assert {finding.instance_id for finding in found} == {"victim", *(f"n{n}" for n in range(NEIGHBOURS))}


def test_a_damaged_page_is_found_and_does_not_end_the_search(path: Path) -> None:
    with outside(path) as connection:
        page = connection.execute("select rootpage from sqlite_master where name = 'history'").fetchone()[0]
        size = connection.execute("pragma page_size").fetchone()[0]
        connection.execute("delete from activity")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)
    found = asyncio.run(findings(path))
    assert FindingKind.FILE in {finding.kind for finding in found}


def test_a_flipped_byte_anywhere_in_the_file_serves_no_wrong_output(path: Path, sound: bytes) -> None:
    """The whole file, one flipped byte at a time in strides: an answer is the right one or an error."""
    expected = asyncio.run(outputs(path))
    # The first hundred bytes are the file's header, of which some are free.
    for offset in range(100, len(sound), len(sound) // 150):
        damaged = bytearray(sound)
        damaged[offset] ^= 0x10
        path.write_bytes(damaged)
        for key, value in asyncio.run(outputs(path)).items():
            assert value in (None, expected[key]), (offset, key)


async def outputs(path: Path) -> dict[str, object]:
    """What is served of each instance; None for an error or for what is not found."""
    served: dict[str, object] = {}
    names = ["victim", "@c@k", *(f"n{n}" for n in range(NEIGHBOURS))]
    try:
        async with opened(path) as stage:
            for name in names:
                for what, read in (("record", stage.storage.get), ("history", stage.storage.history)):
                    try:
                        served[f"{name} {what}"] = await read(name) or None
                    except (HistoryCorrupted, StoreFailed):
                        served[f"{name} {what}"] = None
    except (StoreUnusable, StoreFailed):
        return served
    return served


def test_a_terminal_instance_reads_well_after_all_that(path: Path) -> None:
    async def scenario() -> None:
        async with opened(path) as stage:
            await stage.hold()
            loaded = await stage.storage.load(stage.held, ["victim"])
            assert isinstance(loaded["victim"], StoredInstance)
            await stage.commit(episode(loaded["victim"].record, status=RuntimeStatus.Completed))
        assert [f for f in await findings(path) if f.instance_id == "victim"] == []

    asyncio.run(scenario())
