"""Behind a pooler in transaction mode no session is ours: nothing may be kept there, and nobody can listen."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes
from perdure.storage.options import Durability, StorageOptions
from perdure.storage.shared.tables import Hint
from support.postgres_server import shared_server
from support.shared_tables_stage import Parties, PostgresHub
from support.stored_instances import T0, creation, later, names, raised
from support.transaction_pooler import TransactionPooler


def pooled(
    scenario: Callable[[TransactionPooler], Awaitable[None]], sessions: int, refused: str | None = "jit"
) -> None:
    async def within() -> None:
        async with asyncio.timeout(30), TransactionPooler(shared_server(), sessions, refused).running() as pooler:
            await scenario(pooler)

    asyncio.run(within())


@pytest.mark.parametrize("refused", ["jit", None], ids=["it refuses settings", "it ignores settings"])
def test_a_pooler_is_noticed_and_told_of(refused: str | None) -> None:
    async def scenario(pooler: TransactionPooler) -> None:
        tables = PostgresHub(pooler.url).tables()
        await tables.open()
        assert "behind a transaction pooler: no notifications, looks 10 times a second" in tables.describe()
        await tables.close()

    pooled(scenario, sessions=1, refused=refused)


def test_everything_works_in_sessions_that_change_with_each_transaction() -> None:
    async def scenario(pooler: TransactionPooler) -> None:
        options = StorageOptions(durability=Durability.RELAXED)
        parties = Parties(PostgresHub(f"{pooler.url}?pooler=transaction", options))
        owner, other = await parties.join(range(16)), await parties.join(range(16, 32))
        begun = await owner.start("a")
        pending = owner.activity(begun)
        await owner.advance(begun, activities=[pending])
        await owner.create(creation("b"))
        for n in range(20):
            await (owner, other)[n % 2].send(raised("a", str(n)))
        child = other.numbered(creation("a", if_taken=raised("b", "taken")))
        outcome = await other.write(Changes(children=[child]))
        assert outcome.taken == {child.position}
        assert names(await owner.inbox("a")) == [str(n) for n in range(20)]
        assert len(await other.tables.history("a")) == 3
        assert await other.tables.statuses_of(["a", "b"]) == {"a": RuntimeStatus.Running, "b": RuntimeStatus.Pending}
        backlog, _ = await owner.tables.recover(range(32), T0, later(5))
        assert backlog.activities == [pending]
        assert [finding async for finding in owner.tables.verify(liveness=False)] == []
        await parties.close()
        assert pooler.transactions > 30

    pooled(scenario, sessions=3)


def test_who_cannot_be_told_looks_by_itself() -> None:
    async def scenario(pooler: TransactionPooler) -> None:
        parties = Parties(PostgresHub(f"{pooler.url}?pooler=transaction"))
        owner = await parties.join(range(32))
        heard: asyncio.Queue[Hint] = asyncio.Queue()
        owner.tables.listen(owner.process, heard.put_nowait)
        for _ in range(2):
            hint = await heard.get()
            assert (hint.has_arrivals, hint.has_offers, hint.has_errands, hint.has_partitions) == (True,) * 4
        await owner.tables.hint(owner.process, Hint(sender=1))
        await parties.close()

    pooled(scenario, sessions=2)
