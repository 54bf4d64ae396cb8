"""Offers: who can claim what, what comes of it once, and what becomes of them when processes come and go."""

import pytest

from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import ClaimedOffer, Offer, OfferAnswer, OfferKey, OfferState
from perdure.contracts.records import PendingActivity
from perdure.core.messages import ActivityCompleted, Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Placed
from perdure.storage.shared.tables import PartitionsLost, ProcessBuried
from support.shared_tables_stage import Parties, Party, id_in
from support.stored_instances import T0

WORK = OfferKey(ServedKind.ACTIVITY, "work")
TURN = OfferKey(ServedKind.ORCHESTRATOR, "Order", "1.0")


class Shop:
    """An owner with one instance, and activities of it."""

    def __init__(self, owner: Party) -> None:
        self.owner = owner
        self.id = id_in(owner, range(4))
        self.pending: list[PendingActivity] = []

    async def open(self, count: int) -> None:
        begun = await self.owner.start(self.id)
        self.pending = [self.owner.activity(begun, seq) for seq in range(count)]
        self.begun = await self.owner.advance(begun, activities=self.pending)

    async def offer(self, *offers: Offer) -> None:
        await self.owner.tables.offer(self.owner.process, offers, self.owner.fence(self.id))

    async def offer_work(self) -> list[Offer]:
        offers = [self.made(activity.number, WORK) for activity in self.pending]
        await self.offer(*offers)
        return offers

    async def withdraw(self, *offers: Offer) -> frozenset[int]:
        numbers = [offer.number for offer in offers]
        return await self.owner.tables.withdraw(self.owner.process, numbers, self.owner.fence(self.id))

    def made(self, number: int, key: OfferKey) -> Offer:
        return Offer(
            number=number,
            kind=key.kind,
            name=key.name,
            version=key.version,
            instance_id=self.id,
            partition=self.owner.partition_of(self.id),
            body=f"body {number}",
        )

    def ended(self, by: Party, claimed: ClaimedOffer) -> tuple[ClaimedOffer, Placed]:
        message = ActivityCompleted(self.begun.origin.execution_id, claimed.offer.number, "1")
        return claimed, Placed(by.number(), Envelope(self.id, message, ends_activity=claimed.offer.number))


async def shop_of(parties: Parties, count: int = 0) -> Shop:
    shop = Shop(await parties.join(range(4)))
    await shop.open(count)
    return shop


async def claim(party: Party, *keys: OfferKey, limit: int = 100) -> list[ClaimedOffer]:
    return await party.tables.claim_offers(party.process, keys, limit)


async def test_offers_are_claimed_by_key_the_oldest_first_and_never_twice(parties: Parties):
    shop, other = await shop_of(parties, 3), await parties.join()
    offers = await shop.offer_work()
    turns = [shop.made(shop.owner.number(), TURN), shop.made(shop.owner.number(), OfferKey(TURN.kind, TURN.name))]
    await shop.offer(*turns)
    assert set(await other.tables.waiting_offers()) == {WORK, TURN, OfferKey(TURN.kind, TURN.name)}
    first = await claim(other, WORK, limit=2)
    assert [claimed.offer for claimed in first] == offers[:2]
    assert [claimed.offer for claimed in await claim(shop.owner, WORK, TURN)] == [offers[2], turns[0]]
    assert await claim(other, WORK, TURN, OfferKey(ServedKind.ACTIVITY, "Work")) == []
    assert await other.tables.waiting_offers() == [OfferKey(TURN.kind, TURN.name)]


async def test_what_ended_counts_once_and_becomes_a_message(parties: Parties):
    shop, other = await shop_of(parties, 2), await parties.join()
    await shop.offer_work()
    first, second = await claim(other, WORK)
    handed_in = [shop.ended(other, first), shop.ended(other, second)]
    assert await other.tables.finish_offers(other.process, handed_in[1:]) == {second.offer.number}
    again = [handed_in[0], shop.ended(other, second)]
    assert await other.tables.finish_offers(other.process, again) == {first.offer.number}
    arrived = await shop.owner.inbox(shop.id)
    assert [e.message.scheduled_seq for e in arrived] == [second.offer.number, first.offer.number]  # type: ignore[union-attr]
    backlog, _ = await shop.owner.tables.recover(range(4), T0, T0)
    assert backlog.activities == []
    assert await other.tables.waiting_offers() == []


async def test_offered_activities_are_no_backlog_until_they_are_taken_back(parties: Parties):
    shop, other = await shop_of(parties, 2), await parties.join()
    offers = await shop.offer_work()
    [claimed] = await claim(other, WORK, limit=1)
    backlog, _ = await shop.owner.tables.recover(range(4), T0, T0)
    assert backlog.activities == []
    assert await shop.withdraw(*offers) == {offers[1].number}
    backlog, _ = await shop.owner.tables.recover(range(4), T0, T0)
    assert [activity.number for activity in backlog.activities] == [offers[1].number]
    await other.tables.give_up_offers([claimed])
    assert await other.tables.finish_offers(other.process, [shop.ended(other, claimed)]) == frozenset()
    assert await other.tables.waiting_offers() == [WORK]


async def test_an_answer_stays_until_its_owner_withdraws_it(parties: Parties):
    shop, other = await shop_of(parties), await parties.join()
    turn = shop.made(shop.owner.number(), TURN)
    await shop.offer(turn)
    [claimed] = await claim(other, TURN)
    assert await shop.withdraw(turn) == frozenset()
    answer = OfferAnswer(turn.number, "it ran")
    assert await other.tables.finish_offers(other.process, [(claimed, answer)]) == {turn.number}
    assert await other.tables.finish_offers(other.process, [(claimed, answer)]) == frozenset()
    assert await claim(other, TURN) == []
    for _ in range(2):
        assert await shop.owner.tables.take_answers(range(4)) == [answer]
    assert await other.tables.take_answers(range(4, 32)) == []
    assert await shop.withdraw(turn) == {turn.number}
    assert await shop.owner.tables.take_answers(range(4)) == []


async def test_activities_go_with_their_instance_and_with_nothing_else(parties: Parties):
    shop, other = await shop_of(parties, 2), await parties.join()
    await shop.offer_work()
    [claimed] = await claim(other, WORK, limit=1)
    await shop.owner.advance(shop.begun, status=RuntimeStatus.Terminated)
    assert await other.tables.finish_offers(other.process, [shop.ended(other, claimed)]) == frozenset()
    assert await other.tables.waiting_offers() == []
    assert await other.tables.offers_of(shop.id) == []
    await shop.offer_work()
    assert await other.tables.waiting_offers() == []


async def test_turns_go_with_the_holder_of_their_partition_and_activities_stay(parties: Parties):
    shop, other = await shop_of(parties, 1), await parties.join()
    await shop.offer_work()
    turns = [shop.made(shop.owner.number(), TURN) for _ in range(2)]
    await shop.offer(*turns)
    [claimed] = await claim(other, TURN, limit=1)
    await shop.owner.tables.depart(shop.owner.process)
    assert set(await other.tables.waiting_offers()) == {WORK, TURN}
    await other.claim(range(4))
    assert await other.tables.waiting_offers() == [WORK]
    assert (
        await other.tables.finish_offers(other.process, [(claimed, OfferAnswer(claimed.offer.number, "late"))])
        == frozenset()
    )


async def test_who_is_buried_does_nothing_any_more_and_what_it_did_is_up_again(parties: Parties):
    shop, other = await shop_of(parties, 1), await parties.join(lease_seconds=0)
    await shop.offer_work()
    [claimed] = await claim(other, WORK)
    [state] = await shop.owner.tables.offers_of(shop.id)
    assert state == OfferState(ServedKind.ACTIVITY, "work", "party")
    assert await shop.owner.tables.bury(other.process)
    assert await shop.owner.tables.offers_of(shop.id) == [OfferState(ServedKind.ACTIVITY, "work")]
    with pytest.raises(ProcessBuried):
        await other.tables.finish_offers(other.process, [shop.ended(other, claimed)])
    with pytest.raises(ProcessBuried):
        await claim(other, WORK)
    assert len(await claim(shop.owner, WORK)) == 1


async def test_only_who_holds_the_partition_offers(parties: Parties):
    shop, other = await shop_of(parties, 1), await parties.join(range(4, 8))
    offer = shop.made(shop.pending[0].number, WORK)
    with pytest.raises(PartitionsLost):
        await other.tables.offer(other.process, [offer], {offer.partition: 1})
    assert await other.tables.waiting_offers() == []


async def test_a_former_holder_takes_nothing_back(parties: Parties):
    """The new holder has left it out of its backlog, so it would be nobody's."""
    shop, other = await shop_of(parties, 1), await parties.join()
    [offer] = await shop.offer_work()
    await shop.owner.tables.give_back(shop.owner.process, shop.owner.epochs)
    await other.claim(range(4))
    with pytest.raises(PartitionsLost):
        await shop.withdraw(offer)
    assert await shop.owner.tables.withdraw(shop.owner.process, [offer.number], {}) == frozenset()
    assert await other.tables.waiting_offers() == [WORK]


async def test_what_runs_goes_on_as_claimed_when_its_partition_goes(parties: Parties):
    shop, other = await shop_of(parties, 2), await parties.join()
    offers = [shop.made(activity.number, WORK) for activity in shop.pending]
    owner, tables = shop.owner, shop.owner.tables
    claimed = await tables.offer_claimed(owner.process, offers, owner.fence(shop.id))
    assert [one.offer for one in claimed] == offers
    assert await tables.offer_claimed(owner.process, offers, owner.fence(shop.id)) == []
    await tables.give_back(owner.process, owner.epochs)
    await other.claim(range(4))
    backlog, _ = await other.tables.recover(range(4), T0, T0)
    assert backlog.activities == []
    assert await other.tables.waiting_offers() == []
    assert await other.tables.withdraw(other.process, [offers[0].number], other.fence(shop.id)) == frozenset()
    ended = [shop.ended(owner, claimed[0])]
    assert await tables.finish_offers(owner.process, ended) == {offers[0].number}
    [arrived] = await other.inbox(shop.id)
    assert arrived.message.scheduled_seq == offers[0].number  # type: ignore[union-attr]
    await tables.depart(owner.process)
    assert [one.offer for one in await claim(other, WORK)] == offers[1:]


async def test_only_who_holds_the_partition_goes_on_as_claimed_and_only_with_what_has_not_ended(parties: Parties):
    shop, other = await shop_of(parties, 2), await parties.join(range(4, 8))
    first, second = (shop.made(activity.number, WORK) for activity in shop.pending)
    with pytest.raises(PartitionsLost):
        await other.tables.offer_claimed(other.process, [first], {first.partition: 1})
    [claimed] = await shop.owner.tables.offer_claimed(shop.owner.process, [first], shop.owner.fence(shop.id))
    await shop.owner.advance(shop.begun, status=RuntimeStatus.Terminated)
    assert await shop.owner.tables.finish_offers(shop.owner.process, [shop.ended(shop.owner, claimed)]) == frozenset()
    assert await shop.owner.tables.offer_claimed(shop.owner.process, [second], shop.owner.fence(shop.id)) == []
    assert await other.tables.waiting_offers() == []
