"""Payloads in one SQLite file, which clients and workers of a machine share."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from durabletask.payload.packing import PayloadMissing, checked, name_in, name_of, packed
from durabletask.payload.store import LargePayloadStorageOptions, PayloadStore

PREFIX = "sqlite:v1:"
BUSY_SECONDS = 30.0

_TABLE = """
create table if not exists payload (
    name text primary key,
    data blob not null,
    instance_id text,
    stored_at text not null default current_timestamp
)
"""


class SqlitePayloadStore(PayloadStore):
    """Keeps payloads in the table ``payload`` of the file ``path``, which is made when it is needed.

    The same bytes are one row. A row is on disk when its token is given. Nothing is removed: rows whose ``stored_at``
    lies before the hub's oldest instance may be deleted. Not the hub's own file, which one process holds.
    """

    def __init__(self, path: str | os.PathLike[str], options: LargePayloadStorageOptions | None = None) -> None:
        self._path = Path(path)
        self._options = options or LargePayloadStorageOptions()

    @property
    def options(self) -> LargePayloadStorageOptions:
        """See ``PayloadStore``."""
        return self._options

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        """See ``PayloadStore``. Raises sqlite3.Error and OSError."""
        name = name_of(data)
        stored = packed(data) if self._options.enable_compression else data
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as database:
            database.execute(_TABLE)
            database.execute(
                "insert into payload (name, data, instance_id) values (?, ?, ?) "
                "on conflict (name) do update set stored_at = current_timestamp",
                (name, stored, instance_id),
            )
        return PREFIX + name

    def download(self, token: str) -> bytes:
        """See ``PayloadStore``. Raises sqlite3.Error, PayloadMissing and PayloadDamaged."""
        name = name_in(token, PREFIX)
        if name is None:
            raise PayloadMissing(f"'{token}' is no token of a SqlitePayloadStore.")
        row: tuple[bytes] | None = None
        if self._path.exists():
            with self._connected() as database:
                database.execute(_TABLE)
                row = database.execute("select data from payload where name = ?", (name,)).fetchone()
        if row is None:
            raise PayloadMissing(
                f"The payload '{token}' is not in {self._path.absolute()}. Clients and workers of a task hub need the "
                "same file."
            )
        return checked(row[0], name, token)

    def is_known_token(self, value: str) -> bool:
        """See ``PayloadStore``."""
        return name_in(value, PREFIX) is not None

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A transaction on a connection of its own: any thread may ask, and payloads this large are rare."""
        with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as database, database:
            database.execute("pragma synchronous = full")
            yield database
