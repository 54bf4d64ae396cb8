"""Hints over connections whose network vanishes: it is noticed, and whoever may have missed something looks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from perdure.storage.postgres import hints
from perdure.storage.shared.keeping import LeaseTimes
from perdure.storage.shared.tables import Hint
from support.cutting_proxy import CuttingProxy
from support.postgres_server import shared_server
from support.shared_tables_stage import Parties, Party, PostgresHub

Heard = asyncio.Queue[Hint]


@asynccontextmanager
async def two_parties() -> AsyncIterator[tuple[CuttingProxy, Party, Party]]:
    """The first one behind the proxy."""
    async with CuttingProxy(shared_server()).running() as proxy:
        hub = PostgresHub(proxy.url)
        parties = Parties(hub)
        try:
            yield proxy, await parties.join(), await parties.join(hub=PostgresHub(name=hub.name))
        finally:
            await parties.close()


async def listening(party: Party) -> Heard:
    """What it hears, after the first look at everything."""
    heard = Heard()
    party.tables.listen(party.process, heard.put_nowait)
    assert is_look(await heard.get())
    return heard


def is_look(hint: Hint) -> bool:
    return hint.has_arrivals and hint.has_offers and hint.has_errands and hint.has_partitions


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(limited())


def test_a_listening_connection_that_carries_nothing_is_noticed_and_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with two_parties() as (proxy, one, two):
            heard, _ = await listening(one), await listening(two)
            proxy.swallow_for_good()
            await two.tables.hint(one.process, Hint(sender=two.process, watched=("lost",)))
            assert is_look(await heard.get())
            sent = Hint(sender=two.process, watched=("heard",))
            await two.tables.hint(one.process, sent)
            assert await heard.get() == sent

    monkeypatch.setattr(hints, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(hints, "ANSWER_SECONDS", 0.5)
    run(scenario)


def test_a_hint_that_cannot_be_told_in_time_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with two_parties() as (proxy, one, two):
            heard, heard_by_two = await listening(one), await listening(two)
            proxy.swallow_for_good()
            await one.tables.hint(two.process, Hint(sender=one.process, watched=("lost",)))
            assert is_look(await heard.get())
            sent = Hint(sender=one.process, watched=("told",))
            await one.tables.hint(two.process, sent)
            assert await heard_by_two.get() == sent

    monkeypatch.setattr(hints, "STATEMENT_SECONDS", 0.5)
    run(scenario)


def test_a_connection_that_answers_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with two_parties() as (_, one, _):
            heard = await listening(one)
            for n in range(200):
                sent = Hint(sender=one.process, watched=(str(n),))
                await one.tables.hint(one.process, sent)
                assert await heard.get() == sent

    monkeypatch.setattr(hints, "SILENCE_SECONDS", 0.001)
    run(scenario)


def test_an_idle_process_asks_seldom_also_over_the_connection_that_listens() -> None:
    assert 1 / LeaseTimes().renewal + 1 / hints.SILENCE_SECONDS < 0.5
