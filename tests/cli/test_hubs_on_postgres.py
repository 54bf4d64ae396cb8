"""Commands on task hubs in a PostgreSQL database: made, listed, looked at, dropped, read, and refused in one line."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from support.commands import command, value_of
from support.postgres_server import looking_at, shared_server


@pytest.fixture(scope="module")
def database() -> str:
    return shared_server()


@pytest.fixture
def hub() -> Iterator[str]:
    name = f"h{uuid4().hex[:12]}"
    yield name
    run_sql(f'drop schema if exists "perdure_{name}" cascade')


@pytest.fixture
def app(tmp_path: Path, hub: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "host.json").write_text(
        json.dumps({"version": "2.0", "extensions": {"durableTask": {"hubName": hub}}}), encoding="utf-8"
    )
    monkeypatch.setenv("PERDURE_STORE", shared_server())
    return tmp_path


def run_sql(*statements: str) -> None:
    async def run() -> None:
        async with looking_at(shared_server()) as connection:
            for statement in statements:
                await connection.execute(statement)

    asyncio.run(run())


def other(url: str, **changed: str) -> str:
    """The same server, otherwise."""
    parts = urlsplit(url)
    user = changed.get("user", "postgres")
    port = changed.get("port", str(parts.port))
    return f"postgresql://{user}@{parts.hostname}:{port}/{changed.get('database', 'postgres')}"


def test_a_hub_is_made_listed_looked_at_and_dropped(app: Path, hub: str, database: str) -> None:
    assert value_of("hub", "create", hub, "--partitions", "4", "--json", folder=app) == {
        "taskHub": hub, "created": True
    }  # fmt: skip
    assert command("hub", "create", hub.upper(), folder=app).out == f"There is a task hub '{hub.upper()}' already\n"
    [row] = [row for row in value_of("hub", "list", "--json", folder=app) if row["taskHub"] == hub]
    assert (row["store"], row["host"], row["hosts"]) == (database, None, 0)
    assert row["size"] > 0
    found = value_of("hub", "status", "--json", folder=app, code=1)
    assert (found["partitions"], found["free"], found["hosts"]) == (4, [0, 1, 2, 3], [])
    assert (found["messages"], found["activities"], found["oldestSeconds"]) == (0, 0, None)
    assert "No host works on it." in command("hub", "status", folder=app).out
    upgraded = value_of("hub", "upgrade", "--json", folder=app)
    assert upgraded["before"] == upgraded["after"] == row["schemaVersion"]
    assert command("hub", "drop", folder=app).code == 2
    assert value_of("hub", "drop", "--yes", "--json", folder=app) == {"taskHub": hub}
    assert command("hub", "drop", "--yes", folder=app).code == 4
    assert command("hub", "status", folder=app).code == 4
    assert command("hub", "upgrade", folder=app).code == 4


def test_a_hub_that_a_host_works_on_is_not_dropped(app: Path, hub: str) -> None:
    assert command("hub", "create", hub, folder=app).code == 0
    run_sql(
        f'insert into "perdure_{hub}".process (name, runs, expires_at) values '
        "('web1/17', true, now() + interval '10 seconds'), ('web2/18', true, now() + interval '10 seconds')"
    )
    refused = command("hub", "drop", "--yes", folder=app)
    assert refused.code == 3
    assert "being worked on by web1/17 and 1 more" in refused.err
    assert len(refused.error_lines) == 1
    found = value_of("hub", "status", "--json", folder=app, code=1)
    assert [(host["name"], host["alive"]) for host in found["hosts"]] == [("web1/17", True), ("web2/18", True)]
    run_sql(f"update \"perdure_{hub}\".process set expires_at = now() - interval '20 seconds' where name = 'web2/18'")
    shown = command("hub", "status", folder=app)
    assert re.search(r"web1/17 +yes +\d+ s +0", shown.out), shown
    assert re.search(r"web2/18 +no +over for \d+ s +0", shown.out), shown
    assert "Without a host: 32 of 32 partitions" in shown.out
    run_sql(f'update "perdure_{hub}".process set expires_at = now()')
    assert command("hub", "drop", "--yes", folder=app).code == 0


def test_what_waits_is_told(app: Path, hub: str) -> None:
    assert command("durable", "start-new", "--function-name", "hello", "--id", "first", folder=app).code == 0
    found = value_of("hub", "status", "--json", folder=app, code=1)
    assert found["messages"] == 1
    assert 0 <= found["oldestSeconds"] < 60
    assert "the oldest waits for" in command("hub", "status", folder=app).out


def test_a_command_makes_no_hub_by_the_way(app: Path, hub: str) -> None:
    for words in (
        ["durable", "get-instances"],
        ["durable", "raise-event", "--id", "x", "--event-name", "e"],
        ["verify"],
    ):
        refused = command(*words, folder=app)
        assert (refused.code, "perdure hub create" in refused.err) == (3, True), refused
        assert len(refused.error_lines) == 1
    assert all(row["taskHub"] != hub for row in value_of("hub", "list", "--json", folder=app))


def test_instances_are_reached_without_a_host(app: Path, hub: str) -> None:
    started = value_of("durable", "start-new", "--function-name", "hello", "--id", "one", "--json", folder=app)
    assert started["instanceId"] == "one"
    listed = value_of("durable", "get-instances", "--json", folder=app)
    assert [row["OrchestrationInstance"]["InstanceId"] for row in listed["instances"]] == ["one"]
    waiting = command("durable", "wait", "--id", "one", folder=app)
    assert (waiting.code, "no host is running" in waiting.err) == (1, True)
    assert command("durable", "get-runtime-status", "--id", "two", folder=app).code == 4
    assert command("verify", folder=app).out == "The store is sound.\n"
    # Another hub of the same database knows nothing of it.
    assert command("durable", "get-instances", "--task-hub-name", f"{hub}x", folder=app).code == 3


def test_keys_are_kept_in_the_hub(app: Path, hub: str, database: str) -> None:
    assert command("hub", "create", hub, folder=app).code == 0
    assert command("keys", "set", "partner", "s3cret-key", "--function", "hello", folder=app).code == 0
    assert value_of("keys", "list", "--json", folder=app) == [
        {"of": "function hello", "name": "partner", "value": "s3cret-key"}
    ]
    assert not (app / ".perdure").exists()
    assert command("keys", "delete", "partner", "--function", "hello", folder=app).code == 0
    assert value_of("keys", "list", "--json", folder=app) == []


def test_a_backup_is_the_servers_own_business(app: Path) -> None:
    refused = command("backup", "copy.db", folder=app)
    assert (refused.code, "pg_dump" in refused.err) == (3, True)


def test_a_server_that_cannot_be_used_is_named_and_a_password_never_is(tmp_path: Path, database: str) -> None:
    down = other(database, user="app:s3cret", port="1")
    no_database = other(database, user="postgres:s3cret", database="nodb")
    no_role = other(database, user="nobody-here:s3cret")
    for url, text in (
        (down, "cannot be reached"),
        (no_database, 'database "nodb" does not exist'),
        (no_role, "refuses the user"),
        (other(database, user="a:s3cret", port="99999"), "cannot be read"),
        (f"{other(database, user='a:s3cret')}?pooller=1", "did you mean 'pooler'?"),
    ):
        for words in (["hub", "list"], ["hub", "status"], ["durable", "get-instances"], ["verify"], ["keys", "list"]):
            refused = command(*words, "--store", url, folder=tmp_path)
            assert (refused.code, text in refused.err, "s3cret" in refused.err) == (3, True, False), refused
            assert len(refused.error_lines) == 1, refused
    assert "s3cret" not in command("info", "--store", down, folder=tmp_path).out


def test_a_missing_package_is_one_line(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "asyncpg" or "storage.postgres" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    for words in (["hub", "list"], ["durable", "get-instances"], ["verify"]):
        refused = command(*words, "--store", database, folder=tmp_path)
        assert (refused.code, refused.err) == (
            3, "A PostgreSQL store needs the package asyncpg: pip install 'perdure[postgres]'\n"
        )  # fmt: skip


def test_a_schema_of_a_newer_program_is_refused(app: Path, hub: str) -> None:
    assert command("hub", "create", hub, folder=app).code == 0
    run_sql(f"update \"perdure_{hub}\".setting set value = 99 where name in ('version', 'usable_from')")
    for words in (["hub", "status"], ["hub", "upgrade"], ["durable", "get-instances"], ["verify"]):
        refused = command(*words, folder=app)
        assert (refused.code, "has schema version 99" in refused.err) == (3, True), refused
        assert len(refused.error_lines) == 1


def test_the_number_of_partitions_is_for_ever(app: Path, hub: str) -> None:
    assert command("hub", "create", hub, "--partitions", "4", folder=app).code == 0
    refused = command("hub", "create", hub, "--partitions", "8", folder=app)
    assert (refused.code, "made with 4 partitions" in refused.err) == (3, True)
