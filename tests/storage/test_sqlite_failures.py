"""A disk that is full, busy or broken (reliability.md D6, P2)."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from perdure.contracts.errors import StoreFailed, StoreFull, Unavailable
from perdure.contracts.records import CreateOutcome
from perdure.core.status import RuntimeStatus
from perdure.storage.options import Placement
from support.sqlite_store import opened, outside
from support.stored_instances import creation, episode, first_events, later, names, raised, started

PLACEMENTS = [Placement.INLINE, Placement.THREAD]


class Faulty(sqlite3.Connection):
    """Fails as told; the connections of a test are listed in the order in which they were made."""

    made: list["Faulty"] = []  # noqa: RUF012  (one list for all, emptied by each test)
    fails_at: str | None = None
    code: int = sqlite3.SQLITE_IOERR
    seen: list[str]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.seen = []
        Faulty.made.append(self)

    def cursor(self, *arguments: Any) -> Any:
        return super().cursor(FaultyCursor)


class FaultyCursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> Any:
        connection = self.connection
        assert isinstance(connection, Faulty)
        connection.seen.append(sql)
        if connection.fails_at is not None and sql.startswith(connection.fails_at):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = connection.code
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return super().execute(sql, *parameters)


@pytest.fixture(autouse=True)
def no_connections() -> None:
    Faulty.made.clear()


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("statement", ["commit", "insert into history", "begin"])
def test_a_failed_write_is_final(tmp_path: Path, placement: Placement, statement: str) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "hub.db", Faulty, placement=placement) as stage:
            writer = Faulty.made[0]
            await stage.hold()
            a = await stage.begin(creation("a"))
            waiting = asyncio.create_task(stage.storage.wait_for_status("a", frozenset({RuntimeStatus.Completed})))
            client = stage.creating(creation("b"))
            [start] = await stage.receive()
            queued = stage.sending(raised("a"))
            receiving = asyncio.create_task(stage.storage.receive(stage.held))
            await asyncio.sleep(0)
            assert await receiving
            receiving = asyncio.create_task(stage.storage.receive(stage.held))
            writer.fails_at = statement
            with pytest.raises(StoreFailed, match="SQLITE_IOERR_FSYNC"):
                await stage.commit(episode(a, events=[started(later(1))]))
            writer.fails_at = None
            seen = len(writer.seen)
            for awaited in (client, queued, waiting, receiving):
                with pytest.raises(StoreFailed):
                    await awaited
            for call in (
                lambda: stage.commit(episode(a)),
                lambda: stage.create(creation("c")),
                lambda: stage.storage.send(raised("a")),
                lambda: stage.storage.get("a"),
                lambda: stage.storage.receive(stage.held),
                lambda: stage.storage.renew([stage.lease]),
                lambda: stage.storage.release([stage.lease]),
                lambda: stage.storage.open(),
            ):
                with pytest.raises(StoreFailed):
                    await call()
            # A failed sync is not tried again: nothing at all was written since.
            assert writer.seen[seen:] == []
            assert start.position is None
        async with opened(tmp_path / "hub.db") as stage:
            assert await stage.findings(liveness=False) == []
            assert len(await stage.storage.history("a")) in (2, 3)
            assert await stage.storage.get("b") is None

    asyncio.run(scenario())


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_full_disk_refuses_until_there_is_space(tmp_path: Path, placement: Placement) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "hub.db", Faulty, placement=placement) as stage:
            limited = Faulty.made[0]
            await stage.hold()
            a = await stage.begin(creation("a"))
            pages = limited.execute("pragma page_count").fetchone()[0]
            limited.execute(f"pragma max_page_count = {pages + 2}")
            big = '"' + "x" * 100_000 + '"'
            client = stage.creating(creation("b", text=big))
            [start] = await stage.receive()
            record = stage.record_of(start)
            assert record is not None
            round_ = [episode(record, [start], first_events(record)), episode(a, events=[started(later(1))])]
            for _ in range(3):
                with pytest.raises(StoreFull):
                    await stage.commit(*round_)
            # Whoever comes now is refused; reads go on; nothing of the round is there.
            with pytest.raises(StoreFull):
                await stage.create(creation("c"))
            with pytest.raises(StoreFull):
                await stage.storage.send(raised("a"))
            assert await stage.storage.history("a") == a.events
            assert not client.done()
            assert start.position is None
            assert record.origin.number is None
            limited.execute("pragma max_page_count = 100000")
            await stage.commit(*round_)
            assert await client is CreateOutcome.CREATED
            assert len(await stage.storage.history("a")) == len(a.events) + 1
            await stage.begin(creation("c"))
            assert await stage.findings(liveness=False) == []

    asyncio.run(scenario())


def test_a_full_disk_is_tried_again_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.storage.one_process.FULL_SECONDS", 0.0)

    async def scenario() -> None:
        async with opened(tmp_path / "hub.db", Faulty) as stage:
            Faulty.made[0].fails_at = "insert into instance"
            Faulty.made[0].code = sqlite3.SQLITE_FULL
            with pytest.raises(StoreFull):
                await stage.create(creation("a"))
            Faulty.made[0].fails_at = None
            assert await stage.create(creation("a")) is CreateOutcome.CREATED

    asyncio.run(scenario())


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_an_outside_writer_is_waited_for(tmp_path: Path, placement: Placement) -> None:
    async def scenario() -> None:
        path = tmp_path / "hub.db"
        async with opened(path, placement=placement) as stage:
            await stage.hold()
            a = await stage.begin(creation("a"))
            with outside(path) as other:
                other.execute("begin immediate")
                committing = asyncio.ensure_future(stage.commit(episode(a, events=[started(later(1))])))
                await asyncio.sleep(0.05)
                # The loop is free meanwhile, and reads go on.
                assert not committing.done()
                assert await stage.storage.history("a") == a.events
                other.execute("rollback")
                await committing
            assert len(await stage.storage.history("a")) == len(a.events) + 1

    asyncio.run(scenario())


def test_an_outside_writer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "hub.db"
        async with opened(path, busy_seconds_max=0.05) as stage:
            await stage.hold()
            a = await stage.begin(creation("a"))
            again = episode(a, events=[started(later(1))])
            with outside(path) as other:
                other.execute("begin immediate")
                with pytest.raises(Unavailable, match="locked"):
                    await stage.commit(again)
                other.execute("rollback")
            await stage.commit(again)
            assert len(await stage.storage.history("a")) == len(a.events) + 1

    asyncio.run(scenario())


def test_an_outside_reader_does_not_stop_writes(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "hub.db"
        async with opened(path) as stage:
            await stage.hold()
            a = await stage.begin(creation("a"))
            with outside(path) as other:
                other.execute("begin")
                before = other.execute("select count(*) from history").fetchone()
                await stage.commit(episode(a, events=[started(later(1))]))
                assert other.execute("select count(*) from history").fetchone() == before

    asyncio.run(scenario())


@pytest.mark.parametrize("placement", list(Placement))
def test_what_waits_together_is_one_transaction(tmp_path: Path, placement: Placement) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "hub.db", Faulty, placement=placement) as stage:
            writer = Faulty.made[0]
            writer.seen.clear()
            await asyncio.gather(*(stage.create(creation(f"i{n}")) for n in range(200)))
            await asyncio.gather(*(stage.storage.send(raised("i1", str(n))) for n in range(200)))
            assert writer.seen.count("commit") == 2
            assert len(writer.seen) < 40

    asyncio.run(scenario())


def test_a_commit_of_any_size_takes_few_statements(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "hub.db", Faulty) as stage:
            await stage.hold()
            writer = Faulty.made[0]
            a = await stage.begin(creation("a"))
            writer.seen.clear()
            await stage.commit(episode(a, events=[started()], outbox=[raised("b", str(n)) for n in range(5_000)]))
            assert len(writer.seen) < 20

    asyncio.run(scenario())


def test_the_log_is_folded_into_the_file_as_it_grows(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "hub.db"
        async with opened(path, Faulty) as stage:
            await stage.hold()
            last = await stage.begin(creation("a"))
            before = path.stat().st_size
            for n in range(60):
                last = episode(last, events=[started(later(n))], outbox=[raised("b", str(n))] * 200)
                await stage.commit(last)
            assert Faulty.made[0].seen.count("pragma wal_checkpoint(passive)") >= 1
            assert path.stat().st_size > before + 100_000

    asyncio.run(scenario())


def test_a_big_log_is_folded_however_few_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.storage.sqlite.log.ROWS_BETWEEN", 1)
    monkeypatch.setattr("perdure.storage.sqlite.log.BYTES_MAX", 1_000_000)

    async def scenario() -> None:
        async with opened(tmp_path / "hub.db") as stage:
            for _ in range(40):
                await stage.storage.send(raised("a", "big", "x" * 300_000))
            assert (tmp_path / "hub.db-wal").stat().st_size < 3_000_000

    asyncio.run(scenario())


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_log_that_cannot_be_folded_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, placement: Placement
) -> None:
    monkeypatch.setattr("perdure.storage.sqlite.log.ROWS_MAX", 1)

    async def scenario() -> None:
        async with opened(tmp_path / "hub.db", Faulty, placement=placement) as stage:
            await stage.storage.send(raised("a", "kept"))
            # Writes follow one another, so the first message's folding is over after this.
            assert await stage.storage.purge(["nobody"]) == 0
            Faulty.made[0].fails_at = "pragma wal_checkpoint"
            # This one is durable: it is in the log, synced.
            await stage.storage.send(raised("a", "kept too"))
            with pytest.raises(StoreFailed):
                await stage.storage.send(raised("a", "refused"))
        async with opened(tmp_path / "hub.db") as stage:
            assert names((await stage.backlog()).ready) == ["kept", "kept too"]

    asyncio.run(scenario())


def test_a_log_that_is_busy_is_folded_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.storage.sqlite.log.ROWS_MAX", 1)

    async def scenario() -> None:
        async with opened(tmp_path / "hub.db", Faulty) as stage:
            Faulty.made[0].fails_at = "pragma wal_checkpoint"
            Faulty.made[0].code = sqlite3.SQLITE_BUSY
            for n in range(3):
                await stage.storage.send(raised("a", str(n)))
            assert Faulty.made[0].seen.count("pragma wal_checkpoint(passive)") == 3

    asyncio.run(scenario())
