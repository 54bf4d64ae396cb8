"""Text is stored as it is given: any JSON text, any legal id, any size (reliability.md M7, S12)."""

import pytest

from perdure.contracts.errors import CheckpointRefused
from perdure.contracts.records import InstanceFilter, StoredInstance
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import NewActivity
from perdure.core.failures import FailureDetails
from perdure.core.instance import LockHolder
from perdure.core.status import RuntimeStatus
from support.store_stage import Stage
from support.stored_instances import creation, episode, first_events, raised

TEXTS = {
    "escaped surrogate": '"\\ud800 alone \\udfff"',
    "escaped nul": '"\\u0000"',
    "quotes": '"it\'s \\" -- ; drop table instance; /* "',
    "like": '"100% _x_ \\\\ [a-z] *?"',
    "newlines": '"a\\nb"\r\n\t',
    "bidi": '"\u202eabc\u2066\u200b\ufeff"',
    "astral": '"\U0001f600\U0010ffff"',
    "empty": "",
    "blank": " ",
    "big integer": "123456789012345678901234567890123456789012345678901234567890.000000000000000000000001",
    "no JSON": "not json at all {",
}
IDS = [
    "it's",
    'a"b',
    "50%",
    "_",
    "a b",
    "ü",
    "\U0001f600",
    "-- x",
    "'; drop table instance; --",
    ":list",
    ":rows",
    "$1",
]


async def test_a_nul_is_kept_or_refused(stage: Stage) -> None:
    """JSON text has it escaped; a store that cannot keep it as it is says so before anything is written."""
    await stage.hold()
    first = await stage.begin(creation("a"))
    last = episode(first, custom_status='"a\x00b"')
    try:
        await stage.commit(last)
    except CheckpointRefused:
        last = episode(first, custom_status='"as before"')
        await stage.commit(last)
    record = await stage.storage.get("a")
    assert record is not None
    assert record.progress == last.progress
    assert await stage.storage.get("a\0") is None


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_any_text_comes_back_as_it_was(stage: Stage, text: str) -> None:
    await stage.hold()
    failure = FailureDetails(text or "E", text, text, FailureDetails("Cause", text))
    made = creation("a", text=text, trace_context=text, tags={text: text}, version=text)
    events = [
        ev.TaskScheduled(0, text or "n", text),
        ev.EventRaised(text, text),
        ev.TaskFailed(0, 2, failure),
        ev.SubOrchestrationCreated(1, "n", "child", text, text),
    ]
    first = await stage.begin(
        made,
        events,
        activities=[NewActivity(2, 0, text or "n", text, text, {text: text})],
        custom_status=text,
        awaited_events=(text,),
        outbox=[raised("b", text, text)],
    )
    last = episode(
        first, custom_status=text, output=text, failure=failure, state=text, locked_by=LockHolder(text, text, text)
    )
    await stage.commit(last)
    await stage.crash()
    backlog = await stage.backlog()
    assert [e.message for e in backlog.ready] == [ms.RaiseEvent(text, text)]
    assert [(p.name, p.input, p.version, p.tags) for p in backlog.activities] == [
        (text or "n", text, text, {text: text})
    ]
    loaded = await stage.storage.load(stage.held, ["a"])
    assert isinstance(loaded["a"], StoredInstance)
    assert loaded["a"].record.origin == made.record.origin
    assert loaded["a"].record.progress == last.progress
    assert loaded["a"].history == first.events


@pytest.mark.parametrize("instance_id", IDS)
async def test_any_id_names_its_own_instance(stage: Stage, instance_id: str) -> None:
    await stage.hold()
    await stage.begin(creation("other"), status=RuntimeStatus.Completed)
    a = await stage.begin(creation(instance_id), outbox=[raised(instance_id)])
    [event] = await stage.receive()
    assert event.target == instance_id
    assert [e.position for e in await stage.storage.read_inbox(stage.held, instance_id, a.progress.updated_at)] == [
        event.position
    ]
    assert set(await stage.storage.load(stage.held, [instance_id, "other"])) == {instance_id, "other"}
    page = await stage.storage.query(InstanceFilter(id_prefix=instance_id), 10)
    assert [record.origin.instance_id for record in page.records] == [instance_id]
    await stage.commit(episode(a, [event], status=RuntimeStatus.Completed))
    assert await stage.storage.purge([instance_id]) == 1
    assert await stage.storage.get("other") is not None


async def test_sixteen_megabytes_come_back_as_they_were(stage: Stage) -> None:
    await stage.hold()
    text = '"' + "abcdefgh" * (2 * 1024 * 1024) + '"'
    first = await stage.begin(
        creation("a", text=text),
        [ev.TaskScheduled(0, "work", text)],
        activities=[NewActivity(2, 0, "work", text)],
        outbox=[raised("b", "big", text)],
    )
    await stage.commit(episode(first, status=RuntimeStatus.Completed, output=text))
    await stage.crash()
    [big] = (await stage.backlog()).ready
    assert isinstance(big.message, ms.RaiseEvent)
    assert big.message.input == text
    record = await stage.storage.get("a")
    assert record is not None
    assert (record.origin.input, record.progress.output) == (text, text)
    assert (await stage.storage.history("a"))[:3] == first.events


async def test_ten_thousand_levels_of_nesting_are_only_text(stage: Stage) -> None:
    await stage.hold()
    text = "[" * 10_000 + "]" * 10_000
    await stage.begin(creation("a", text=text), [ev.EventRaised("deep", text)])
    await stage.crash()
    record = await stage.storage.get("a")
    assert record is not None
    assert record.origin.input == text
    assert (await stage.storage.history("a"))[2] == ev.EventRaised("deep", text)


async def test_a_text_that_is_no_text_undoes_its_round(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    with pytest.raises(CheckpointRefused):
        await stage.commit(episode(a, events=[ev.EventRaised("lone", "\ud800")]))
    record = await stage.storage.get("a")
    assert record is not None
    assert record.progress == a.progress
    assert await stage.storage.history("a") == first_events(record)


async def test_an_id_that_is_no_text_names_nothing(stage: Stage) -> None:
    await stage.hold()
    assert await stage.storage.get("\ud800") is None
    assert await stage.storage.history("\ud800") == []
