"""What names its rows finds them by their keys, however many it names and however many others there are."""

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from perdure.contracts.records import InstanceFilter, PageKey
from perdure.core.instance import InstanceKind
from perdure.core.status import RuntimeStatus
from perdure.storage.migrations import migrate_sqlite, read_migrations
from perdure.storage.sqlite.pages import FEW_IDS, page_query
from perdure.storage.sqlite.statements import SQL
from perdure.storage.sqlite.tables import APPLICATION_ID, MIGRATIONS
from support.sqlite_store import outside

KEYED = sorted(name for name, text in SQL.items() if ":list" in text or "json_each" in text)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A hub without instances."""
    with outside(tmp_path_factory.mktemp("empty") / "hub.db") as connection:
        migrate_sqlite(connection, "x", read_migrations(MIGRATIONS), APPLICATION_ID)
        yield connection


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A hub of more instances than are few."""
    with outside(tmp_path_factory.mktemp("grown") / "hub.db") as connection:
        migrate_sqlite(connection, "x", read_migrations(MIGRATIONS), APPLICATION_ID)
        connection.create_function("casefold", 1, str.casefold)
        connection.execute("begin")
        connection.executemany(
            "insert into instance (id, kind, name, execution_id, created_at, generation, origin_crc, status,"
            " updated_at, last_seq, progress_crc) values (?, 0, 'flow', 'x', 0, 0, 0, 1, 0, -1, 0)",
            [(f"many{n}",) for n in range(FEW_IDS + 1)],
        )
        connection.execute("commit")
        yield connection


@pytest.mark.parametrize("count", [1, 8, 500, 1024])
@pytest.mark.parametrize("name", KEYED)
def test_rows_that_are_named_are_found_by_their_keys(empty: sqlite3.Connection, name: str, count: int) -> None:
    marks = ",".join("?" * count)
    text = SQL[name].replace(":list", marks)
    found_in = re.findall(r"(?:from|join|update) (instance|history|inbox|activity)", text)
    values = ["[1]"] * text.count("?")
    steps = [row[3] for row in empty.execute(f"explain query plan {text}", values)]

    assert found_in
    for table in found_in:
        [step] = [step for step in steps if re.match(rf"(SEARCH|SCAN) {table}\b", step)]
        assert re.search(r"\((rowid|id|instance|target)=\?", step), f"{name} with {count}: {step}"


AFTER = PageKey(datetime(2026, 1, 1, tzinfo=UTC), "x")
RARE = frozenset({RuntimeStatus.Failed, RuntimeStatus.Suspended})


@pytest.mark.parametrize("after", [None, AFTER], ids=["first", "next"])
@pytest.mark.parametrize(
    ("filter_", "index"),
    [
        (InstanceFilter(), "instance_by_creation"),
        (InstanceFilter(created_from=AFTER.created_at), "instance_by_creation"),
        (InstanceFilter(statuses=frozenset({RuntimeStatus.Completed})), "instance_by_creation"),
        (InstanceFilter(statuses=RARE), "instance_by_status"),
        (InstanceFilter(statuses=RARE, name="order", created_from=AFTER.created_at), "instance_by_status"),
        (InstanceFilter(statuses=RARE, id_prefix="many"), "instance_by_status"),
        (InstanceFilter(id_prefix="many"), "instance_by_creation"),
        (InstanceFilter(id_prefix="few"), "sqlite_autoindex_instance_1"),
        (InstanceFilter(id_prefix="few", statuses=RARE), "sqlite_autoindex_instance_1"),
        (InstanceFilter(InstanceKind.ENTITY, id_prefix="@few@"), "sqlite_autoindex_instance_1"),
        (InstanceFilter(InstanceKind.ENTITY, statuses=RARE), "instance_by_creation"),
    ],
)
def test_a_page_is_read_by_the_index_of_what_is_asked_for(
    grown: sqlite3.Connection, filter_: InstanceFilter, index: str, after: PageKey | None
) -> None:
    text, parameters = page_query(grown.cursor(), filter_, after)
    steps = [row[3] for row in grown.execute(f"explain query plan {text}", (*parameters, 101))]

    searches = [step for step in steps if re.match(r"(SEARCH|SCAN) instance\b", step)]
    assert searches
    for step in searches:
        assert f"USING INDEX {index}" in step, steps
        assert after is None or "autoindex" in index or "(created_at,id)>(?,?)" in step, steps
