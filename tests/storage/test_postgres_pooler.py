"""Behind a pooler in transaction mode no session is ours: nothing may be kept there, and nobody can listen."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes
from perdure.storage.options import Durability, StorageOptions
from perdure.storage.postgres.address import read_address
from perdure.storage.postgres.hubs import PostgresHubs
from perdure.storage.postgres.server import Server
from perdure.storage.shared.tables import Hint
from support.postgres_server import looking_at, shared_server
from support.shared_tables_stage import Parties, PostgresHub, id_in
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


@pytest.mark.parametrize("refused", ["jit", None], ids=["it refuses settings", "it ignores settings"])
def test_commands_work_in_sessions_that_change_with_each_transaction(refused: str | None) -> None:
    async def scenario(pooler: TransactionPooler) -> None:
        hub = PostgresHub().name
        hubs = PostgresHubs(pooler.url)
        assert await hubs.create(hub, 3)
        assert await hubs.exists(hub)
        await hubs.mark_served(hub)
        assert (await hubs.names())[hub] is True
        assert hub in {entry.name for entry in await hubs.entries()}
        await hubs.notes(hub).put({"a": "1", "b": "2"})
        await hubs.notes(hub).remove(["b"])
        assert await hubs.notes(hub).read("") == {"a": "1"}
        assert (await hubs.status(hub)).partition_count == 3
        assert len(set(await hubs.upgrade(hub))) == 1
        await hubs.drop(hub)
        assert not await hubs.exists(hub)

    pooled(scenario, sessions=3, refused=refused)


def test_who_cannot_be_told_looks_by_itself() -> None:
    async def scenario(pooler: TransactionPooler) -> None:
        parties = Parties(PostgresHub(f"{pooler.url}?pooler=transaction"))
        owner, other = await parties.join(range(16)), await parties.join(range(16, 32))
        heard: asyncio.Queue[Hint] = asyncio.Queue()
        owner.tables.listen(owner.process, heard.put_nowait)
        assert await heard.get() == Hint(sender=owner.process, has_partitions=True)
        await other.tables.give_back(other.process, other.epochs)
        assert await heard.get() == Hint(sender=owner.process, has_partitions=True)
        await other.send(raised(id_in(owner, range(16))))
        for _ in range(2):
            # Until the row is gone.
            assert await heard.get() == Hint(sender=owner.process, has_arrivals=True)
        await parties.close()

    pooled(scenario, sessions=2)


def test_who_waits_for_an_instance_of_others_looks_at_all() -> None:
    async def scenario(pooler: TransactionPooler) -> None:
        parties = Parties(PostgresHub(f"{pooler.url}?pooler=transaction"))
        owner = await parties.join(range(32))
        heard: asyncio.Queue[Hint] = asyncio.Queue()
        owner.tables.listen(owner.process, heard.put_nowait)
        await owner.tables.hint(owner.process + 1, Hint(sender=owner.process, watched=("a",)))
        for _ in range(3):
            assert (await heard.get()).has_partitions
        await parties.close()

    pooled(scenario, sessions=2)


def test_a_look_that_fails_is_followed_by_another() -> None:
    async def scenario(pooler: TransactionPooler) -> None:
        hub = PostgresHub(f"{pooler.url}?pooler=transaction")
        parties = Parties(hub)
        owner = await parties.join(range(32))
        heard: asyncio.Queue[Hint] = asyncio.Queue()
        owner.tables.listen(owner.process, heard.put_nowait)
        async with looking_at(shared_server()) as outside:
            await outside.execute(f"alter table perdure_{hub.name}.errand rename to elsewhere")
            looked = pooler.transactions
            while pooler.transactions < looked + 3:  # noqa: ASYNC110 - the pooler only counts
                await asyncio.sleep(0.01)
            await outside.execute(f"alter table perdure_{hub.name}.elsewhere rename to errand")
        assert (await heard.get()).has_partitions
        await parties.close()

    pooled(scenario, sessions=2)


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_what_the_url_says_of_a_pooler_is_believed(mode: str) -> None:
    async def scenario() -> None:
        tables = PostgresHub(f"{shared_server()}?pooler={mode}").tables()
        await tables.open()
        says = {"session": "a pooler that keeps sessions", "transaction": "a transaction pooler"}[mode]
        assert f"behind {says}" in tables.describe()
        number = await tables.announce("x", 10)
        assert await tables.renew(number, 10, runs=True) is not None
        await tables.close()

    asyncio.run(scenario())


def test_settings_that_a_pooler_keeps_from_a_session_are_made_in_it() -> None:
    """The limits and the durability are ours, not those of the role."""

    async def scenario() -> None:
        options = StorageOptions(durability=Durability.RELAXED)
        address = read_address(f"{shared_server()}?pooler=session")
        server = Server(address, "here", "perdure", options.durability)
        pair = await server.first_connections(30, 3)
        later = await server.connection(7)
        found = [
            [await connection.fetchval(f"show {name}") for name in ("statement_timeout", "synchronous_commit", "jit")]
            for connection in (*pair, later)
        ]
        assert found == [["30s", "off", "off"], ["3s", "off", "off"], ["7s", "off", "off"]]
        for connection in (*pair, later):
            await connection.close()

    asyncio.run(scenario())
