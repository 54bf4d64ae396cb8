"""A store with many finished instances: real ones, and copies of them under other ids and times."""

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as counting
from pathlib import Path
from typing import Any

from perdure.storage.rows import checksum, history_checksum

BATCH = 20_000
SPACING_MICROS = 100_000
"""Between the creations of two copies."""
_FINISHED = "select * from instance where kind = 0 and completed_at is not null order by number"
_HISTORY = "select instance, first_seq, count, format, events from history where instance = ? order by first_seq"
_ORIGIN_COLUMNS, _CREATED = 13, 5


@dataclass(frozen=True, slots=True)
class FilledStore:
    """What is in it; numbers count from 0 and rise with the time of creation."""

    count: int
    bytes: int
    first_created_at: int

    def id_of(self, number: int) -> str:
        """The copy's instance id."""
        return f"grown-{number}"

    def created_at(self, number: int) -> int:
        """When the copy says it was created, in microseconds."""
        return self.first_created_at + number * SPACING_MICROS


def fill(source: Path, target: Path, *, count: int) -> FilledStore:
    """Copy the closed store ``source`` to ``target`` and add ``count`` instances made after its own."""
    shutil.copyfile(source, target)
    connection = sqlite3.connect(target, isolation_level=None)
    try:
        connection.execute("pragma journal_mode = off")
        connection.execute("pragma synchronous = off")
        connection.execute("pragma cache_size = -400000")
        models = [
            (row, connection.execute(_HISTORY, (row[0],)).fetchall())
            for row in connection.execute(_FINISHED).fetchall()
        ]
        earliest = min(row[_CREATED] for row, _ in models)
        filled = FilledStore(count, 0, earliest - count * SPACING_MICROS)
        highest = connection.execute("select max(value) from setting where name = 'numbers_reserved'").fetchone()[0]
        numbers = counting(max(highest, max(row[0] for row, _ in models) + 1))
        copies = _copies(models, filled, numbers)
        for _ in range(0, count, BATCH):
            _write(connection, copies)
        connection.execute("update setting set value = ? where name = 'numbers_reserved'", (next(numbers),))
        connection.execute("pragma journal_mode = wal")
    finally:
        connection.close()
    return FilledStore(count, target.stat().st_size, filled.first_created_at)


_Copy = tuple[tuple[Any, ...], list[tuple[Any, ...]]]


def _copies(models: list[_Copy], filled: FilledStore, numbers: "counting[int]") -> Iterator[_Copy]:
    for place in range(filled.count):
        row, episodes = models[place % len(models)]
        number = next(numbers)
        later = filled.created_at(place) - row[_CREATED]
        origin = [number, filled.id_of(place), *row[2:_ORIGIN_COLUMNS]]
        origin[_CREATED] += later
        progress = list(row[_ORIGIN_COLUMNS + 1 : -1])
        for moved in (1, 6, 7):
            # updated_at, completed_at, episode_at
            if progress[moved] is not None:
                progress[moved] += later
        record = (*origin, checksum(origin), *progress, checksum((number, *progress)))
        history = [
            (number, first, size, form, text, history_checksum(text.encode(), number, first, size, form))
            for _, first, size, form, text in episodes
        ]
        yield record, history


def _write(connection: sqlite3.Connection, copies: Iterator[_Copy]) -> None:
    records: list[tuple[Any, ...]] = []
    episodes: list[tuple[Any, ...]] = []
    for _, (record, history) in zip(range(BATCH), copies, strict=False):
        records.append(record)
        episodes += history
    connection.execute("begin")
    marks = ", ".join("?" * len(records[0]))
    connection.executemany(f"insert into instance values ({marks})", records)
    connection.executemany(
        "insert into history (instance, first_seq, count, format, events, crc) values (?, ?, ?, ?, ?, ?)", episodes
    )
    connection.execute("commit")
