"""What one transaction makes true, and in which order rows arrive, whoever wrote them."""

import asyncio

import pytest

from perdure.contracts.errors import CheckpointRefused
from perdure.contracts.records import StoredInstance
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, NumberedCheckpoint, NumberedCreation, Placed
from perdure.storage.shared.tables import IdsTaken
from support.shared_tables_stage import Parties, Party, id_in
from support.stored_instances import T0, creation, entity, episode, later, names, next_execution, raised

HERE, THERE = range(16), range(16, 32)


async def two(parties: Parties) -> tuple[Party, Party]:
    """Each holds half of the hub."""
    return await parties.join(HERE), await parties.join(THERE)


async def arrived(party: Party, mark: int) -> tuple[list[str], int]:
    found = await party.tables.arrivals(list(party.epochs), mark)
    return names(found.envelopes), found.mark


async def test_what_outsiders_write_arrives_in_the_order_of_their_commits(parties: Parties) -> None:
    owner, other = await two(parties)
    target = id_in(owner, HERE)
    _, mark = await owner.tables.recover(HERE, T0, T0)
    late = other.placed(raised(target, "late"))
    await other.send(raised(target, "a"), raised(target, "b"))
    await other.write(Changes(kept=late))
    found, mark = await arrived(owner, mark)
    assert found == ["a", "b", "late"]
    await other.send(raised(target, "c"))
    again, _ = await arrived(owner, mark)
    assert again[-1] == "c"
    assert names(await owner.inbox(target)) == ["a", "b", "late", "c"]


async def test_what_an_owner_writes_is_no_arrival_of_its_own(parties: Parties) -> None:
    owner, other = await two(parties)
    target = id_in(owner, HERE)
    _, mark = await owner.tables.recover(HERE, T0, T0)
    await owner.send(raised(target, "own"))
    assert (await arrived(owner, mark))[0] == []
    assert names(await other.inbox(target)) == ["own"]


async def test_arrivals_of_others_are_not_told(parties: Parties) -> None:
    owner, other = await two(parties)
    _, mark = await owner.tables.recover(HERE, T0, T0)
    await owner.send(raised(id_in(owner, THERE)))
    assert (await arrived(owner, mark))[0] == []
    assert (await arrived(other, 0))[0] == ["go"]


async def test_a_row_of_a_slow_transaction_is_not_missed(parties: Parties) -> None:
    """Many write at once while the owner reads with the mark of its last reading."""
    owner, other = await two(parties)
    third = await parties.join()
    _, mark = await owner.tables.recover(HERE, T0, T0)
    target = id_in(owner, HERE)

    async def send(party: Party) -> None:
        for n in range(20):
            await party.send(raised(target, f"{party.process} {n}"))

    sending = asyncio.gather(send(other), send(third))
    seen: list[str] = []
    while not sending.done():
        found, mark = await arrived(owner, mark)
        seen += found
        # In memory, nothing of it waits.
        await asyncio.sleep(0)
    seen += (await arrived(owner, mark))[0]
    await sending
    first_seen = list(dict.fromkeys(seen))
    for party in (other, third):
        mine = [name for name in first_seen if name.startswith(f"{party.process} ")]
        assert mine == [f"{party.process} {n}" for n in range(20)]


async def test_arrivals_stay_in_sight_until_they_are_consumed(parties: Parties) -> None:
    owner, other = await two(parties)
    target = id_in(owner, HERE)
    begun = await owner.start(target)
    await other.send(raised(target))
    seen = await owner.tables.renew(owner.process, 60, runs=True)
    assert seen is not None
    assert seen.has_arrivals
    [envelope] = await owner.inbox(target)
    assert envelope.position is not None
    await owner.advance(begun, consumed=[envelope.position])
    seen = await owner.tables.renew(owner.process, 60, runs=True)
    assert seen is not None
    assert not seen.has_arrivals
    assert await owner.inbox(target) == []


async def test_consuming_what_is_gone_is_refused_and_changes_nothing(parties: Parties) -> None:
    owner, _ = await two(parties)
    target = id_in(owner, HERE)
    begun = await owner.start(target)
    await owner.send(raised(target))
    [envelope] = await owner.inbox(target)
    assert envelope.position is not None
    with pytest.raises(CheckpointRefused):
        await owner.advance(begun, consumed=[envelope.position, owner.number()])
    assert names(await owner.inbox(target)) == ["go"]


async def test_an_episode_upon_another_history_is_refused(parties: Parties) -> None:
    owner, _ = await two(parties)
    begun = await owner.start(id_in(owner, HERE))
    await owner.advance(begun)
    with pytest.raises(CheckpointRefused):
        await owner.advance(begun)


async def test_a_new_instance_over_one_that_exists_names_it(parties: Parties) -> None:
    owner, other = await two(parties)
    target, free = id_in(owner, HERE), id_in(owner, HERE, "free")
    await owner.create(creation(target))
    changes = Changes(created=[other.numbered(creation(each)) for each in (target, free)])
    with pytest.raises(IdsTaken) as taken:
        await other.write(changes)
    assert taken.value.instance_ids == {target}
    assert await owner.tables.statuses_of([target, free]) == {target: RuntimeStatus.Pending}
    assert names(await owner.inbox(target)) == ["StartExecution"]


async def test_of_creations_at_the_same_time_one_comes_true(parties: Parties) -> None:
    owner, other = await two(parties)
    for n in range(20):
        made = [(party, party.numbered(creation(f"race{n}"))) for party in (owner, other)]
        answers = await asyncio.gather(
            *(party.tables.write(party.process, Changes(created=[one]), {}) for party, one in made),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["IdsTaken", "Outcome"], answers
        assert names(await owner.inbox(f"race{n}")) == ["StartExecution"]


async def test_a_finished_instance_gives_way_to_a_new_one(parties: Parties) -> None:
    owner, other = await two(parties)
    target = id_in(owner, HERE)
    await owner.start(target, RuntimeStatus.Completed)
    again = other.numbered(creation(target, text='"again"', created_at=later(5)))
    await other.write(Changes(replaced=[target], replaced_if_ended=[target], created=[again]))
    record = await owner.tables.get(target)
    assert record is not None
    assert (record.origin.input, record.progress.status) == ('"again"', RuntimeStatus.Pending)
    assert await owner.tables.history(target) == []


async def test_an_instance_that_must_have_ended_and_lives_is_named(parties: Parties) -> None:
    owner, other = await two(parties)
    target = id_in(owner, HERE)
    await owner.start(target)
    again = other.numbered(creation(target, created_at=later(5)))
    with pytest.raises(IdsTaken) as taken:
        await other.write(Changes(replaced=[target], replaced_if_ended=[target], created=[again]))
    assert taken.value.instance_ids == {target}
    assert await owner.tables.statuses_of([target]) == {target: RuntimeStatus.Running}


async def test_a_child_gives_way_to_a_living_instance(parties: Parties) -> None:
    owner, _ = await two(parties)
    living, free, parent = id_in(owner, THERE, "l"), id_in(owner, THERE, "n"), id_in(owner, HERE)
    await owner.create(creation(living))
    children = [
        owner.numbered(creation(each, text='"child"', created_at=later(9), if_taken=raised(parent, f"taken {each}")))
        for each in (living, free)
    ]
    outcome = await owner.write(Changes(children=children), parent)
    assert outcome.taken == {children[0].position}
    assert names(await owner.inbox(parent)) == [f"taken {living}"]
    assert names(await owner.inbox(living)) == names(await owner.inbox(free)) == ["StartExecution"]
    record = await owner.tables.get(free)
    assert record is not None
    assert record.origin.input == '"child"'


async def test_a_child_replaces_a_finished_instance_unless_it_keeps_them(parties: Parties) -> None:
    owner, _ = await two(parties)
    finished, kept = id_in(owner, HERE, "f"), id_in(owner, HERE, "k")
    for each in (finished, kept):
        await owner.start(each, RuntimeStatus.Completed)
    children: list[NumberedCreation] = []
    for each in (finished, kept):
        made = creation(each, text='"child"', created_at=later(9))
        made.keeps_finished = each == kept
        children.append(owner.numbered(made))
    outcome = await owner.write(Changes(children=children), finished, kept)
    assert outcome.taken == {children[1].position}
    assert await owner.tables.statuses_of([finished, kept]) == {
        finished: RuntimeStatus.Pending,
        kept: RuntimeStatus.Completed,
    }
    assert await owner.tables.history(finished) == []
    assert len(await owner.tables.history(kept)) == 3


async def test_a_start_comes_before_what_is_sent_to_the_child_in_the_same_transaction(parties: Parties) -> None:
    owner, _ = await two(parties)
    child = id_in(owner, THERE)
    made = owner.numbered(creation(child))
    await owner.write(Changes(children=[made], envelopes=owner.placed(raised(child, "after"))))
    assert names(await owner.inbox(child)) == ["StartExecution", "after"]


async def test_continuing_as_new_replaces_history_and_activities(parties: Parties) -> None:
    owner, _ = await two(parties)
    target = id_in(owner, HERE)
    begun = await owner.start(target)
    grown = await owner.advance(begun, activities=[owner.activity(begun)])
    again = next_execution(grown)
    number = grown.origin.number
    assert number is not None
    one = NumberedCheckpoint(number, again)
    await owner.write(Changes(updated=[one], emptied=[number], envelopes=owner.placed(*again.outbox)), target)
    loaded = (await owner.tables.load([target]))[target]
    assert isinstance(loaded, StoredInstance)
    assert (loaded.history, loaded.record.origin.generation) == ([], 1)
    backlog, _ = await owner.tables.recover(HERE, T0, T0)
    assert backlog.activities == []
    assert names(backlog.ready) == ["StartExecution"]


async def test_purging_takes_finished_orchestrations_whole(parties: Parties) -> None:
    owner, other = await two(parties)
    finished, living = id_in(owner, HERE, "f"), id_in(owner, HERE, "l")
    await owner.start(finished, RuntimeStatus.Completed)
    await owner.start(living)
    await other.send(raised(finished))
    outcome = await other.write(Changes(purged=[finished, living, "nobody"]))
    assert outcome.purged == {finished}
    assert await owner.tables.statuses_of([finished, living]) == {living: RuntimeStatus.Running}
    assert await owner.inbox(finished) == []
    assert [finding async for finding in owner.tables.verify(liveness=False)] == []


async def test_an_entity_is_inserted_and_removed(parties: Parties) -> None:
    owner, _ = await two(parties)
    target = id_in(owner, HERE, "@counter@")
    checkpoint = episode(entity(target), state="1")
    await owner.write(Changes(inserted=[NumberedCheckpoint(owner.number(), checkpoint)]), target)
    record = await owner.tables.get(target)
    assert record is not None
    assert record.progress.state == "1"
    await owner.write(Changes(replaced=[target]), target)
    assert await owner.tables.get(target) is None


async def test_text_that_cannot_be_kept_is_refused(parties: Parties) -> None:
    owner, _ = await two(parties)
    target = id_in(owner, HERE)
    with pytest.raises(CheckpointRefused):
        await owner.send(raised(target, "go", '"\ud800"'))
    assert await owner.inbox(target) == []
    assert await owner.tables.statuses_of(["\ud800", target]) == {}


async def test_positions_of_one_transaction_are_the_order_of_its_rows(parties: Parties) -> None:
    owner, _ = await two(parties)
    target = id_in(owner, HERE)
    numbers = [owner.number() for _ in range(3)]
    kept = [Placed(numbers[2], raised(target, "third")), Placed(numbers[0], raised(target, "first"))]
    await owner.write(Changes(kept=kept, envelopes=[Placed(numbers[1], raised(target, "second"))]), target)
    assert names(await owner.inbox(target)) == ["first", "second", "third"]
