"""The owner's side of turns: those whose code nobody here has are offered, and their answers taken.

An instance never moves for it: its owner decides and commits what another process has run.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from perdure.contracts.errors import LeaseLost, Unavailable
from perdure.contracts.executor import (
    EntityTurn,
    Executor,
    OrchestrationSession,
    OrchestrationTurn,
    ServedKind,
    Serves,
    Turn,
)
from perdure.contracts.offers import Offer, OfferedWork
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin
from perdure.execution.offer_batches import together
from perdure.formats.stored import UnreadableText
from perdure.formats.stored_offers import (
    GaveUp,
    NeedsPast,
    OfferedBatch,
    OfferedTurn,
    Ran,
    RanBatch,
    TurnAnswer,
    end_of,
    read_answer,
    write_offer,
)

UNSERVED_SECONDS = 1.0
"""So long a turn waits here for a worker that was there a moment ago, before others get it."""
TOGETHER_MAX = 500
"""So many turns at most are offered with one call."""
GIVEN_UP_SECONDS = 1.0
"""What came to no end elsewhere is tried again after that."""


class OfferedSession:
    """A session that may run here, by ``inner``, or elsewhere: then it is told by its origin and its past."""

    __slots__ = ("_last", "count", "inner", "origin", "unstored")

    def __init__(self, origin: Origin, history: Sequence[HistoryEvent], inner: OrchestrationSession) -> None:
        self.origin = origin
        self.inner = inner
        self.count = len(history)
        self.unstored: Sequence[HistoryEvent] | None = history
        """The past, as long as it may not be the stored one (after a rewind, until that is committed)."""
        self._last = history[-1:]

    @property
    def end(self) -> int:
        """See ``end_of``."""
        return end_of(self._last)

    def follow(self, events: Sequence[HistoryEvent]) -> None:
        """An episode is committed."""
        self.unstored = None
        if events:
            self.count += len(events)
            self._last = events[-1:]
        if (follow := self.inner.follow) is not None:
            follow(events)

    def charge(self) -> int:
        """Bytes it holds."""
        return self.inner.charge()

    def close(self) -> None:
        """Let go. Twice-safe."""
        self.unstored = None
        self.inner.close()


class Place(NamedTuple):
    """A partition as one holder has it; with the next one, or the next time, its offers are gone."""

    partition: int
    epoch: int | None


class _Out(msgspec.Struct, eq=False):
    """A turn that another process is to run."""

    turn: Turn
    session: OfferedSession | None
    kind: ServedKind
    name: str
    version: str | None
    instance_id: str
    place: Place = Place(0, None)
    number: int = 0
    sends_past: bool = False


class OfferedTurns:
    """Turns of the instances that this process owns. ``leaves``: which names only wait here."""

    def __init__(self, inner: Executor, leaves: Serves, poke: Callable[[], None]) -> None:
        self._inner = inner
        self._leaves = leaves
        self._poke = poke
        self._inside: dict[int, tuple[_Out, float]] = {}
        """Turns that wait or run here: id → what it would be outside, and since when."""
        self._going: dict[int, _Out] = {}
        """On their way up: id of the turn → it."""
        self._out: dict[int, _Out] = {}
        """Up: number of the offer → it."""
        self._numbers: dict[int, int] = {}
        """id of a turn that is up → the number of its offer."""
        self._unwanted: dict[int, Place] = {}
        """Numbers of offers to take back because others came in between."""
        self._answered: dict[int, Place] = {}
        """Numbers of offers whose answer has been taken, or means nothing."""
        self._stray: dict[int, Place] = {}
        """Numbers of offers that mean nothing and that somebody does."""
        self._late: list[Turn] = []
        self._has_late = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()
        self.partition_of: Callable[[str], int] = lambda instance_id: 0
        self.epoch_of: Callable[[int], int | None] = lambda partition: 0

    @property
    def has_inside(self) -> bool:
        """Whether turns wait or run here that others might take."""
        return bool(self._inside)

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> OrchestrationSession:
        """A session here; one that others may run, too, unless it is a live program."""
        inner = self._inner.open(origin, history)
        return inner if inner.follow is None else OfferedSession(origin, history, inner)

    async def advance(self, turns: Sequence[Turn], *, is_alone: bool) -> Sequence[Turn]:
        """Run those that can be run here; the others are still running when this returns."""
        here: list[Turn] = []
        away: list[Turn] = []
        now = asyncio.get_running_loop().time()
        for turn in turns:
            if (out := self._as_offered(turn)) is None:
                here.append(turn)
            elif not is_alone and self._leaves(out.kind, out.name, out.version):
                self._going[id(turn)] = out
                away.append(turn)
            else:
                self._go_inside(out, now)
                here.append(turn)
        if away:
            self._poke()
        if not here:
            return away
        running = await self._inner.advance(here)
        if self._inside:
            still = {id(turn) for turn in running}
            for turn in here:
                if id(turn) not in still:
                    self._inside.pop(id(turn), None)
        return [*running, *away] if away else running

    def ended_inside(self, turn: Turn) -> None:
        """It has its result, or was given up, here."""
        self._inside.pop(id(turn), None)

    def recall(self, turn: Turn) -> bool:
        """As ``Executor.recall``. What is up may have been begun; when it has not, it comes back given up."""
        key = id(turn)
        if self._going.pop(key, None) is not None:
            return True
        number = self._numbers.get(key)
        if number is None:
            if not self._inner.recall(turn):
                return False
            self._inside.pop(key, None)
            return True
        out = self._out[number]
        if not self._is_held(out.place):
            # The offer is gone with the partition, which may be here again.
            self._end(number)
            return True
        self._unwanted[number] = out.place
        self._poke()
        return False

    def leave(self, is_leaving: Callable[[str], bool]) -> None:
        """The partitions of these instances are given back, and their offers are gone with them."""
        for out in self._out.values():
            if is_leaving(out.instance_id):
                out.place = Place(out.place.partition, None)

    async def late_turns(self) -> list[Turn]:
        """Turns that others have run, or that are to be tried again."""
        while not self._late:
            self._has_late.clear()
            await self._has_late.wait()
        late, self._late = self._late, []
        return late

    def choose(self, now: float) -> None:
        """Take those out of the executor whose worker has been gone for a while."""
        for key, (out, since) in list(self._inside.items()):
            if now - since < UNSERVED_SECONDS or not self._leaves(out.kind, out.name, out.version):
                continue
            if self._inner.recall(out.turn):
                del self._inside[key]
                self._going[key] = out

    async def put_up(self, offers: OfferedWork) -> None:
        """Offer what is on its way. Raises Unavailable: then it still is."""
        while self._going:
            waiting = list(islice(self._going.values(), TOGETHER_MAX))
            for out in waiting:
                partition = self.partition_of(out.instance_id)
                out.place = Place(partition, self.epoch_of(partition))
                out.number = out.number or offers.next_offer_number()
            made = together(map(_offer_of, waiting), count_max=TOGETHER_MAX, characters_of=lambda made: len(made.body))
            going = waiting[: len(made)]
            try:
                await offers.offer(made)
            except LeaseLost as error:
                if not error.partitions:
                    raise
                for out in going:
                    if out.place.partition in error.partitions and self._going.pop(id(out.turn), None) is not None:
                        # Whoever has it now begins it anew; here it is recalled as soon as that is known.
                        out.place = Place(out.place.partition, None)
                        self._note_up(out)
                continue
            for out in going:
                if self._going.pop(id(out.turn), None) is None:
                    self._answered[out.number] = out.place
                else:
                    self._note_up(out)

    async def take_answers(self, offers: OfferedWork) -> None:
        """What others have run."""
        if not self._out and not self._stray:
            return
        for answer in await offers.take_answers():
            number = answer.number
            if (out := self._out.get(number)) is not None:
                self._end(number)
                self._answered[number] = out.place
                self._take(out, answer.body)
            elif (place := self._stray.pop(number, None)) is not None:
                self._answered[number] = place

    async def withdraw(self, offers: OfferedWork) -> None:
        """Take back what is answered or not wanted any more. Raises Unavailable: then that is still to be done."""
        unwanted, self._unwanted = self._unwanted, {}
        answered, self._answered = self._answered, {}
        self._stray = {number: place for number, place in self._stray.items() if self._is_held(place)}
        held = {number: place for number, place in (unwanted | answered).items() if self._is_held(place)}
        if not held:
            return
        try:
            back = await offers.withdraw_offers({number: place.partition for number, place in held.items()})
        except (LeaseLost, Unavailable) as error:
            self._unwanted, self._answered = unwanted | self._unwanted, answered | self._answered
            if isinstance(error, LeaseLost) and error.partitions:
                return
            raise
        for number in unwanted.keys() & back:
            # Nobody had begun it.
            if (out := self._out.get(number)) is not None:
                self._end(number)
                self._give_up(out.turn)
        self._stray |= {n: p for n, p in answered.items() if n in held and n not in back}

    def stop(self) -> None:
        """Wait for nothing. Twice-safe."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _is_held(self, place: Place) -> bool:
        return place.epoch is not None and self.epoch_of(place.partition) == place.epoch

    def _as_offered(self, turn: Turn) -> _Out | None:
        if isinstance(turn, EntityTurn):
            return _Out(turn, None, ServedKind.ENTITY, turn.entity.name, None, str(turn.entity))
        session: OrchestrationSession = turn.session
        if not isinstance(session, OfferedSession):
            return None
        origin = session.origin
        version = origin.version or None
        return _Out(turn, session, ServedKind.ORCHESTRATOR, origin.name, version, origin.instance_id)

    def _go_inside(self, out: _Out, now: float) -> None:
        if out.session is not None:
            assert isinstance(out.turn, OrchestrationTurn)
            out.turn.session = out.session.inner
        self._inside[id(out.turn)] = out, now

    def _note_up(self, out: _Out) -> None:
        self._out[out.number] = out
        self._numbers[id(out.turn)] = out.number

    def _end(self, number: int) -> None:
        del self._numbers[id(self._out.pop(number).turn)]
        self._unwanted.pop(number, None)

    def _take(self, out: _Out, body: str) -> None:
        turn = out.turn
        try:
            answer: TurnAnswer = read_answer(body)
        except UnreadableText:
            # Of a newer version of this program; the next try may be another one's.
            answer = GaveUp()
        match answer:
            case Ran(result) if isinstance(turn, OrchestrationTurn):
                turn.result = result
                self._give(turn)
            case RanBatch(outcomes) if isinstance(turn, EntityTurn) and outcomes:
                turn.result = outcomes
                self._give(turn)
            case NeedsPast() if out.session is not None and out.session.unstored is not None and not out.sends_past:
                out.sends_past, out.number = True, 0
                self._going[id(turn)] = out
            case _:
                timer: asyncio.TimerHandle

                def try_again() -> None:
                    self._timers.discard(timer)
                    self._give_up(turn)

                timer = asyncio.get_running_loop().call_later(GIVEN_UP_SECONDS, try_again)
                self._timers.add(timer)

    def _give_up(self, turn: Turn) -> None:
        turn.is_given_up = True
        self._give(turn)

    def _give(self, turn: Turn) -> None:
        self._late.append(turn)
        self._has_late.set()


def _offer_of(out: _Out) -> Offer:
    turn = out.turn
    if isinstance(turn, EntityTurn):
        body = write_offer(OfferedBatch(str(turn.entity), turn.state, list(turn.operations)))
    else:
        session = out.session
        assert session is not None
        past = list(session.unstored) if out.sends_past and session.unstored is not None else None
        body = write_offer(OfferedTurn(session.origin, list(turn.events), session.count, session.end, past))
    return Offer(
        number=out.number,
        kind=out.kind,
        name=out.name,
        version=out.version,
        instance_id=out.instance_id,
        partition=out.place.partition,
        body=body,
    )
