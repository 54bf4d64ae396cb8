"""Mistakes to plant where processes share their work; the simulation of several hosts must find each of them."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
import pytest

from perdure.contracts.executor import ActivityResult
from perdure.contracts.offers import ClaimedOffer, FinishedOffer
from perdure.contracts.records import PendingActivity
from perdure.execution import offer_claims
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.offer_activities import OwnActivities
from perdure.execution.offer_claims import Claims
from perdure.execution.offer_departures import Departures
from perdure.execution.offer_turns import OfferedTurns
from perdure.execution.offering_executor import OfferingExecutor
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.shared.offering import Offering
from perdure.storage.shared.tables import Epochs

Plant = Callable[[pytest.MonkeyPatch], None]

OFFER_PLANTS: dict[str, Plant] = {}


def plant(make: Plant) -> Plant:
    """Add a mistake, by the name of its function."""
    OFFER_PLANTS[make.__name__.replace("_", " ")] = make
    return make


# In the store


@plant
def the_claims_of_a_dead_process_stay(patch: pytest.MonkeyPatch) -> None:
    depart = SharedMemory.depart

    def careless(self: Any, process: int) -> None:
        claimed = {number: offered.doer for number, offered in self._offers.items()}
        depart(self, process)
        for number, doer in claimed.items():
            self._offers[number].doer = doer

    patch.setattr(SharedMemory, "depart", careless)


@plant
def what_is_handed_in_counts_without_a_claim(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedMemory, "_claimed", lambda self, claimed: self._offers.get(claimed.offer.number))


@plant
def an_owner_takes_back_what_is_claimed(patch: pytest.MonkeyPatch) -> None:
    def greedy(self: Any, process: int, numbers: Collection[int], fence: Epochs) -> frozenset[int]:
        self._check_fence(process, fence)
        back = frozenset(n for n in numbers if n in self._offers and self._offers[n].offer.partition in fence)
        for number in back:
            del self._offers[number]
        return back

    patch.setattr(SharedMemory, "withdraw", greedy)


@plant
def offers_of_turns_outlive_their_holder(patch: pytest.MonkeyPatch) -> None:
    _claim_without_dropping(patch, lambda offered: [])


@plant
def offers_of_activities_go_with_their_holder(patch: pytest.MonkeyPatch) -> None:
    _claim_without_dropping(patch, list)


def _claim_without_dropping(patch: pytest.MonkeyPatch, dropped: Callable[[Sequence[int]], Sequence[int]]) -> None:
    claim = SharedMemory.claim

    def careless(self: Any, process: int, partitions: Collection[int]) -> dict[int, int]:
        offers = dict(self._offers)
        claimed = claim(self, process, partitions)
        gone = dropped([n for n, offered in offers.items() if offered.offer.partition in claimed])
        self._offers = {n: offered for n, offered in offers.items() if n not in gone}
        return claimed

    patch.setattr(SharedMemory, "claim", careless)


@plant
def a_new_owner_is_given_what_is_offered(patch: pytest.MonkeyPatch) -> None:
    recover = SharedMemory.recover

    def careless(self: Any, *arguments: Any) -> Any:
        offers, self._offers = self._offers, {}
        try:
            return recover(self, *arguments)
        finally:
            self._offers = offers

    patch.setattr(SharedMemory, "recover", careless)


@plant
def what_one_has_claimed_another_claims(patch: pytest.MonkeyPatch) -> None:
    claim_offers = SharedMemory.claim_offers

    def greedy(self: Any, *arguments: Any) -> list[ClaimedOffer]:
        for offered in self._offers.values():
            offered.doer = None
        return claim_offers(self, *arguments)

    patch.setattr(SharedMemory, "claim_offers", greedy)


@plant
def offers_stay_when_their_instance_has_ended(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedMemory, "_is_over", lambda self, offer: False)


# In a process


@plant
def what_is_claimed_is_forgotten_with_a_partition(patch: pytest.MonkeyPatch) -> None:
    def forget(self: Any, is_gone: Callable[[PendingActivity], bool]) -> None:
        self._own.forget(is_gone)
        self._inner.forget(is_gone)

    patch.setattr(OfferingExecutor, "forget", forget)


@plant
def what_a_claimer_gives_back_stays_claimed(patch: pytest.MonkeyPatch) -> None:
    async def silent(self: Any, claimed: Sequence[ClaimedOffer]) -> None:
        pass

    patch.setattr(Offering, "give_up_offers", silent)


@plant
def what_others_asked_for_counts_as_ones_own(patch: pytest.MonkeyPatch) -> None:
    sift = Claims.sift

    def careless(self: Any, results: Sequence[ActivityResult]) -> list[ActivityResult]:
        sift(self, results)
        return list(results)

    patch.setattr(Claims, "sift", careless)


@plant
def a_result_is_handed_in_twice(patch: pytest.MonkeyPatch) -> None:
    finish_offers = Offering.finish_offers

    async def twice(self: Any, finished: Sequence[FinishedOffer]) -> frozenset[int]:
        return await finish_offers(self, [*finished, *finished])

    patch.setattr(Offering, "finish_offers", twice)


@plant
def a_result_that_cannot_be_handed_in_now_is_dropped(patch: pytest.MonkeyPatch) -> None:
    hand_in = Claims.hand_in

    async def hasty(self: Any) -> None:
        patch.setattr(self._storage.offers, "finish_offers", _once(self._storage.offers.finish_offers), raising=False)
        await hand_in(self)

    patch.setattr(Claims, "hand_in", hasty)


def _once(finish: Callable[[Sequence[FinishedOffer]], Any]) -> Callable[[Sequence[FinishedOffer]], Any]:
    async def ask(finished: Sequence[FinishedOffer]) -> frozenset[int]:
        try:
            return await finish(finished)
        except Exception:
            return frozenset()

    return ask


@plant
def what_has_begun_is_offered(patch: pytest.MonkeyPatch) -> None:
    choose = OwnActivities.choose

    def careless(self: Any, now: float, is_free: Callable[[PendingActivity], bool]) -> None:
        going = {activity.number for activity in self._going}
        choose(self, now, is_free)
        if len(self._going) > len(going):
            lane = self._inner
            while not isinstance(lane, InlineActivities):
                lane = getattr(lane, "_inner", None) or getattr(lane, "_activities", None)
            self._going += [a for a in lane._running.values() if is_free(a) and a.number not in going]

    patch.setattr(OwnActivities, "choose", careless)


@plant
def what_was_taken_back_is_not_begun(patch: pytest.MonkeyPatch) -> None:
    popped = OwnActivities._popped
    patch.setattr(OwnActivities, "_popped", lambda self, numbers: popped(self, numbers)[:0])


@plant
def a_recalled_turn_never_comes_back(patch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Any, turn: Any) -> None:
        pass

    patch.setattr(OfferedTurns, "_give_up", forgetful)


@plant
def a_turn_runs_on_whatever_past_is_stored(patch: pytest.MonkeyPatch) -> None:
    open_turn = Claims._open

    async def careless(self: Any, claimed: ClaimedOffer, work: Any) -> Any:
        if getattr(work, "past_count", 0) and work.past is None:
            past = await self._storage.history(work.origin.instance_id)
            work = msgspec.structs.replace(work, past_count=len(past), past_end=offer_claims.end_of(past))
        return await open_turn(self, claimed, work)

    patch.setattr(Claims, "_open", careless)


@plant
def an_answer_waits_for_a_hint(patch: pytest.MonkeyPatch) -> None:
    renew = SharedMemory.renew

    def blind(self: Any, *arguments: Any) -> Any:
        sight = renew(self, *arguments)
        return None if sight is None else msgspec.structs.replace(sight, has_offers=False)

    patch.setattr(SharedMemory, "renew", blind)


@plant
def what_runs_is_not_handed_over(patch: pytest.MonkeyPatch) -> None:
    async def idle(self: Any, is_leaving: Callable[[str], bool]) -> None:
        pass

    patch.setattr(OfferingExecutor, "hand_over", idle)


@plant
def what_is_handed_over_is_free_for_all(patch: pytest.MonkeyPatch) -> None:
    offer_claimed = SharedMemory.offer_claimed

    def careless(self: Any, *arguments: Any) -> list[ClaimedOffer]:
        claimed = offer_claimed(self, *arguments)
        for one in claimed:
            self._offers[one.offer.number].doer = None
        return claimed

    patch.setattr(SharedMemory, "offer_claimed", careless)


@plant
def what_ends_while_it_is_handed_over_is_dropped(patch: pytest.MonkeyPatch) -> None:
    sift = Departures.sift

    def forgetful(self: Any, results: Sequence[ActivityResult]) -> list[ActivityResult]:
        others = sift(self, results)
        self._ended.clear()
        return others

    patch.setattr(Departures, "sift", forgetful)
