"""Who is there and who holds what: claims, epochs, burials, and writes of those who hold nothing any more."""

import pytest

from perdure.storage.changes import Changes
from perdure.storage.shared.tables import PartitionsLost, ProcessBuried, Sight
from support.shared_tables_stage import LONG, Parties, Party, id_in
from support.stored_instances import T0, later, names, raised

ALL = range(32)


async def sight(party: Party) -> Sight:
    seen = await party.tables.renew(party.process, LONG, runs=True)
    assert seen is not None
    return seen


async def test_a_hub_has_the_same_partitions_for_all(parties: Parties) -> None:
    first, second = await parties.join(), await parties.join()
    assert first.tables.partition_count == second.tables.partition_count == 32


async def test_numbers_of_processes_rise(parties: Parties) -> None:
    first, second = await parties.join(), await parties.join()
    await first.tables.depart(first.process)
    third = await parties.join()
    assert first.process < second.process < third.process


async def test_who_renews_sees_who_is_there_and_who_holds_what(parties: Parties) -> None:
    first, second = await parties.join([0, 1]), await parties.join([2])
    await sight(first)
    seen = await sight(second)
    assert [(p.number, p.name, p.is_alive, p.runs) for p in seen.processes] == [
        (first.process, "party", True, True),
        (second.process, "party", True, True),
    ]
    assert {p.partition: (p.owner, p.epoch) for p in seen.partitions if p.partition < 4} == {
        0: (first.process, 1),
        1: (first.process, 1),
        2: (second.process, 1),
        3: (None, 0),
    }
    assert (seen.has_arrivals, seen.has_offers, seen.has_errands) == (False, False, False)


async def test_a_process_runs_nothing_until_it_says_so(parties: Parties) -> None:
    first, second = await parties.join(), await parties.join()
    assert [p.runs for p in (await sight(first)).processes] == [True, False]
    await second.tables.renew(second.process, LONG, runs=False)
    assert [p.runs for p in (await sight(first)).processes] == [True, False]


async def test_only_what_is_free_is_claimed(parties: Parties) -> None:
    first, second = await parties.join([0, 1]), await parties.join()
    assert await second.tables.claim(second.process, [1, 2]) == {2: 1}
    assert await second.tables.claim(second.process, [0, 1]) == {}
    assert await first.tables.claim(first.process, [0, 1]) == {}


async def test_what_is_given_back_is_free_and_rises_in_epoch(parties: Parties) -> None:
    first, second = await parties.join([0, 1]), await parties.join()
    await first.tables.give_back(first.process, {0: 1})
    assert await second.tables.claim(second.process, [0, 1]) == {0: 2}


async def test_what_is_held_no_longer_is_not_given_back(parties: Parties) -> None:
    first, second = await parties.join([0]), await parties.join()
    await first.tables.give_back(first.process, {0: 1})
    await second.claim([0])
    await first.tables.give_back(first.process, {0: 1})
    assert {p.owner for p in (await sight(second)).partitions if p.partition == 0} == {second.process}


async def test_an_expired_process_is_buried_once_and_its_partitions_are_free(parties: Parties) -> None:
    first, second = await parties.join([0], lease_seconds=0), await parties.join()
    assert [p.is_alive for p in (await sight(second)).processes] == [False, True]
    assert await second.tables.bury(first.process)
    assert not await second.tables.bury(first.process)
    assert await second.tables.claim(second.process, [0]) == {0: 2}
    assert await first.tables.renew(first.process, LONG, runs=True) is None


async def test_a_process_that_renews_late_is_alive_after_all(parties: Parties) -> None:
    first, second = await parties.join([0], lease_seconds=0), await parties.join()
    await sight(first)
    assert not await second.tables.bury(first.process)
    assert await second.tables.claim(second.process, [0]) == {}


async def test_who_departs_leaves_its_partitions_free(parties: Parties) -> None:
    first, second = await parties.join([0]), await parties.join()
    await first.tables.depart(first.process)
    await first.tables.depart(first.process)
    assert await second.tables.claim(second.process, [0]) == {0: 2}


async def test_a_write_whose_fence_does_not_hold_changes_nothing(parties: Parties) -> None:
    first, second = await parties.join([0, 1]), await parties.join()
    await first.tables.give_back(first.process, {0: 1})
    await second.claim([0])
    here, there = id_in(first, [0]), id_in(first, [1])
    changes = Changes(kept=first.placed(raised(here), raised(there)))
    with pytest.raises(PartitionsLost) as lost:
        await first.tables.write(first.process, changes, {0: 1, 1: 1})
    assert lost.value.partitions == {0}
    assert await first.inbox(here) == await first.inbox(there) == []


async def test_an_old_epoch_holds_nothing_also_when_its_holder_has_the_partition_again(parties: Parties) -> None:
    party = await parties.join([0])
    await party.tables.give_back(party.process, {0: 1})
    await party.claim([0])
    assert party.epochs == {0: 2}
    with pytest.raises(PartitionsLost):
        await party.tables.write(party.process, Changes(kept=party.placed(raised(id_in(party, [0])))), {0: 1})
    await party.send(raised(id_in(party, [0])))


async def test_who_is_buried_writes_nothing_and_claims_nothing(parties: Parties) -> None:
    zombie, other = await parties.join([0], lease_seconds=0), await parties.join()
    await other.tables.bury(zombie.process)
    with pytest.raises(ProcessBuried):
        await zombie.send(raised(id_in(zombie, [0])))
    with pytest.raises(ProcessBuried):
        await zombie.send(raised(id_in(zombie, [5])))
    with pytest.raises(ProcessBuried):
        await zombie.claim([7])
    assert await other.inbox(id_in(other, [0])) == await other.inbox(id_in(other, [5])) == []


async def test_blocks_of_numbers_rise_and_never_overlap(parties: Parties) -> None:
    first, second = await parties.join(), await parties.join()
    blocks = [await party.tables.reserve_numbers() for party in (first, second, first)]
    assert all(len(block) >= 1 << 32 for block in blocks)
    assert blocks[0].stop <= blocks[1].start
    assert blocks[1].stop <= blocks[2].start


async def test_a_new_holder_recovers_what_the_former_one_left(parties: Parties) -> None:
    first, second = await parties.join([0, 1]), await parties.join()
    here, there = id_in(first, [0]), id_in(first, [1])
    begun = await first.start(here)
    pending = first.activity(begun)
    await first.advance(begun, activities=[pending])
    await first.send(raised(here, "one"), raised(there, "other"), raised(here, "two", due_at=later(60)))
    await first.tables.give_back(first.process, {0: 1})
    await second.claim([0])
    backlog, _ = await second.tables.recover([0], T0, later(3_600))
    assert names(backlog.ready) == ["one"]
    assert names(backlog.due) == ["two"]
    assert backlog.activities == [pending]
