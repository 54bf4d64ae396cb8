"""A hub that was restored from a dump: its rows carry numbers of another server's transactions."""

import asyncio

import pytest

from perdure.contracts.errors import StoreUnusable
from support.postgres_server import looking_at
from support.shared_tables_stage import Parties, PostgresHub, id_in
from support.stored_instances import T0, later, names, raised


async def restored(hub: PostgresHub, *statements: str) -> None:
    """As if it had been dumped elsewhere: hosts are gone, and this was different there."""
    async with looking_at(hub.url) as outside:
        for statement in statements:
            await outside.execute(statement.replace("hub.", f"perdure_{hub.name}."))


@pytest.mark.parametrize("xid", [10**15, 3], ids=["the other server was ahead", "it was behind"])
def test_what_others_wrote_before_is_told_once(xid: int) -> None:
    async def scenario() -> None:
        hub = PostgresHub()
        parties = Parties(hub)
        try:
            former = await parties.join(range(16))
            target = id_in(former, range(16, 32))
            await former.send(raised(target, "now"))
            await former.send(raised(target, "later", due_at=later(7200)))
            await former.tables.depart(former.process)
            await restored(hub, f"update hub.inbox set xid = {xid}")

            owner, other = await parties.join(range(16, 32)), await parties.join(range(16))
            backlog, mark = await owner.tables.recover(range(16, 32), T0, later(60))
            assert (names(backlog.ready), names(backlog.due)) == (["now"], [])
            assert (await owner.tables.arrivals(range(16, 32), mark)).envelopes == []
            await other.send(raised(target, "new"))
            arrived = await owner.tables.arrivals(range(16, 32), mark)
            assert names(arrived.envelopes) == ["new"]
            found = await owner.tables.read_due(range(16, 32), later(60), later(9000))
            assert names(found) == ["later"]
        finally:
            await parties.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("delete from hub.setting", "tables without their rows: it is being restored"),
        ("delete from hub.partition", "tables without their rows: it is being restored"),
        (
            "drop table hub.inbox",
            r'is not whole: relation ".*inbox" does not exist\. If it was restored, restore it anew',
        ),
    ],
)
def test_a_hub_that_is_just_being_restored_is_refused(statement: str, says: str) -> None:
    async def scenario() -> None:
        hub = PostgresHub()
        tables = hub.tables()
        await tables.open()
        await tables.close()
        await restored(hub, statement)
        with pytest.raises(StoreUnusable, match=says):
            await tables.open()

    asyncio.run(scenario())
