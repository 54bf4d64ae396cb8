"""Listing what has ended in the order in which it did, replacing by status, and how much waits for whom."""

from datetime import timedelta

import pytest

from perdure.contracts.records import CreateOutcome, EndedFilter, EndedKey
from perdure.core.messages import Envelope, OperationRequest
from perdure.core.status import RuntimeStatus
from support.store_stage import Stage
from support.stored_instances import creation, episode, later

COMPLETED, FAILED, RUNNING = RuntimeStatus.Completed, RuntimeStatus.Failed, RuntimeStatus.Running


async def populate(stage: Stage) -> None:
    """Created in one order, ended in another; two end at the same moment, one has not ended."""
    await stage.hold()
    for number, (instance_id, ended, status) in enumerate(
        [("d", 40, COMPLETED), ("c", 10, FAILED), ("b", 20, COMPLETED), ("a", 20, FAILED), ("e", None, RUNNING)]
    ):
        completed_at = None if ended is None else later(ended)
        await stage.begin(creation(instance_id, created_at=later(-number)), status=status, completed_at=completed_at)


async def listed(stage: Stage, filter_: EndedFilter, size: int = 100) -> list[str]:
    found: list[str] = []
    after: EndedKey | None = None
    while True:
        page = await stage.storage.ended(filter_, size, after)
        found += page.instance_ids
        if page.next_key is None:
            return found
        assert len(page.instance_ids) == size
        after = page.next_key


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_ended_instances_come_by_the_time_of_their_end(stage: Stage, size: int) -> None:
    await populate(stage)
    assert await listed(stage, EndedFilter(), size) == ["c", "a", "b", "d"]


async def test_the_end_of_the_window_is_outside_of_it(stage: Stage) -> None:
    await populate(stage)
    assert await listed(stage, EndedFilter(completed_from=later(10), completed_before=later(20))) == ["c"]
    just_after = later(20) + timedelta(microseconds=1)
    assert await listed(stage, EndedFilter(completed_from=later(20), completed_before=just_after)) == ["a", "b"]
    assert await listed(stage, EndedFilter(completed_from=just_after)) == ["d"]


async def test_ended_instances_of_some_statuses(stage: Stage) -> None:
    await populate(stage)
    assert await listed(stage, EndedFilter(statuses=frozenset({FAILED})), 1) == ["c", "a"]
    assert await listed(stage, EndedFilter(statuses=frozenset({RUNNING}))) == []
    assert await listed(stage, EndedFilter(statuses=frozenset())) == []


async def test_a_purged_instance_is_listed_no_more(stage: Stage) -> None:
    await populate(stage)
    await stage.storage.purge(["a"])
    assert await listed(stage, EndedFilter()) == ["c", "b", "d"]


@pytest.mark.parametrize("status", [COMPLETED, FAILED, RUNNING])
@pytest.mark.parametrize("replaceable", [frozenset({FAILED}), frozenset[RuntimeStatus](), frozenset({RUNNING})])
async def test_a_start_replaces_exactly_the_statuses_it_names(
    stage: Stage, status: RuntimeStatus, replaceable: frozenset[RuntimeStatus]
) -> None:
    await stage.hold()
    await stage.begin(creation("x"), status=status)
    if status not in replaceable:
        assert await stage.storage.create_instance(creation("x"), replaceable) is CreateOutcome.EXISTS
        return
    client = stage.creating(creation("x", created_at=later(1)), replaceable)
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    await stage.commit(episode(record, [start], status=RUNNING))
    assert await client is CreateOutcome.REPLACED


async def test_what_waits_for_whom_is_counted(stage: Stage) -> None:
    for target in ("@a@1", "@a@1", "@b@2", "x"):
        await stage.storage.send(Envelope(target, OperationRequest("add")))
    assert await stage.storage.backlog_sizes(["@a@1", "@b@2", "@c@3", "@a@1"]) == {"@a@1": 2, "@b@2": 1}
    assert await stage.storage.backlog_sizes([]) == {}
