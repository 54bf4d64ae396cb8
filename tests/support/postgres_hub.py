"""One hub in PostgreSQL, as somebody sees it who is no host of it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.host_apps import run_perdure
from support.postgres_server import looking_at


@dataclass(frozen=True)
class PostgresHub:
    """What is in its tables, and whether it is sound."""

    url: str
    name: str

    @property
    def _schema(self) -> str:
        return f"perdure_{self.name}"

    def ask(self, text: str, *arguments: Any) -> list[Any]:
        """Rows of the database; "hub." stands for the schema."""

        async def rows() -> list[Any]:
            async with looking_at(self.url) as connection:
                return await connection.fetch(text.replace("hub.", f'"{self._schema}".'), *arguments)

        return asyncio.run(rows())

    def keep(self, folder: Path) -> None:
        """Write all that is in its tables down, a file for each: evidence, once something is wrong."""
        folder.mkdir(parents=True, exist_ok=True)
        for row in self.ask("select table_name from information_schema.tables where table_schema = $1", self._schema):
            lines = self.ask(f'select to_jsonb(t)::text as line from hub."{row["table_name"]}" t')
            text = "".join(f"{line['line']}\n" for line in lines)
            (folder / f"{row['table_name']}.jsonl").write_text(text, encoding="utf-8")

    def owners(self) -> dict[int, set[int]]:
        """Process id → the partitions it holds by a lease that is not over."""
        found: dict[int, set[int]] = {}
        for row in self.ask(
            "select number, (select name from hub.process p where p.number = owner and expires_at > now()) as name "
            "from hub.partition"
        ):
            if row["name"] is not None:
                found.setdefault(int(row["name"].rpartition("/")[2]), set()).add(row["number"])
        return found

    def verify(self) -> None:
        """The store must be sound, and nobody waits for what will never come."""
        ended = run_perdure("verify", "--store", self.url, "--task-hub-name", self.name, "--liveness", limit=300)
        assert (ended.code, ended.out.strip()) == (0, "The store is sound."), ended
