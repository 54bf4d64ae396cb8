"""What names its rows finds them by their keys, however many it names and however many others there are."""

import re
from pathlib import Path

import pytest

from perdure.storage.migrations import migrate_sqlite, read_migrations
from perdure.storage.sqlite.statements import SQL
from perdure.storage.sqlite.tables import APPLICATION_ID, MIGRATIONS
from support.sqlite_store import outside

KEYED = sorted(name for name, text in SQL.items() if ":list" in text or "json_each" in text)


@pytest.mark.parametrize("count", [1, 8, 500, 1024])
@pytest.mark.parametrize("name", KEYED)
def test_rows_that_are_named_are_found_by_their_keys(tmp_path: Path, name: str, count: int) -> None:
    marks = ",".join("?" * count)
    text = SQL[name].replace(":list", marks)
    found_in = re.findall(r"(?:from|join) (instance|history|inbox|activity)", text)
    with outside(tmp_path / "hub.db") as connection:
        migrate_sqlite(connection, "x", read_migrations(MIGRATIONS), APPLICATION_ID)
        values = ["[1]"] * text.count("?")
        steps = [row[3] for row in connection.execute(f"explain query plan {text}", values)]

    assert found_in
    for table in found_in:
        [step] = [step for step in steps if re.match(rf"(SEARCH|SCAN) {table}\b", step)]
        assert re.search(r"\((rowid|id|instance|target)=\?", step), f"{name} with {count}: {step}"
