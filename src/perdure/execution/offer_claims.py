"""The taker's side: work of other processes, claimed as there is room for it, run here, handed in once."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from perdure.contracts.errors import HistoryCorrupted, Unavailable
from perdure.contracts.executor import (
    ActivityResult,
    EntityTurn,
    Executor,
    OrchestrationTurn,
    ServedKind,
    Serves,
    Settled,
    Turn,
)
from perdure.contracts.offers import ClaimedOffer, FinishedOffer, OfferAnswer, OfferedWork, OfferKey
from perdure.contracts.records import PendingActivity
from perdure.contracts.storage import Storage
from perdure.core.messages import ActivityCompleted, Envelope
from perdure.execution.offer_answers import TakenTurn, answer_of, message_of, turn_of
from perdure.execution.offer_batches import together
from perdure.execution.offer_rates import ActivityRates
from perdure.formats.stored import UnreadableText
from perdure.formats.stored_offers import GaveUp, NeedsPast, end_of, read_offered_activity, write_answer

TURNS_MAX = 200
"""So many turns of others at most are here at once."""
AHEAD_SECONDS = 0.1
"""So much work of others waits here, so that nothing stands still on the way to the store."""
CLAIMED_MAX = 1_000
UNREADABLE_SECONDS = 30.0
"""What this version cannot read is left to others for so long."""
TOGETHER_MAX = 500
"""So many results at most are handed in with one call."""
AGAIN_SECONDS = 0.5


class _Finished(msgspec.Struct, eq=False):
    offer: FinishedOffer
    settled: Settled | None = None


class Claims:
    """What this process has of others, and of its own when nobody else took it.

    ``serves``: what can be run here. ``own_first``: whether work of an activity's name and version is still to be had
    without a claim. ``announce``: told of the activities that have ended here.
    """

    def __init__(
        self,
        inner: Executor,
        storage: Storage,
        rates: ActivityRates,
        *,
        serves: Serves,
        own_first: Callable[[str, str | None], bool],
        announce: Callable[[Sequence[ActivityResult]], None],
    ) -> None:
        self._inner = inner
        self._storage = storage
        self._rates = rates
        self._serves = serves
        self._own_first = own_first
        self._announce = announce
        self._activities: dict[int, tuple[ClaimedOffer, PendingActivity]] = {}
        """By number."""
        self._turns: dict[int, tuple[ClaimedOffer, Turn]] = {}
        """By id of the turn."""
        self._unread: dict[OfferKey, float] = {}
        """What cannot be read, and until when it is left to others."""
        self._finished: list[_Finished] = []
        self._has_finished = asyncio.Event()
        self._is_handed_in = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._turns_taken = 0
        self._left: list[OfferKey] = []
        """Of which there was more than there was room for."""
        self._to_free: list[ClaimedOffer] = []
        """What is to be up again, until the store has heard of it."""
        self.failed: Callable[[BaseException], None] = lambda error: None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of others is here."""
        return not (self._activities or self._turns_taken or self._finished)

    @property
    def leaves_some(self) -> bool:
        """Whether there was more than there was room for."""
        return bool(self._left)

    def has_room(self, now: float) -> bool:
        """Whether it could take some of what it has left to others."""
        return any(self._room(key, now) > 0 for key in self._left)

    def has(self, activity: PendingActivity) -> bool:
        """Whether it was claimed."""
        return activity.number in self._activities

    def has_number(self, number: int) -> bool:
        """Whether an activity of that number was claimed."""
        return number in self._activities

    def adopt(self, claimed: ClaimedOffer, activity: PendingActivity, result: ActivityResult | None) -> None:
        """It runs here, or has ended so, and is from here on one that was claimed."""
        self._activities[activity.number] = claimed, activity
        if result is not None:
            self.sift([result])

    def lets_go(self, activity: PendingActivity) -> bool:
        """It is this process's own from here on; whether it is here because it was claimed.

        What is in a backlog is not offered any more, so the claim is worth nothing; what comes of it counts all the
        same.
        """
        return self._activities.pop(activity.number, None) is not None

    async def look(self, offers: OfferedWork, now: float) -> None:
        """Claim what there is room for. Raises Unavailable."""
        await self._free(offers, [])
        self._left = []
        for key in await offers.waiting_offers():
            if not self._serves(key.kind, key.name, key.version) or self._unread.get(key, 0.0) > now:
                continue
            room = self._room(key, now)
            claimed = await offers.claim_offers([key], room) if room > 0 else []
            if len(claimed) == room:
                self._left.append(key)
            if claimed:
                await self._begin(offers, key, claimed, now)

    def sift(self, results: Sequence[ActivityResult]) -> list[ActivityResult]:
        """Keep the results of what was claimed; gives the others."""
        if not self._activities:
            return list(results)
        others: list[ActivityResult] = []
        mine: list[ActivityResult] = []
        for result in results:
            (mine if result.activity.number in self._activities else others).append(result)
        if mine:
            self._announce(mine)
            for result in mine:
                claimed, _ = self._activities.pop(result.activity.number)
                self._finish(claimed, message_of(result), result.settled)
        return others

    def sift_turns(self, turns: Sequence[Turn]) -> list[Turn]:
        """The same for late turns."""
        if not self._turns:
            return list(turns)
        others: list[Turn] = []
        for turn in turns:
            if (taken := self._turns.pop(id(turn), None)) is not None:
                self._turn_ended(*taken)
            else:
                others.append(turn)
        return others

    async def give_up(self, offers: OfferedWork, is_wanted: Callable[[ServedKind, str, str | None], bool]) -> None:
        """Put up again what nobody here has begun, where that is wanted."""
        taken = self._inner.take_back(
            lambda a: a.number in self._activities and is_wanted(ServedKind.ACTIVITY, a.name, a.version)
        )
        await self._give_back(offers, taken, is_wanted)

    async def give_up_waiting(self, offers: OfferedWork) -> None:
        """Put up again whatever does not run here, also what only a worker has whose answer would come too late."""
        left: list[PendingActivity] = []

        def is_left(activity: PendingActivity) -> bool:
            if activity.number not in self._activities:
                return False
            left.append(activity)
            return True

        self._inner.forget(is_left)
        await self._give_back(offers, left, lambda kind, name, version: True)

    async def ended(self) -> None:
        """Wait until all has ended and is handed in."""
        while not self.is_empty:
            self._is_handed_in.clear()
            await self._is_handed_in.wait()

    async def handed_in(self) -> None:
        """Wait until what has ended is handed in."""
        while self._finished:
            self._is_handed_in.clear()
            await self._is_handed_in.wait()

    async def end(self, offers: OfferedWork) -> None:
        """Put up again what has not ended; whatever comes of it here means nothing."""
        left = [*(c for c, _ in self._activities.values()), *(c for c, _ in self._turns.values())]
        self._turns_taken -= len(self._turns)
        self._activities.clear()
        self._turns.clear()
        if left:
            await offers.give_up_offers(left)

    async def hand_in(self) -> None:
        """Again and again. Raises StoreFailed."""
        while True:
            await self._has_finished.wait()
            finished = together(self._finished, count_max=TOGETHER_MAX, characters_of=_answer_size)
            offers = self._storage.offers
            assert offers is not None
            try:
                await offers.finish_offers([one.offer for one in finished])
            except Unavailable:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            del self._finished[: len(finished)]
            if not self._finished:
                self._has_finished.clear()
            for one in finished:
                if one.settled is not None:
                    one.settled()
            self._is_handed_in.set()

    def stop(self) -> None:
        """Run nothing more. Twice-safe."""
        for task in self._running:
            task.cancel()

    async def _give_back(
        self,
        offers: OfferedWork,
        activities: Sequence[PendingActivity],
        is_wanted: Callable[[ServedKind, str, str | None], bool],
    ) -> None:
        """These activities, and the turns that nobody here has begun, where that is wanted."""
        self._rates.gone(activities)
        back = [self._activities.pop(activity.number)[0] for activity in activities]
        for key, (claimed, turn) in list(self._turns.items()):
            offer = claimed.offer
            if is_wanted(offer.kind, offer.name, offer.version) and self._inner.recall(turn):
                del self._turns[key]
                self._turns_taken -= 1
                _close(turn)
                back.append(claimed)
        await self._free(offers, back)

    async def _free(self, offers: OfferedWork, claimed: Sequence[ClaimedOffer]) -> None:
        """Raises Unavailable: then ``look`` tries it again."""
        self._to_free += claimed
        if not self._to_free:
            return
        freed = list(self._to_free)
        await offers.give_up_offers(freed)
        done = {id(one) for one in freed}
        self._to_free = [one for one in self._to_free if id(one) not in done]

    def _room(self, key: OfferKey, now: float) -> int:
        if key.kind is not ServedKind.ACTIVITY:
            return TURNS_MAX - self._turns_taken
        if self._own_first(key.name, key.version):
            return 0
        ahead = math.ceil((self._rates.rate(key.name, now) or 0.0) * AHEAD_SECONDS) - self._rates.here(key.name)
        return min(max(self._inner.room(key.name, key.version), ahead), CLAIMED_MAX)

    async def _begin(self, offers: OfferedWork, key: OfferKey, claimed: Sequence[ClaimedOffer], now: float) -> None:
        try:
            if key.kind is ServedKind.ACTIVITY:
                self._begin_activities(claimed, now)
            else:
                turns = [(one, turn_of(one.offer)) for one in claimed]
                self._turns_taken += len(turns)
                self._run(self._run_turns(turns))
        except UnreadableText:
            self._unread[key] = now + UNREADABLE_SECONDS
            await self._free(offers, claimed)

    def _begin_activities(self, claimed: Sequence[ClaimedOffer], now: float) -> None:
        read = [(one, read_offered_activity(one.offer.body)) for one in claimed]
        # What was taken from us, or was our own until its partition went, may still run.
        here = self._inner.begun() | self._activities.keys()
        new = [activity for _, activity in read if activity.number not in here]
        self._activities.update((activity.number, (one, activity)) for one, activity in read)
        self._rates.begun(new, now)
        self._inner.start_activities(new)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ran)

    def _ran(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(error)

    async def _run_turns(self, taken: Sequence[tuple[ClaimedOffer, TakenTurn]]) -> None:
        opened = await asyncio.gather(*(self._open(one, work) for one, work in taken))
        begun = [(one, turn) for (one, _), turn in zip(taken, opened, strict=True) if turn is not None]
        if not begun:
            return
        for one, turn in begun:
            self._turns[id(turn)] = one, turn
        running = {id(turn) for turn in await self._inner.advance([turn for _, turn in begun])}
        for one, turn in begun:
            if id(turn) not in running and self._turns.pop(id(turn), None) is not None:
                self._turn_ended(one, turn)

    async def _open(self, claimed: ClaimedOffer, work: TakenTurn) -> Turn | None:
        """A session with the past; None when that is not to be had, which is answered."""
        if isinstance(work, EntityTurn):
            return work
        past = work.past
        if past is None and not work.past_count:
            past = []
        try:
            if past is None:
                past = await self._storage.history(work.origin.instance_id)
            if work.past is None and (len(past) != work.past_count or end_of(past) != work.past_end):
                self._answer(claimed, write_answer(NeedsPast()))
                return None
        except (Unavailable, HistoryCorrupted):
            self._answer(claimed, write_answer(GaveUp()))
            return None
        return OrchestrationTurn(self._inner.open(work.origin, past), work.events)

    def _turn_ended(self, claimed: ClaimedOffer, turn: Turn) -> None:
        _close(turn)
        self._answer(claimed, answer_of(turn), turn.settled)

    def _answer(self, claimed: ClaimedOffer, answer: str, settled: Settled | None = None) -> None:
        self._turns_taken -= 1
        self._finish(claimed, OfferAnswer(claimed.offer.number, answer), settled)

    def _finish(self, claimed: ClaimedOffer, answer: Envelope | OfferAnswer, settled: Settled | None) -> None:
        self._finished.append(_Finished(FinishedOffer(claimed, answer), settled))
        self._has_finished.set()


def _answer_size(finished: _Finished) -> int:
    answer = finished.offer.answer
    if isinstance(answer, OfferAnswer):
        return len(answer.body)
    message = answer.message
    return len(message.result) if isinstance(message, ActivityCompleted) and message.result is not None else 0


def _close(turn: Turn) -> None:
    if isinstance(turn, OrchestrationTurn):
        turn.session.close()
