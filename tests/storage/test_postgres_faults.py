"""Connections that break, a server that restarts, transactions that are rolled back: nothing is lost or doubled."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import TypeVar

import pytest
from benchmarks.postgres_cluster import Cluster

from perdure.contracts.errors import StoreUnusable, Unavailable
from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import Offer
from perdure.contracts.records import InstanceFilter, Page
from perdure.core.messages import ActivityCompleted, Envelope
from perdure.storage.changes import Changes, Placed
from perdure.storage.postgres import lines, tables
from perdure.storage.shared.tables import IdsTaken, ProcessBuried
from support.cutting_proxy import Cut, CuttingProxy
from support.postgres_server import looking_at, quick_folder, shared_server
from support.shared_tables_stage import Parties, Party, PostgresHub, id_in
from support.stored_instances import creation, names, raised

T = TypeVar("T")

WRITES = 24


@asynccontextmanager
async def behind_proxy() -> AsyncIterator[tuple[Parties, CuttingProxy]]:
    async with CuttingProxy(shared_server()).running() as proxy:
        parties = Parties(PostgresHub(proxy.url))
        try:
            yield parties, proxy
        finally:
            await parties.close()


def run(scenario: Callable[[], Awaitable[None]], seconds: float = 60) -> None:
    async def limited() -> None:
        async with asyncio.timeout(seconds):
            await scenario()

    asyncio.run(limited())


@pytest.mark.parametrize("k", range(1, 21))
def test_no_write_is_lost_or_doubled_when_each_kth_answer_is(k: int) -> None:
    async def scenario() -> None:
        async with behind_proxy() as (parties, proxy):
            owner = await parties.join(range(32))
            target = id_in(owner, range(32))
            kinds = cycle([Cut.ANSWER, Cut.AT_ONCE, Cut.ANSWER, Cut.REQUEST])
            for n in range(WRITES):
                if n % k == k - 1:
                    proxy.cut_next(next(kinds))
                await owner.send(raised(target, str(n)))
            assert proxy.cuts == WRITES // k
            assert names(await owner.inbox(target)) == [str(n) for n in range(WRITES)]

    run(scenario)


def test_what_came_true_is_told_also_when_the_answer_is_lost() -> None:
    async def scenario() -> None:
        async with behind_proxy() as (parties, proxy):
            owner = await parties.join(range(32))
            await owner.create(creation("a"))
            # So that each call below has its statements ready, and the next thing asked is the call.
            await owner.claim([])
            proxy.cut_next(Cut.ANSWER)
            child = owner.numbered(creation("a"))
            outcome = await owner.write(Changes(children=[child], kept=owner.placed(raised("a"))), "a")
            assert outcome.taken == {child.position}
            proxy.cut_next(Cut.ANSWER)
            with pytest.raises(IdsTaken):
                await owner.create(creation("a"))
            begun = await owner.start("b")
            pending = owner.activity(begun)
            await owner.advance(begun, activities=[pending])
            offer = Offer(
                number=pending.number,
                kind=ServedKind.ACTIVITY,
                name="w",
                instance_id="b",
                partition=owner.partition_of("b"),
                body="",
            )
            proxy.cut_next(Cut.ANSWER)
            await owner.tables.offer(owner.process, [offer], owner.fence("b"))
            proxy.cut_next(Cut.ANSWER)
            [claimed] = await owner.tables.claim_offers(owner.process, [offer.key], 10)
            assert claimed.offer == offer
            await owner.tables.give_up_offers([claimed])
            proxy.cut_next(Cut.ANSWER)
            assert await owner.tables.withdraw(owner.process, [offer.number], owner.fence("b")) == {offer.number}
            proxy.cut_next(Cut.ANSWER)
            [claimed] = await owner.tables.offer_claimed(owner.process, [offer], owner.fence("b"))
            ended = Envelope("b", ActivityCompleted(begun.origin.execution_id, 0, "1"))
            handed_in = [(claimed, Placed(owner.number(), ended))]
            assert await owner.tables.finish_offers(owner.process, handed_in) == {offer.number}
            proxy.cut_next(Cut.ANSWER)
            await owner.tables.give_back(owner.process, {3: 1})
            proxy.cut_next(Cut.ANSWER)
            assert await owner.tables.claim(owner.process, [3]) == {3: 2}

    run(scenario)


def test_what_was_handed_in_counts_once_also_when_the_answer_is_lost() -> None:
    async def scenario() -> None:
        async with behind_proxy() as (parties, proxy):
            owner = await parties.join(range(32))
            begun = await owner.start("b")
            pending = [owner.activity(begun, seq) for seq in range(3)]
            await owner.advance(begun, activities=pending)
            offers = [
                Offer(
                    number=activity.number,
                    kind=ServedKind.ACTIVITY,
                    name="w",
                    instance_id="b",
                    partition=owner.partition_of("b"),
                    body="",
                )
                for activity in pending
            ]
            await owner.tables.offer(owner.process, offers, owner.fence("b"))
            claimed = await owner.tables.claim_offers(owner.process, [offers[0].key], 10)
            ended = [
                (one, Placed(owner.number(), Envelope("b", ActivityCompleted(begun.origin.execution_id, seq, "1"))))
                for seq, one in enumerate(claimed)
            ]
            proxy.cut_next(Cut.ANSWER)
            counted = await owner.tables.finish_offers(owner.process, ended)
            assert counted == {activity.number for activity in pending}
            assert len(await owner.inbox("b")) == 3

    run(scenario)


def test_a_process_buried_while_its_answer_was_lost_learns_both() -> None:
    """What had come true before it was buried did; what had not never will."""

    async def scenario() -> None:
        async with behind_proxy() as (parties, proxy):
            assert isinstance(parties.hub, PostgresHub)
            direct = PostgresHub(name=parties.hub.name)
            owner, other = await parties.join(range(32), lease_seconds=0), await parties.join(hub=direct)
            target = id_in(owner, range(32))
            await owner.send(raised(target, "before"))
            proxy.cut_next(Cut.ANSWER)
            writing = asyncio.create_task(owner.send(raised(target, "lost answer")))
            while not writing.done() and len(await other.inbox(target)) < 2:  # noqa: ASYNC110 - a row tells nobody
                await asyncio.sleep(0)
            assert await other.tables.bury(owner.process)
            await writing
            with pytest.raises(ProcessBuried):
                await owner.send(raised(target, "after"))
            assert names(await other.inbox(target)) == ["before", "lost answer"]

    run(scenario)


def test_sessions_that_the_server_ends_are_made_anew() -> None:
    async def scenario() -> None:
        parties = Parties(PostgresHub())
        try:
            owner = await parties.join(range(32))
            target = id_in(owner, range(32))
            async with looking_at(shared_server()) as outside:
                for n in range(20):
                    sending = asyncio.create_task(owner.send(raised(target, str(n))))
                    await asyncio.sleep(0)
                    await outside.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
                        f"perdure {parties.hub.name}",  # type: ignore[attr-defined]
                    )
                    await sending
            assert names(await owner.inbox(target)) == [str(n) for n in range(20)]
        finally:
            await parties.close()

    run(scenario)


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_transactions_that_are_rolled_back_are_tried_again(state: str) -> None:
    async def scenario() -> None:
        hub = PostgresHub()
        parties = Parties(hub)
        try:
            owner = await parties.join(range(32))
            target = id_in(owner, range(32))
            await injected(hub, state, every=10)
            for n in range(50):
                await owner.send(raised(target, str(n)))
            assert names(await owner.inbox(target)) == [str(n) for n in range(50)]
            await injected(hub, state, every=1)
            with pytest.raises(Unavailable):
                await owner.send(raised(target, "never"))
            assert len(await owner.inbox(target)) == 50
        finally:
            await parties.close()

    run(scenario)


async def injected(hub: PostgresHub, state: str, *, every: int) -> None:
    """Each so-manyth insert into an inbox fails."""
    schema = f"perdure_{hub.name}"
    async with looking_at(hub.url) as outside:
        await outside.execute(
            f"""
            create sequence if not exists {schema}.tries;
            create or replace function {schema}.fail() returns trigger language plpgsql as $$
            begin
                if nextval('{schema}.tries') % {every} = 0 then
                    raise exception 'injected' using errcode = '{state}';
                end if;
                return new;
            end $$;
            create or replace trigger fail before insert on {schema}.inbox
                for each row execute function {schema}.fail();
            """
        )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_restarted_server_is_used_again_and_nothing_is_lost_or_doubled(how: signal.Signals) -> None:
    folder = Path(tempfile.mkdtemp(prefix="perdure-pg-", dir=quick_folder()))
    cluster = Cluster(folder)

    async def scenario() -> None:
        parties = Parties(PostgresHub(cluster.url))
        try:
            owner = await parties.join(range(32))
            target = id_in(owner, range(32))
            accepted: list[str] = []
            refused = 0

            async def send_all() -> None:
                nonlocal refused
                for n in range(400):
                    try:
                        await owner.send(raised(target, str(n)))
                        accepted.append(str(n))
                    except Unavailable:
                        refused += 1
                        await asyncio.sleep(0.01)

            sending = asyncio.create_task(send_all())
            for stop in (100, 200, 300):
                while len(accepted) + refused < stop and not sending.done():  # noqa: ASYNC110 - it counts only
                    await asyncio.sleep(0)
                await asyncio.to_thread(cluster.stop, how)
                await asyncio.to_thread(cluster.start)
            await sending
            assert names(await when_reachable(lambda: owner.inbox(target))) == accepted
            assert [finding async for finding in owner.tables.verify(liveness=False)] == []
        finally:
            await parties.close()

    try:
        cluster.create()
        cluster.start()
        run(scenario)
    finally:
        cluster.stop()
        shutil.rmtree(folder)


async def when_reachable(ask: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await ask()
        except Unavailable:
            await asyncio.sleep(0.05)


def test_a_server_that_cannot_be_reached_is_told_at_once() -> None:
    async def scenario() -> None:
        async with behind_proxy() as (parties, proxy):
            owner = await parties.join(range(32))
            await owner.send(raised("a", "before"))
            async with asyncio.timeout(2), proxy.closed():
                with pytest.raises(StoreUnusable, match=r"cannot be reached.*Start it, or check the URL"):
                    await Party(parties.hub.tables()).tables.open()
                with pytest.raises(Unavailable):
                    await owner.inbox("a")
                with pytest.raises(Unavailable):
                    await owner.send(raised("a", "refused"))
            assert names(await when_reachable(lambda: owner.inbox("a"))) == ["before"]
            await owner.send(raised("a", "after"))

    run(scenario)


def test_renewing_over_a_way_that_carries_nothing_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with behind_proxy() as (parties, proxy):
            owner = await parties.join(range(32))
            proxy.swallow()
            with pytest.raises(Unavailable):
                await owner.tables.renew(owner.process, 10, runs=True)
            proxy.carry()
            assert await when_reachable(lambda: owner.tables.renew(owner.process, 10, runs=True)) is not None

    monkeypatch.setattr(tables, "KEEP_SECONDS_MAX", 0.1)
    monkeypatch.setattr(lines, "ANSWER_SECONDS", 0.1)
    run(scenario)


def test_readers_beyond_the_connections_there_are_wait_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        hub = PostgresHub()
        parties = Parties(hub)
        try:
            owner = await parties.join(range(32))
            async with looking_at(hub.url) as outside, outside.transaction():
                await outside.execute(f"lock table perdure_{hub.name}.instance in access exclusive mode")
                holding = [asyncio.create_task(listing(owner)) for _ in range(tables.READERS)]
                beyond = await asyncio.gather(*(listing(owner) for _ in range(2)), return_exceptions=True)
                assert [type(error) for error in beyond] == [Unavailable, Unavailable]
                assert all("in use" in str(error) for error in beyond)
            assert [page.records for page in await asyncio.gather(*holding)] == [[]] * tables.READERS
        finally:
            await parties.close()

    async def listing(owner: Party) -> Page:
        # Reads of one record are made together; each list has a connection.
        return await owner.tables.query(InstanceFilter(), 10, None)

    monkeypatch.setattr(lines, "ROOM_SECONDS_MAX", 0.2)
    run(scenario)


def test_a_caller_that_goes_away_leaves_the_next_one_in_order() -> None:
    async def scenario() -> None:
        parties = Parties(PostgresHub())
        try:
            owner = await parties.join(range(32))
            target = id_in(owner, range(32))
            for n in range(20):
                leaving = asyncio.create_task(owner.send(raised(target, f"maybe {n}")))
                for _ in range(n % 5):
                    await asyncio.sleep(0)
                leaving.cancel()
                await owner.send(raised(target, str(n)))
            found = names(await owner.inbox(target))
            assert [name for name in found if not name.startswith("maybe")] == [str(n) for n in range(20)]
            assert len(found) == len(set(found))
        finally:
            await parties.close()

    run(scenario)
