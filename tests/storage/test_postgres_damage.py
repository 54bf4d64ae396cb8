"""Damaged rows are found, at load and by ``verify``, and concern only their instance (reliability.md D10)."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from perdure.contracts.errors import HistoryCorrupted, StoreFailed
from perdure.contracts.records import DamagedInstance, Finding, FindingKind, StoredInstance
from perdure.core.checkpoint import Checkpoint
from perdure.storage.options import StorageOptions
from perdure.storage.postgres.schema import Schema
from perdure.storage.shared.tables import SharedTables
from support.postgres_server import looking_at
from support.shared_tables_stage import Parties, PostgresHub
from support.stored_instances import T0, later, raised

IDS = ("victim", "n0", "n1")
TEXTS = ("id", "name", "execution_id", "input", "awaited_events")
NUMBERS = ("kind", "created_at", "generation", "origin_crc", "status", "updated_at", "last_seq", "episode_at", "number")
VICTIM = "(select number from hub.instance where id = 'victim')"


@pytest.fixture(scope="module")
def sound() -> Iterator[PostgresHub]:
    """A hub with a victim to be and its neighbours, rows in every table."""
    hub = PostgresHub(options=StorageOptions(partitions=2))

    async def build() -> None:
        parties = Parties(hub)
        party = await parties.join(range(2))
        for name in IDS:
            begun: Checkpoint = await party.start(name)
            grown = await party.advance(begun, activities=[party.activity(begun)])
            await party.advance(grown)
            await party.send(raised(name, "go", '"é"'), raised(name, "later", due_at=later(60)))
        await parties.close()

    asyncio.run(build())
    yield hub

    async def drop() -> None:
        async with looking_at(hub.url) as outside:
            await outside.execute(f'drop schema "perdure_{hub.name}" cascade')

    asyncio.run(drop())


def damaged(hub: PostgresHub, *statements: str, liveness: bool = False) -> tuple[list[Finding], object, object]:
    """What ``verify``, loading and recovering say of the hub with these changes, which are taken back afterwards."""

    async def scenario() -> tuple[list[Finding], object, object]:
        place = Schema(hub.name).placed
        async with looking_at(hub.url) as outside:
            # Copies of the tables; a second connection must see what is changed, so it is committed.
            tables = ("instance", "history", "inbox", "activity")
            for table in tables:
                await outside.execute(place(f"create table hub.kept_{table} as table hub.{table}"))
            try:
                for statement in statements:
                    await outside.execute(place(statement))
                return await looked(hub.tables(), liveness)
            finally:
                for table in tables:
                    await outside.execute(
                        place(
                            f"delete from hub.{table}; insert into hub.{table} table hub.kept_{table}; "
                            f"drop table hub.kept_{table}"
                        )
                    )

    return asyncio.run(scenario())


async def looked(tables: SharedTables, liveness: bool) -> tuple[list[Finding], object, object]:
    await tables.open()
    try:
        findings = [finding async for finding in tables.verify(liveness)]
        loaded = await tables.load(IDS)
        for name in IDS[1:]:
            assert isinstance(loaded[name], StoredInstance)
            assert len(await tables.history(name)) == 4
        try:
            recovered: object = await tables.recover(range(2), T0, later(3_600))
        except StoreFailed as error:
            recovered = error
        return findings, loaded.get("victim"), recovered
    finally:
        await tables.close()


def about_victim(findings: Sequence[Finding], kind: FindingKind) -> bool:
    return any(finding.kind is kind and finding.instance_id == "victim" for finding in findings)


def test_a_sound_hub_has_no_findings(sound: PostgresHub) -> None:
    findings, victim, _ = damaged(sound)
    assert findings == []
    assert isinstance(victim, StoredInstance)


@pytest.mark.parametrize("column", [*TEXTS[1:], *NUMBERS[:-1]])
def test_a_changed_value_in_a_record_is_found(sound: PostgresHub, column: str) -> None:
    value = f"coalesce({column}, '') || 'x'" if column in TEXTS else f"case when {column} = 1 then 0 else 1 end"
    findings, victim, _ = damaged(sound, f"update hub.instance set {column} = {value} where id = 'victim'")
    assert about_victim(findings, FindingKind.RECORD)
    assert isinstance(victim, DamagedInstance)


@pytest.mark.parametrize(
    "change",
    [
        "update hub.history set events = replace(events, 'Orchestrator', 'orchestrator') where instance = %",
        "update hub.history set crc = crc + 1 where instance = % and first_seq = 2",
        "update hub.history set count = 3 where instance = % and first_seq = 0",
        "update hub.history set format = 9 where instance = % and first_seq = 0",
        "delete from hub.history where instance = % and first_seq = 0",
        "delete from hub.history where instance = % and first_seq = 2",
        "delete from hub.history where instance = % and first_seq = 3",
        "update hub.history h set events = o.events, crc = o.crc from hub.history o"
        " where h.instance = % and o.instance = % and h.first_seq = 2 and o.first_seq = 3",
        "update hub.history h set events = o.events, crc = o.crc from hub.history o, hub.instance i"
        " where h.instance = % and i.id = 'n0' and o.instance = i.number and h.first_seq = o.first_seq",
    ],
)
def test_a_changed_removed_or_swapped_episode_is_found(sound: PostgresHub, change: str) -> None:
    findings, victim, _ = damaged(sound, change.replace("%", VICTIM))
    assert about_victim(findings, FindingKind.HISTORY)
    assert isinstance(victim, DamagedInstance)


@pytest.mark.parametrize("change", ["message = message || ' '", "due_at = 5", "target = target || 'x'", "crc = 0"])
def test_a_changed_message_is_found_and_nothing_goes_on_without_it(sound: PostgresHub, change: str) -> None:
    findings, _, recovered = damaged(sound, f"update hub.inbox set {change} where target = 'victim' and due_at is null")
    assert any(finding.kind is FindingKind.RECORD for finding in findings)
    assert isinstance(recovered, StoreFailed)
    assert "Run 'perdure verify'" in str(recovered)


@pytest.mark.parametrize("change", ["name = 'other'", "seq = 7", "input = 'x'", "execution_id = 'x'"])
def test_a_changed_activity_is_found(sound: PostgresHub, change: str) -> None:
    findings, _, recovered = damaged(sound, f"update hub.activity set {change} where instance = {VICTIM}")
    assert about_victim(findings, FindingKind.RECORD)
    assert isinstance(recovered, StoreFailed)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("update hub.instance set partition = 1 - partition where id = 'victim'", "it belongs to partition"),
        ("update hub.inbox set partition = 1 - partition where target = 'victim'", "stands in"),
    ],
)
def test_a_row_in_a_foreign_partition_is_found(sound: PostgresHub, change: str, says: str) -> None:
    findings, _, _ = damaged(sound, change)
    assert any(finding.instance_id == "victim" and says in finding.what for finding in findings)


def test_rows_without_an_instance_are_found(sound: PostgresHub) -> None:
    findings, victim, _ = damaged(sound, "delete from hub.instance where id = 'victim'")
    assert victim is None
    assert {finding.kind for finding in findings} == {FindingKind.ORPHAN}
    assert len(findings) == 2


def test_a_damaged_history_is_not_served(sound: PostgresHub) -> None:
    async def scenario() -> None:
        place = Schema(sound.name).placed
        parties = Parties(sound)
        party = await parties.join()
        async with looking_at(sound.url) as outside:
            await outside.execute(place(f"update hub.history set crc = crc + 1 where instance = {VICTIM}"))
            with pytest.raises(HistoryCorrupted, match="victim"):
                await party.tables.history("victim")
            await outside.execute(place(f"update hub.history set crc = crc - 1 where instance = {VICTIM}"))
        assert len(await party.tables.history("victim")) == 4
        await parties.close()

    asyncio.run(scenario())


def test_what_nothing_will_move_is_found(sound: PostgresHub) -> None:
    findings, _, _ = damaged(sound, "delete from hub.inbox where target = 'victim'", liveness=True)
    assert [(finding.kind, finding.instance_id) for finding in findings] == [(FindingKind.STUCK, "victim")]
