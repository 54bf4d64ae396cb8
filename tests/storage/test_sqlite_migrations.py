"""The schema grows by whole steps, whoever is killed in between (reliability.md P4)."""

import asyncio
from pathlib import Path

import pytest

from perdure.contracts.records import PendingActivity
from perdure.core.checkpoint import NewActivity
from perdure.storage.migrations import Migration, migrate_sqlite, read_migrations
from perdure.storage.sql_files import named_statements, script_statements
from perdure.storage.sqlite.tables import APPLICATION_ID, MIGRATIONS
from support.sqlite_store import opened, outside
from support.store_child import FINISHED, KILLED
from support.store_children import store_child
from support.stored_instances import creation


def test_a_kill_at_any_statement_of_a_migration_is_resumed(tmp_path: Path) -> None:
    statements = sum(len(migration.statements) for migration in read_migrations(MIGRATIONS))
    with store_child("migrate_dying", tmp_path, 1, statements + 10) as child:
        output, _ = child.communicate(timeout=60)
    codes = [int(line.split(";")[1]) for line in output.splitlines()]
    assert codes.count(KILLED) > statements
    assert set(codes) <= {KILLED, FINISHED}

    async def resume(path: Path) -> None:
        async with opened(path) as stage:
            await stage.create(creation("a"))
            assert await stage.findings(liveness=False) == []

    for point in range(1, statements + 10):
        asyncio.run(resume(tmp_path / f"{point}.db"))


STEPS = [
    Migration(1, "one", ("create table a (x)", "insert into a values (1)")),
    Migration(2, "two", ("create table b (x)", "insert into b select x + 1 from a")),
    Migration(3, "three", ("insert into b select x * 10 from b",)),
]


def test_steps_run_once_each_from_wherever_a_store_is(tmp_path: Path) -> None:
    for known in ([1], [1, 2], [1, 2, 3], [2, 3], [3]):
        path = tmp_path / f"{known}.db"
        with outside(path) as connection:
            for count in known:
                migrate_sqlite(connection, "x", STEPS[:count], 5)
            assert connection.execute("pragma user_version").fetchone() == (known[-1],)
            assert connection.execute("pragma application_id").fetchone() == (5,)
            if known[-1] == 3:
                assert connection.execute("select x from b order by x").fetchall() == [(2,), (20,)]


def test_a_step_that_fails_leaves_the_steps_before(tmp_path: Path) -> None:
    broken = [*STEPS[:2], Migration(3, "broken", ("insert into b values (7)", "insert into nowhere values (1)"))]
    with outside(tmp_path / "hub.db") as connection:
        with pytest.raises(Exception, match="nowhere"):
            migrate_sqlite(connection, "x", broken, 5)
        assert connection.execute("pragma user_version").fetchone() == (2,)
        assert connection.execute("select x from b").fetchall() == [(2,)]
        migrate_sqlite(connection, "x", STEPS, 5)
        assert connection.execute("select x from b order by x").fetchall() == [(2,), (20,)]


def test_the_schema_is_marked_as_ours(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "hub.db"):
            pass

    asyncio.run(scenario())
    with outside(tmp_path / "hub.db") as connection:
        assert connection.execute("pragma application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("pragma user_version").fetchone() == (len(read_migrations(MIGRATIONS)),)


def test_activities_scheduled_before_there_were_tags_are_recovered(tmp_path: Path) -> None:
    async def begin() -> None:
        async with opened(tmp_path / "hub.db") as stage:
            await stage.hold()
            await stage.begin(creation("a"), activities=[NewActivity(2, 0, "work", "[1]")])

    async def recovered() -> list[PendingActivity]:
        async with opened(tmp_path / "hub.db") as stage:
            return (await stage.backlog()).activities

    asyncio.run(begin())
    with outside(tmp_path / "hub.db") as connection:
        connection.execute("drop index instance_by_completion")
        connection.execute("drop index instance_by_status")
        connection.execute("alter table activity drop column version")
        connection.execute("alter table activity drop column tags")
        connection.execute("alter table activity drop column trace_context")
        connection.execute("pragma user_version = 1")
    [pending] = asyncio.run(recovered())
    assert (pending.name, pending.input, pending.version, pending.tags) == ("work", "[1]", None, None)


def test_scripts_are_cut_at_their_statements() -> None:
    trigger = "create trigger t after insert on a begin\n insert into b values (1);\n delete from c;\nend;"
    script = f"-- a; comment\ncreate table a (x);\n{trigger}\n-- the end\n"
    assert script_statements(script) == ["-- a; comment\ncreate table a (x);", trigger]
    with pytest.raises(ValueError, match="no end"):
        script_statements("create table a (x)")


def test_statements_have_names_of_their_own() -> None:
    text = "-- a file\n\n-- name: one\nselect 1;\n\n-- why\n-- name: two\nselect\n    2;\n"
    assert named_statements(text) == {"one": "select 1", "two": "select\n    2"}
    with pytest.raises(ValueError, match="'one'"):
        named_statements("-- name: one\nselect 1;\n-- name: one\nselect 2;\n")
