"""The statements of queries.sql, ready to run with few or many rows."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain

from perdure.storage.rows import Row, Value
from perdure.storage.sql_files import named_statements, read_text

SQL = named_statements(read_text("perdure.storage.sqlite", "queries.sql"))
"""Name → text."""

_CHUNKS = tuple(1 << power for power in range(10, -1, -1))


class ManyRows:
    """A statement over ``values (…), (…)``. Few texts, since each is prepared once: powers of two of rows."""

    def __init__(self, name: str, columns: int) -> None:
        self._text = SQL[name]
        self._row = f"({','.join('?' * columns)})"
        self._by_count: dict[int, str] = {}

    def run(self, cursor: sqlite3.Cursor, rows: Sequence[Sequence[Value]]) -> int:
        """Run it for all rows; returns how many rows it changed."""
        changed = first = 0
        total = len(rows)
        for count in _CHUNKS:
            while total - first >= count:
                part = rows[first : first + count] if count != total else rows
                cursor.execute(self._by_count.get(count) or self._make(count), tuple(chain.from_iterable(part)))
                changed += cursor.rowcount
                first += count
        return changed

    def _make(self, count: int) -> str:
        text = self._by_count[count] = self._text.replace(":rows", ",".join([self._row] * count))
        return text


class ManyValues:
    """A statement over ``in (…)``, for texts: their JSON form would lose what SQLite cannot hold in JSON."""

    def __init__(self, name: str) -> None:
        self._text = SQL[name]
        self._by_count: dict[int, str] = {}

    def run(self, cursor: sqlite3.Cursor, values: Sequence[str]) -> None:
        """For statements without rows."""
        for _ in self._executed(cursor, values):
            pass

    def rows(self, cursor: sqlite3.Cursor, values: Sequence[str]) -> list[Row]:
        """For queries."""
        found: list[Row] = []
        for executed in self._executed(cursor, values):
            found += executed.fetchall()
        return found

    def _executed(self, cursor: sqlite3.Cursor, values: Sequence[str]) -> Iterator[sqlite3.Cursor]:
        first = 0
        total = len(values)
        for count in _CHUNKS:
            while total - first >= count:
                text = self._by_count.get(count)
                if text is None:
                    text = self._by_count[count] = self._text.replace(":list", ",".join("?" * count))
                yield cursor.execute(text, values[first : first + count])
                first += count


def numbers_text(numbers: Sequence[int]) -> str:
    """The JSON array that ``json_each`` takes."""
    return f"[{','.join(map(str, numbers))}]"
