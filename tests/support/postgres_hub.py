"""One hub in PostgreSQL, as somebody sees it who is no host of it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from support.host_apps import run_perdure
from support.postgres_server import looking_at


@dataclass(frozen=True)
class PostgresHub:
    """What is in its tables, and whether it is sound."""

    url: str
    name: str

    def ask(self, text: str, *arguments: Any) -> list[Any]:
        """Rows of the database; "hub." stands for the schema."""

        async def rows() -> list[Any]:
            async with looking_at(self.url) as connection:
                return await connection.fetch(text.replace("hub.", f'"perdure_{self.name}".'), *arguments)

        return asyncio.run(rows())

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
