"""Any text comes back as it was, or is refused before anything is written (reliability.md M7)."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.contracts.errors import CheckpointRefused
from perdure.contracts.records import InstanceFilter
from perdure.core.messages import RaiseEvent
from perdure.storage.changes import Changes
from support.shared_tables_stage import MemoryHub, Party, PostgresHub
from support.stored_instances import creation, raised

TEXTS = st.text(st.characters(categories=None), max_size=60) | st.sampled_from(
    ["\0", "\ud800", "\U0010ffff", "'\\\"", "NULL"]
)
"""Surrogates and NUL, too."""


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[asyncio.Runner, list[Party]]]:
    """The reference model and PostgreSQL, each with everything held."""
    with asyncio.Runner() as runner:
        parties = [Party(MemoryHub().tables()), Party(PostgresHub().tables())]
        for party in parties:
            runner.run(party.begin(range(32)))
        yield runner, parties
        for party in parties:
            runner.run(party.tables.close())


@given(text=TEXTS)
def test_a_message_comes_back_as_it_was_or_is_refused(both: tuple[asyncio.Runner, list[Party]], text: str) -> None:
    runner, (model, postgres) = both

    async def sent(party: Party) -> str | None:
        try:
            await party.send(raised("a", text, text))
        except CheckpointRefused:
            assert await party.inbox("a") == []
            return None
        [envelope] = await party.inbox("a")
        assert isinstance(envelope.message, RaiseEvent)
        assert envelope.message.name == envelope.message.input == text
        assert envelope.position is not None
        await party.write(Changes(consumed=[envelope.position]), "a")
        return text

    kept = runner.run(sent(postgres))
    assert kept == runner.run(sent(model))
    # A message is JSON, which has a NUL escaped.
    assert (kept is None) == any("\ud800" <= character <= "\udfff" for character in text)


@given(text=TEXTS)
def test_whatever_names_an_instance_finds_it_or_nothing(both: tuple[asyncio.Runner, list[Party]], text: str) -> None:
    runner, (_, postgres) = both

    async def scenario() -> None:
        tables = postgres.tables
        found = await tables.get(text)
        if found is None:
            try:
                await postgres.create(creation(text, name=text, text=text))
            except CheckpointRefused:
                assert await tables.statuses_of([text]) == {}
                assert (
                    await tables.query(InstanceFilter(id_prefix=text, name=text), 5, None)
                ).records == [] or not text
                return
        record = await tables.get(text)
        assert record is not None
        assert (record.origin.instance_id, record.origin.name, record.origin.input) == (text, text, text)
        page = await tables.query(InstanceFilter(id_prefix=text, name=text.swapcase()), 5, None)
        if text.swapcase().casefold() == text.casefold():
            assert text in [each.origin.instance_id for each in page.records]

    runner.run(scenario())
