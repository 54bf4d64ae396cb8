"""The server goes on from an earlier moment: who has more in memory begins anew. `make faults` does it by a standby."""

import asyncio
import uuid
from urllib.parse import urlsplit

import pytest

from perdure.contracts.errors import CheckpointRefused
from perdure.storage.changes import Changes
from perdure.storage.postgres import timelines
from perdure.storage.shared.tables import ProcessBuried
from support.postgres_server import looking_at, shared_server
from support.shared_tables_stage import Parties, PostgresHub, id_in
from support.stored_instances import names, raised

TOLD = "select current_setting('perdure.timeline', true)"
"""Stands for the server's own word: what is said of a role is seen by its next sessions, as after a failover."""


class Role:
    """A user of the test run's server, whose sessions can be told another timeline."""

    def __init__(self) -> None:
        self.name = f"u{uuid.uuid4().hex[:12]}"
        parts = urlsplit(shared_server())
        self.url = parts._replace(netloc=f"{self.name}@{parts.hostname}:{parts.port}").geturl()

    async def begin(self) -> None:
        await self.say(f"create role {self.name} superuser login")
        await self.move("00000001")

    async def move(self, timeline: str) -> None:
        """All connections end, as when the server goes."""
        await self.say(
            f"alter role {self.name} set perdure.timeline = '{timeline}'",
            f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = '{self.name}'",
        )

    async def say(self, *statements: str) -> None:
        async with looking_at(shared_server()) as outside:
            for statement in statements:
                await outside.execute(statement)


def test_who_began_on_another_timeline_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        role = Role()
        await role.begin()
        parties = Parties(PostgresHub(role.url))
        try:
            owner = await parties.join(range(32))
            target = id_in(owner, range(32))
            await owner.send(raised(target, "kept"))
            await role.move("00000002")
            assert await owner.tables.renew(owner.process, 10, runs=True) is None
            with pytest.raises(ProcessBuried):
                await owner.send(raised(target, "from memory"))
            # Nothing keeps others from what it held.
            other = await parties.join(range(32))
            assert len(other.epochs) == 32
            assert names(await other.inbox(target)) == ["kept"]
            assert await other.tables.renew(other.process, 10, runs=True) is not None
        finally:
            await parties.close()

    monkeypatch.setattr(timelines, "_TIMELINE", TOLD)
    asyncio.run(scenario())


def test_a_write_on_what_is_gone_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        role = Role()
        await role.begin()
        parties = Parties(PostgresHub(role.url))
        try:
            owner = await parties.join(range(32))
            gone = Changes(consumed=[owner.number()])
            with pytest.raises(CheckpointRefused, match="0 of them are in the inbox"):
                await owner.write(gone)
            await role.move("00000002")
            with pytest.raises(ProcessBuried):
                await owner.write(gone)
        finally:
            await parties.close()

    monkeypatch.setattr(timelines, "_TIMELINE", TOLD)
    asyncio.run(scenario())


def test_a_server_that_does_not_tell_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        role = Role()
        await role.begin()
        parties = Parties(PostgresHub(role.url))
        try:
            owner = await parties.join(range(32))
            await role.move("00000002")
            assert await owner.tables.renew(owner.process, 10, runs=True) is not None
        finally:
            await parties.close()

    monkeypatch.setattr(timelines, "_TIMELINE", "select pg_there_is_no_such_function()")
    asyncio.run(scenario())
