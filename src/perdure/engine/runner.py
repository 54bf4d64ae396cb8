"""The partitions of one process: receive → route → episodes → commit → follow-ups, round after round.

It owns the loop and no rule. A round is one for all partitions held, with one commit, since a round's cost is shared:
32 small loops would pay it 32 times. It takes what is there, lets user code run, and commits once; what arrives
meanwhile joins the next. A message whose instance cannot take its turn in the round gets an inbox row (J2).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from perdure.contracts.clock import Clock
from perdure.contracts.executor import ActivityResult, Executor
from perdure.contracts.observer import InstanceFailed, Observer
from perdure.contracts.records import Committed, Hold, PartitionLease, Round
from perdure.contracts.storage import Storage
from perdure.core.messages import ActivityCompleted, ActivityFailed, Envelope
from perdure.core.status import TERMINAL
from perdure.engine.announcing import Announcer
from perdure.engine.committing import Commits
from perdure.engine.due_messages import LONGEST_SLEEP_SECONDS, DueMessages
from perdure.engine.ended_work import EndedWork
from perdure.engine.episodes import Episodes
from perdure.engine.held_partitions import HeldPartitions
from perdure.engine.in_hand import InHand
from perdure.engine.live import Episode, LiveInstance
from perdure.engine.live_instances import LiveInstances
from perdure.engine.options import EngineOptions
from perdure.engine.patience import until_available
from perdure.engine.rejections import Rejections
from perdure.engine.rereading import Rereading
from perdure.engine.round_parts import parts_of, whole
from perdure.engine.routing import Router
from perdure.engine.settlements import Settlements
from perdure.engine.turnovers import Concerned, Turnovers
from perdure.engine.turns_out import TurnsOut

REST_EVERY_SECONDS = 5.0
MESSAGES_PER_ROUND = 10_000
"""So many messages at most are with instances that have not taken them: what else a recovery found waits its turn."""


class Runner:
    """Runs the partitions that this process holds until it is stopped or the store fails.

    Partitions may come and go meanwhile; those it begins with are in ``hold``.
    """

    def __init__(
        self,
        hold: Hold,
        storage: Storage,
        executor: Executor,
        clock: Clock,
        options: EngineOptions,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._announcer = Announcer(observers, options)
        self._held = HeldPartitions(hold, storage, self._announcer.announce)
        self._storage = storage
        self._executor = executor
        self._clock = clock
        self._wake = asyncio.Event()
        self._in_hand = InHand()
        self._settlements = Settlements()
        self._turns_out = TurnsOut(executor, self._settlements)
        self._live = LiveInstances(options.live)
        self._due = DueMessages(clock, self._wake.set, options.horizon)
        self._rejections = Rejections(options.versioning, self._wake.set)
        self._transaction_characters = options.transaction_characters
        self._loaded_bytes = options.loaded_bytes
        self._turns_per_round = self._turns_now = options.turns_per_round
        self._router = Router(
            self._held, storage, self._live, self._due, options, self._announcer.announce, self._turns_out.recall
        )
        self._commits = Commits(self._held, storage, self._live, self._router, self._abandon)
        self._rereading = Rereading(
            self._held,
            clock,
            in_hand=self._in_hand,
            live=self._live,
            turns_out=self._turns_out,
            due=self._due,
            rejections=self._rejections,
        )
        self._episodes = Episodes(executor, self._rejections, self._settlements, self._announcer.announce)
        self._ended_work = EndedWork(executor)
        self._turnovers = Turnovers(self._held, storage, self, self._wake.set)
        self._stopping = asyncio.Event()
        self._rest_is_due = False
        self._look_ahead_is_due = False

    async def run(self) -> None:
        """Recover, then run rounds until ``stop`` is called.

        Raises StoreFailed, and LeaseLost when the store will never give it a partition again; nothing it did after the
        last commit was visible, activities excepted.
        """
        await self.gain(self.leases())
        feeds = [
            self._feed(self._receive),
            self._feed(self._take_results),
            self._feed(self._turns_out.receive),
            self._look_ahead_now_and_then(),
            self._rest_now_and_then(),
            self._turnovers.watch(),
        ]
        tasks = [asyncio.create_task(feed) for feed in feeds]
        rounds = asyncio.create_task(self._run_rounds())
        try:
            done, _ = await asyncio.wait([*tasks, rounds], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            assert self._stopping.is_set(), "a part of the runner ended by itself"
        finally:
            self._due.stop()
            self._rejections.stop()
            self._ended_work.stop()
            for task in [*tasks, rounds]:
                task.cancel()
            await asyncio.gather(*tasks, rounds, return_exceptions=True)
            self._live.clear()

    async def leave(self) -> None:
        """Give all partitions back, as soon as the turns in user code allow it, and go on without any."""
        await self._turnovers.leave()

    def stop(self) -> None:
        """Finish what is in hand, then let ``run`` return."""
        self._stopping.set()
        self._wake.set()

    def observe(self, observer: Observer) -> None:
        """Tell one more observer from now on."""
        self._announcer.add(observer)

    def live_count(self) -> int:
        """How many instances are in memory."""
        return len(self._live)

    def leases(self) -> list[PartitionLease]:
        """What it holds now."""
        return list(self._held.hold.leases.values())

    async def gain(self, leases: Sequence[PartitionLease]) -> None:
        """Take partitions into the hold, with what was left behind in them; between rounds only."""
        backlog = await self._held.recover(leases, self._clock.now(), self._due.horizon)
        for envelope in backlog.due:
            self._due.add(envelope)
        self._in_hand.incoming.extend(backlog.ready)
        if activities := backlog.activities:
            # What has begun when its partition was lost goes on, and its result counts while its row is there.
            begun = self._executor.begun()
            self._executor.start_activities([activity for activity in activities if activity.number not in begun])

    async def hand_over(self, is_leaving: Concerned) -> None:
        """Let what runs for these instances go on, for whoever has them next; between rounds only."""
        await until_available(lambda: self._executor.hand_over(is_leaving))

    async def write_down(self, is_leaving: Concerned) -> None:
        """Give a row to all that is in hand for these instances and has none; between rounds only.

        The store gives starts that replace an instance back to who sent them: what that has locked is not known here.
        """
        queued = (envelope for live in self._live if is_leaving(live.instance_id) for envelope in live.queue)
        all_in_hand = [*queued, *self._in_hand.set_aside, *self._in_hand.incoming]
        without_row = [e for e in all_in_hand if e.position is None and is_leaving(e.target)]
        round_ = Round([], [e for e in without_row if not self._router.replaces(e)], [])
        if round_.kept:
            parts = parts_of(round_, [], self._transaction_characters)
            for part, made in parts:
                await self._commits.commit(part, made)
            self._settlements.settle(whole(parts))

    def drop(self, is_gone: Concerned) -> None:
        """Forget all about these instances, whose partitions are not held any more; between rounds only."""
        self._in_hand.forget(is_gone)
        for live in [*self._live, *self._turns_out.instances()]:
            if is_gone(live.instance_id):
                self._abandon(live)
        self._due.forget_all(is_gone)
        self._rejections.forget(is_gone)
        self._router.forget(is_gone)
        self._settlements.give_up(is_gone)
        self._executor.forget(lambda activity: is_gone(activity.instance_id))

    def partitions_out(self) -> set[int]:
        """The partitions of the turns that are in user code."""
        return {self._held.hold.partition_of(live.instance_id) for live in self._turns_out.instances()}

    async def _feed(self, take: Callable[[], Awaitable[None]]) -> None:
        while True:
            await take()
            self._wake.set()

    async def _receive(self) -> None:
        received = await self._held.receive()
        self._in_hand.incoming.extend(received)

    async def _take_results(self) -> None:
        results = await self._executor.activity_results()
        self._announcer.ended(results)
        for result in results:
            envelope = _message_of(result)
            if result.settled is not None:
                self._settlements.owe_envelope(envelope, result.settled)
            self._in_hand.incoming.append(envelope)

    async def _look_ahead_now_and_then(self) -> None:
        seconds = min(LONGEST_SLEEP_SECONDS, self._due.span.total_seconds() / 2)
        while True:
            await asyncio.sleep(seconds)
            self._look_ahead_is_due = True
            self._wake.set()

    async def _rest_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(REST_EVERY_SECONDS)
            if len(self._live) or self._turns_out.has_abandoned:
                self._rest_is_due = True
                self._wake.set()

    def _rest(self) -> None:
        # Between rounds only: in a round an instance that looks idle may have an episode on its way to the store.
        self._rest_is_due = False
        self._live.rest(self._clock.now(), asyncio.get_running_loop().time())
        self._live.shrink_bytes()
        self._turns_out.recall_abandoned()

    async def _run_rounds(self) -> None:
        while True:
            in_hand = self._in_hand
            if not (in_hand.incoming or in_hand.ready or self._turns_out.has_late or self._rejections.is_look_due):
                if self._stopping.is_set():
                    await self._turnovers.end()
                    return
                if not self._turnovers.are_told:
                    await self._wake.wait()
            self._wake.clear()
            if self._turnovers.are_due:
                await self._turnovers.follow()
            if self._rest_is_due:
                self._rest()
            if self._look_ahead_is_due:
                self._look_ahead_is_due = False
                await self._rereading.look_ahead()
            if self._rejections.is_look_due:
                await self._rereading.look_again()
            await self._round()
            self._in_hand.incoming.extend(self._held.receive_now())
            # A busy partition must let the loop's other guests have their turn.
            await asyncio.sleep(0)

    async def _round(self) -> None:
        now = self._clock.now()
        in_hand = self._in_hand
        in_hand.incoming.extend(self._held.receive_now())
        in_hand.incoming.extend(self._due.take(now))
        round_ = Round([], [], [])
        for live in await self._router.route(self._take_incoming(), now, round_):
            in_hand.ready[live.instance_id] = live
        if self._held.lost:
            # Nothing of them has begun in this round, so nothing need begin.
            self._commits.leave_out_lost(round_, [])
            self._turnovers.drop_lost()
        episodes = self._finish_late(round_)
        ready = in_hand.take_ready(self._turns_now)
        if self._turnovers.are_due:
            ready = [live for live in ready if not self._turnovers.is_leaving(live.instance_id)]
        if self._rejections:
            for live in ready:
                if self._rejections.take_if_accepted(live.execution_id):
                    await self._rereading.reread(live)
            if self._held.lost:
                ready = [live for live in ready if not self._held.is_lost(live.instance_id)]
        begun, held = self._episodes.begin_all(ready, now, round_, episodes)
        if begun:
            running = await self._executor.advance([turn for _, turn in begun])
            if running:
                begun = self._turns_out.leave_running(running, begun, round_)
            episodes.extend((live, self._episodes.finish(live)) for live, _ in begun)
        for live, checkpoint in episodes:
            round_.checkpoints.append(checkpoint)
            if held and checkpoint.progress.status in TERMINAL and (gone := held.pop(live.instance_id, None)):
                round_.discarded.extend(gone)
                live.queue = [envelope for envelope in live.queue if envelope not in gone]
        round_.kept.extend(e for envelopes in held.values() for e in envelopes if e.position is None)
        if round_.checkpoints or round_.kept or round_.discarded:
            await self._make_true(round_, episodes)
        elif self._settlements.has_turns:
            self._settlements.settle(round_)
        # They came before whatever has come since, also before a start that gives their id to yet another instance.
        in_hand.incoming[:0] = self._router.take_postponed()

    async def _make_true(self, round_: Round, episodes: list[Episode]) -> None:
        parts = parts_of(round_, episodes, self._transaction_characters)
        for part, made in parts:
            committed = await self._commits.commit(part, made)
            if self._settlements and part is parts[-1][0]:
                self._settlements.settle(whole(parts))
            await self._follow_up(made, committed)
        # Not before: what looks idle may have its episode in the next part.
        self._live.shrink()
        if self._router.loaded_bytes > self._loaded_bytes:
            self._router.loaded_bytes = 0
            self._live.shrink_bytes()
        if len(parts) > 1:
            # Payloads that large are in memory from a turn's end to its commit.
            self._turns_now = max(1, len(episodes) // len(parts))
        elif self._turns_now < self._turns_per_round:
            self._turns_now = min(self._turns_now * 2, self._turns_per_round)

    def _take_incoming(self) -> list[Envelope]:
        taken = self._in_hand.take_incoming(MESSAGES_PER_ROUND - len(self._in_hand.ready))
        return taken if self._held.has_all and not self._turnovers.are_due else self._ours(taken)

    def _ours(self, envelopes: list[Envelope]) -> list[Envelope]:
        """Those that can be taken now: an activity, for one, may end after its partition has gone."""
        ours: list[Envelope] = []
        for envelope in envelopes:
            if not self._held.has(envelope.target):
                self._settlements.give_up_envelope(envelope)
            elif self._turnovers.is_leaving(envelope.target):
                self._in_hand.set_aside.append(envelope)
            else:
                ours.append(envelope)
        return ours

    def _abandon(self, live: LiveInstance) -> None:
        """Somebody else has the instance: nothing that is here of it counts, nor what its turn may still give."""
        self._turns_out.abandon(live)
        if self._in_hand.ready.get(live.instance_id) is live:
            del self._in_hand.ready[live.instance_id]
        self._live.remove(live)

    def _finish_late(self, round_: Round) -> list[Episode]:
        episodes: list[Episode] = []
        for turn, live in self._turns_out.take_late():
            if turn.is_given_up:
                self._try_again(live, round_)
            elif self._live.get(live.instance_id) is live:
                episodes.append((live, self._episodes.finish(live)))
            else:
                self._leave_replaced(live, round_)
        return episodes

    def _leave_replaced(self, live: LiveInstance, round_: Round) -> None:
        self._settlements.owe_turn(live.turn)
        self._router.replaced(live, round_)
        live.turn = None
        live.close()

    def _try_again(self, live: LiveInstance, round_: Round) -> None:
        """Open the instance anew from what is committed; all that it had taken and not taken comes again."""
        if self._live.get(live.instance_id) is not live:
            self._leave_replaced(live, round_)
            return
        envelopes, live.queue, live.turn = [*live.in_hand(), *live.queue], [], None
        self._live.remove(live)
        self._router.postpone(envelopes)

    async def _follow_up(self, episodes: list[Episode], committed: Committed) -> None:
        if (activities := committed.activities) and self._turnovers.are_told:
            # The answer may be so late that others have begun them long ago.
            activities = self._turnovers.still_ours(activities)
        if activities:
            self._executor.start_activities(activities)
        at = asyncio.get_running_loop().time()
        noticed_seq, noticed_bytes = self._announcer.noticed_seq, self._announcer.noticed_bytes
        for live, checkpoint in episodes:
            reread = live.apply(checkpoint)
            if live.is_finished():
                if (failure := checkpoint.progress.failure) is not None:
                    self._announcer.announce(InstanceFailed(live.instance_id, checkpoint.origin.name, failure))
                self._in_hand.ready.pop(live.instance_id, None)
                if live.leaves_activities:
                    self._ended_work.add(live.execution_id, checkpoint.expected_last_seq)
                if self._rejections:
                    self._rejections.discard(live.execution_id)
                # It was for this instance: a start that has come meanwhile gives the id to another one.
                self._in_hand.incoming[:0] = live.queue
                self._router.finished(live)
                continue
            self._live.use(live, at)
            if checkpoint.progress.last_seq >= noticed_seq or live.history_bytes >= noticed_bytes:
                self._announcer.grown(live, checkpoint)
            if reread:
                await self._rereading.reread(live)
            if live.queue and live.turn is None:
                self._in_hand.ready[live.instance_id] = live
        self._announcer.committed(episodes)


def _message_of(result: ActivityResult) -> Envelope:
    activity = result.activity
    message = (
        ActivityCompleted(activity.execution_id, activity.seq, result.result)
        if result.failure is None
        else ActivityFailed(activity.execution_id, activity.seq, result.failure)
    )
    return Envelope(activity.instance_id, message, ends_activity=activity.number)
