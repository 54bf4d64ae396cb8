"""Reading instances: by id, by filter, by pages that stay stable, and by waiting for a status."""

import asyncio
import json
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from perdure.contracts.records import InstanceFilter, PageKey, StoredInstance
from perdure.core.instance import InstanceKind
from perdure.core.status import RuntimeStatus
from perdure.storage.pages import PAGE_CHARACTERS_MAX
from support.store_stage import Stage
from support.stored_instances import T0, creation, entity, episode, first_events, later, started

MICROSECOND = timedelta(microseconds=1)


async def ids(stage: Stage, filter_: InstanceFilter | None = None, limit: int = 1_000) -> list[str]:
    page = await stage.storage.query(filter_ or InstanceFilter(), limit)
    return [record.origin.instance_id for record in page.records]


async def populate(stage: Stage) -> None:
    """Instances of all kinds; none is created in the order of its time."""
    await stage.hold()
    for n, (instance_id, name, status) in enumerate(
        [
            ("shop-3", "Order", RuntimeStatus.Completed),
            ("shop-1", "order", RuntimeStatus.Running),
            ("shop-2", "Bill", RuntimeStatus.Failed),
            ("bank-1", "Straße", RuntimeStatus.Terminated),
        ]
    ):
        await stage.begin(creation(instance_id, name=name, created_at=later(-n)), status=status, at=later(10 * n))
    await stage.commit(
        episode(entity("@counter@a", created_at=later(1)), state="1"),
        episode(entity("@counter@b", created_at=later(2))),
        episode(entity("@lamp@a", created_at=later(3)), state="true"),
    )


async def test_unknown_ids_are_nowhere(stage: Stage) -> None:
    await stage.hold()
    assert await stage.storage.get("nope") is None
    assert await stage.storage.history("nope") == []
    assert await stage.storage.load(stage.held, ["nope"]) == {}
    assert await stage.storage.load(stage.held, []) == {}
    assert await ids(stage) == []


async def test_ids_differ_by_case(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("Abc"))
    await stage.begin(creation("abc"))
    assert await ids(stage) == ["Abc", "abc"]
    assert (await stage.storage.get("Abc")).origin.instance_id == "Abc"  # type: ignore[union-attr]
    assert await stage.storage.get("ABC") is None


async def test_reads_give_values_of_their_own(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("a"))
    record = await stage.storage.get("a")
    assert record is not None
    record.origin.name = "changed"
    (await stage.storage.history("a")).clear()
    assert (await stage.storage.get("a")).origin.name == "orchestrator"  # type: ignore[union-attr]
    assert len(await stage.storage.history("a")) == 2


async def test_load_gives_each_instance_its_own_history(stage: Stage) -> None:
    await stage.hold()
    made = {name: await stage.begin(creation(name)) for name in "abc"}
    await stage.commit(episode(made["b"], events=[started(later(5))]), episode(entity("@e@k"), state="1"))
    loaded = await stage.storage.load(stage.held, ["c", "b", "@e@k", "b", "nope"])
    assert set(loaded) == {"b", "c", "@e@k"}
    found = {key: value for key, value in loaded.items() if isinstance(value, StoredInstance)}
    assert found["c"].history == made["c"].events
    assert found["b"].history == [*made["b"].events, started(later(5))]
    assert found["@e@k"].history == []
    assert found["@e@k"].record.origin.kind is InstanceKind.ENTITY


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, ["bank-1", "shop-2", "shop-1", "shop-3"]),
        ({"created_from": later(-2)}, ["shop-2", "shop-1", "shop-3"]),
        ({"created_from": later(-2) + MICROSECOND}, ["shop-1", "shop-3"]),
        ({"created_to": later(-1)}, ["bank-1", "shop-2", "shop-1"]),
        ({"created_to": later(-1) - MICROSECOND}, ["bank-1", "shop-2"]),
        ({"updated_from": later(10), "updated_to": later(20)}, ["shop-2", "shop-1"]),
        ({"statuses": frozenset({RuntimeStatus.Running, RuntimeStatus.Failed})}, ["shop-2", "shop-1"]),
        ({"statuses": frozenset[RuntimeStatus]()}, []),
        ({"id_prefix": "shop-"}, ["shop-2", "shop-1", "shop-3"]),
        ({"id_prefix": "SHOP"}, []),
        ({"id_prefix": ""}, ["bank-1", "shop-2", "shop-1", "shop-3"]),
        ({"id_prefix": "%"}, []),
        ({"id_prefix": "\U0010ffff"}, []),
        ({"id_prefix": "\ud7ff"}, []),
        ({"name": "ORDER"}, ["shop-1", "shop-3"]),
        ({"name": "STRASSE"}, ["bank-1"]),
        ({"id_prefix": "shop", "name": "order", "statuses": frozenset({RuntimeStatus.Completed})}, ["shop-3"]),
        ({"kind": InstanceKind.ENTITY}, ["@counter@a", "@counter@b", "@lamp@a"]),
        ({"kind": InstanceKind.ENTITY, "existing_entities_only": True}, ["@counter@a", "@lamp@a"]),
        ({"kind": InstanceKind.ENTITY, "id_prefix": "@counter@"}, ["@counter@a", "@counter@b"]),
        ({"existing_entities_only": True}, ["bank-1", "shop-2", "shop-1", "shop-3"]),
    ],
)
async def test_a_filter_finds_what_it_says(stage: Stage, condition: dict[str, Any], expected: list[str]) -> None:
    await populate(stage)
    assert await ids(stage, InstanceFilter(**condition)) == expected


async def test_pages_of_some_statuses_hold_them_once_in_order(stage: Stage) -> None:
    await stage.hold()
    given = [RuntimeStatus.Completed, RuntimeStatus.Failed, RuntimeStatus.Running, RuntimeStatus.Pending] * 3
    for n, status in enumerate(given):
        await stage.begin(creation(f"i{n:02}", created_at=later(n // 3)), status=status)
    some = frozenset({RuntimeStatus.Completed, RuntimeStatus.Failed, RuntimeStatus.Pending})
    for statuses, prefix, limit in product(
        [frozenset({RuntimeStatus.Failed}), some, frozenset(RuntimeStatus)], [None, "i", "i01", "j"], [1, 3]
    ):
        filter_ = InstanceFilter(created_from=later(0), statuses=statuses, id_prefix=prefix)
        page = await stage.storage.query(filter_, limit)
        seen = [record.origin.instance_id for record in page.records]
        while page.next_key is not None:
            page = await stage.storage.query(filter_, limit, page.next_key)
            seen += [record.origin.instance_id for record in page.records]
        wanted = [f"i{n:02}" for n, status in enumerate(given) if status in statuses]
        assert seen == [instance_id for instance_id in wanted if instance_id.startswith(prefix or "")], filter_


async def test_pages_hold_everything_once_in_order(stage: Stage) -> None:
    await stage.hold()
    made = [creation(f"i{n:02}", created_at=later(n // 4)) for n in range(22)]
    clients = [stage.creating(each) for each in reversed(made)]
    await stage.commit(kept=await stage.receive(22))
    await asyncio.gather(*clients)
    for limit in (1, 4, 7, 22, 23):
        seen: list[str] = []
        key: PageKey | None = None
        while True:
            page = await stage.storage.query(InstanceFilter(), limit, key)
            seen += [record.origin.instance_id for record in page.records]
            assert len(page.records) <= limit
            if (key := page.next_key) is None:
                break
            assert len(page.records) == limit
        assert seen == [f"i{n:02}" for n in range(22)], limit


async def test_a_page_of_large_records_ends_sooner(stage: Stage) -> None:
    await stage.hold()
    large = json.dumps("x" * (PAGE_CHARACTERS_MAX // 3))
    for n in range(7):
        await stage.begin(creation(f"i{n}", created_at=later(n), text=large))
    seen: list[list[str]] = []
    key: PageKey | None = None
    while True:
        page = await stage.storage.query(InstanceFilter(), 100, key)
        seen.append([record.origin.instance_id for record in page.records])
        if (key := page.next_key) is None:
            break
    assert seen == [["i0", "i1", "i2"], ["i3", "i4", "i5"], ["i6"]]


async def test_pages_are_stable_while_instances_come_and_go(stage: Stage) -> None:
    await stage.hold()
    for n in range(6):
        await stage.begin(creation(f"i{n}", created_at=later(n)), status=RuntimeStatus.Completed)
    page = await stage.storage.query(InstanceFilter(), 3)
    assert [record.origin.instance_id for record in page.records] == ["i0", "i1", "i2"]
    await stage.storage.purge(["i2", "i4"])
    await stage.begin(creation("i0a", created_at=later(0)))
    await stage.begin(creation("i9", created_at=later(9)))
    page = await stage.storage.query(InstanceFilter(), 9, page.next_key)
    assert [record.origin.instance_id for record in page.records] == ["i3", "i5", "i9"]
    assert page.next_key is None


async def test_the_last_full_page_says_that_it_is_the_last(stage: Stage) -> None:
    await populate(stage)
    page = await stage.storage.query(InstanceFilter(), 4)
    assert (len(page.records), page.next_key) == (4, None)


async def test_who_waits_is_told_by_the_commit(stage: Stage) -> None:
    await stage.hold()
    waiting = asyncio.create_task(stage.storage.wait_for_status("a", frozenset({RuntimeStatus.Completed})))
    await asyncio.sleep(0)
    a = await stage.begin(creation("a"))
    assert not waiting.done()
    await stage.commit(episode(a, status=RuntimeStatus.Completed, output="[1]"))
    record = await waiting
    assert (record.origin.instance_id, record.progress.output) == ("a", "[1]")


async def test_who_waits_for_what_is_true_does_not_wait(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("a"))
    record = await stage.storage.wait_for_status("a", frozenset({RuntimeStatus.Running, RuntimeStatus.Completed}))
    assert record.progress.status is RuntimeStatus.Running


async def test_waiting_races_with_the_commit(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    done = frozenset({RuntimeStatus.Completed})
    before = asyncio.create_task(stage.storage.wait_for_status("a", done))
    committing = asyncio.ensure_future(stage.commit(episode(a, status=RuntimeStatus.Completed)))
    during = asyncio.create_task(stage.storage.wait_for_status("a", done))
    await committing
    after = asyncio.create_task(stage.storage.wait_for_status("a", done))
    records = await asyncio.gather(before, during, after)
    assert {record.progress.status for record in records} == done


async def test_who_waits_is_told_of_a_start_and_of_a_child(stage: Stage) -> None:
    await stage.hold()
    pending = frozenset({RuntimeStatus.Pending})
    waiting = [asyncio.create_task(stage.storage.wait_for_status(i, pending)) for i in ("kept", "child")]
    await asyncio.sleep(0)
    client = stage.creating(creation("kept"))
    await stage.commit(kept=await stage.receive())
    parent = await stage.begin(creation("p"), children=[creation("child")])
    assert parent.children
    for each in waiting:
        assert (await each).progress.status is RuntimeStatus.Pending
    await client


async def test_a_cancelled_wait_leaves_others_waiting(stage: Stage) -> None:
    await stage.hold()
    running = frozenset({RuntimeStatus.Running})
    first, second = (asyncio.create_task(stage.storage.wait_for_status("a", running)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    await stage.begin(creation("a"))
    assert (await second).progress.status is RuntimeStatus.Running


async def test_a_refused_commit_tells_nobody(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    waiting = asyncio.create_task(stage.storage.wait_for_status("a", frozenset({RuntimeStatus.Completed})))
    await asyncio.sleep(0)
    wrong = episode(a, status=RuntimeStatus.Completed)
    wrong.expected_last_seq = 55
    await asyncio.gather(stage.commit(wrong), return_exceptions=True)
    assert not waiting.done()
    await stage.commit(episode(a, status=RuntimeStatus.Completed))
    await waiting


async def test_a_long_history_is_read_whole(stage: Stage) -> None:
    await stage.hold()
    last = await stage.begin(creation("a"))
    for n in range(30):
        last = episode(last, events=[started(later(n))] * 200)
        await stage.commit(last)
    assert len(await stage.storage.history("a")) == 6_002
    loaded = await stage.storage.load(stage.held, ["a"])
    assert isinstance(loaded["a"], StoredInstance)
    assert loaded["a"].history == await stage.storage.history("a")


async def test_times_keep_their_microseconds(stage: Stage) -> None:
    await stage.hold()
    at = T0 + timedelta(days=300_000, microseconds=1)
    made = creation("a", created_at=at, scheduled_start_at=T0 - timedelta(days=500_000))
    client = stage.creating(made)
    [start] = await stage.receive()
    await stage.commit(episode(made.record, [start], first_events(made.record, at), at=at + MICROSECOND))
    await client
    record = await stage.storage.get("a")
    assert record is not None
    assert record.origin == made.record.origin
    assert record.progress.updated_at == at + MICROSECOND
    assert record.origin.created_at.utcoffset() == timedelta(0)
