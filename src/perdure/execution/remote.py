"""RemoteExecutor: turns, batches and activities for workers of other processes. Items out, answers in, by token.

Everything happens on the engine loop. No user code runs here, so no turn ever ends within ``advance``: all are late.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from perdure.contracts.errors import Unavailable
from perdure.contracts.executor import ActivityResult, EntityTurn, OrchestrationTurn, ServedKind, Turn
from perdure.contracts.records import PendingActivity
from perdure.contracts.work_load import WorkLoad
from perdure.core.actions import Fail, TurnResult
from perdure.core.events import HistoryEvent
from perdure.core.failures import FailureDetails
from perdure.core.instance import Origin
from perdure.core.registry import OperationOutcome
from perdure.execution.answer_limits import kept_failure, kept_outcomes, kept_result, kept_turn
from perdure.execution.item_writing import ItemWriter, NeedsPastAsked, TooLarge
from perdure.execution.remote_items import EncodedPast, ItemFormat, ItemKind, LaneKey, RemoteOptions, Work
from perdure.execution.remote_leases import Caller, Lease, Leases
from perdure.execution.remote_sessions import RemoteSession, session_of
from perdure.execution.undone_work import UndoneWork
from perdure.execution.work_loads import LoadCount
from perdure.execution.worker_streams import Workers, WorkerStream
from perdure.execution.worker_terms import WorkerTerms

_log = logging.getLogger("perdure.workers")
_KINDS = {
    ServedKind.ORCHESTRATOR: ItemKind.ORCHESTRATION,
    ServedKind.ACTIVITY: ItemKind.ACTIVITY,
    ServedKind.ENTITY: ItemKind.ENTITY,
}


class RemoteExecutor:
    """Runs whatever connected workers take (contracts/executor.py); the doors connect workers and bring answers."""

    def __init__(self, item_format: ItemFormat, options: RemoteOptions | None = None) -> None:
        self.options = RemoteOptions() if options is None else options
        self._format = item_format
        self._writer = ItemWriter(item_format, self.options)
        self._workers = Workers(self.options.limit_per_kind)
        self._leases = Leases(self.options.hub)
        self._turns: dict[int, Work] = {}
        """Turns that have no result: id of the turn → its work."""
        self._undone = UndoneWork(self._workers, self.options.backoff_seconds_max)
        self._grace: dict[str, asyncio.TimerHandle] = {}
        """Leases whose stream is lost: token → what ends it."""
        self._late: list[Turn] = []
        self._results: list[ActivityResult] = []
        self._has_late = asyncio.Event()
        self._has_results = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_stopped = False

    async def start(self) -> None:
        """Begin."""

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> RemoteSession:
        """Open a session; its history is encoded when a worker takes its first turn."""
        return RemoteSession(self._format, origin, history)

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Offer turns to the workers; all of them come back by ``late_turns``."""
        for turn in turns:
            work = self._turns[id(turn)] = _work_of(turn)
            self._undone.offer_turn(work)
        return turns

    async def late_turns(self) -> list[Turn]:
        """Turns that were answered, or that can never be."""
        while not self._late:
            self._has_late.clear()
            await self._has_late.wait()
        late, self._late = self._late, []
        return late

    def recall(self, turn: Turn) -> bool:
        """Take back a turn that no worker has; also one whose worker's stream is lost, since a turn can be run again.

        One that a worker has is given up when the worker is lost or gives it back.
        A batch of operations is not taken back while its worker may still answer.
        """
        work = self._turns.get(id(turn))
        if work is None:
            return False
        if (lease := self._leases.on(work)) is not None:
            if lease.stream is not None or isinstance(turn, EntityTurn):
                work.is_unwanted = isinstance(turn, OrchestrationTurn)
                return False
            self._end(lease)
        elif not self._undone.take_back(work):
            self._workers.take_back(work)
        del self._turns[id(turn)]
        self._undone.remember(work, work.since)
        return True

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        """Offer activities to the workers."""
        for activity in activities:
            lane = LaneKey(ItemKind.ACTIVITY, activity.name, activity.version or "")
            self._workers.offer(Work(lane, activity.instance_id, activity))

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """Drop activities that no worker has; what a connected worker has it may finish."""

        def is_wanted(work: Work) -> bool:
            return not (isinstance(work.subject, PendingActivity) and is_gone(work.subject))

        for work in self._workers.waiting(ItemKind.ACTIVITY):
            if not is_wanted(work):
                self._workers.take_back(work)
        self._undone.forget(is_wanted)
        # A worker that has lost its stream gets no answer for long; nobody need do it again.
        for lease in [lease for lease in self._leases if lease.stream is None and not is_wanted(lease.work)]:
            self._end(lease)

    async def hand_over(self, is_leaving: Callable[[str], bool]) -> None:
        """Nothing: what runs here ends for whoever asks here."""

    def begun(self) -> set[int]:
        """Those that workers have, or have answered and whose result is not taken yet."""
        subjects = [lease.work.subject for lease in self._leases]
        subjects += [result.activity for result in self._results]
        return {subject.number for subject in subjects if isinstance(subject, PendingActivity)}

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        """Those that no worker has."""
        waiting = self._workers.waiting(ItemKind.ACTIVITY)
        resting = [work for work in self._undone.resting() if work.lane.kind is ItemKind.ACTIVITY]
        taken: list[PendingActivity] = []
        for work in sorted([*waiting, *resting], key=lambda work: work.since, reverse=True):
            subject = work.subject
            assert isinstance(subject, PendingActivity)
            if not is_wanted(subject):
                continue
            if not self._undone.take_back(work):
                self._workers.take_back(work)
            taken.append(subject)
        return taken

    def room(self, name: str, version: str | None) -> int:
        """What the connected workers that take such activities can have besides what waits for them."""
        return self._workers.room(LaneKey(ItemKind.ACTIVITY, name, version or ""))

    async def activity_results(self) -> list[ActivityResult]:
        """Activities that were answered, or that can never be."""
        while not self._results:
            self._has_results.clear()
            await self._has_results.wait()
        results, self._results = self._results, []
        return results

    def serves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        """Whether a connected worker takes such items."""
        return self._workers.takes(LaneKey(_KINDS[kind], name, version or ""))

    def leaves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        """Whether it would only wait here, since no worker for it is connected."""
        return not self.serves(kind, name, version)

    async def drain(self, seconds: float) -> bool:
        """Hand out nothing more and wait for what connected workers have; their answers still count."""
        self._workers.is_closed = True
        try:
            async with asyncio.timeout(seconds):
                while any(lease.stream is not None for lease in self._leases):
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End all streams; answers that are not durable yet are refused, and come again. Twice-safe."""
        self._is_stopped = self._workers.is_closed = True
        self._undone.stop()
        for timer in self._grace.values():
            timer.cancel()
        self._grace.clear()
        for stream in list(self._workers):
            stream.ended = True
            stream.wake()
        self._leases.fail_settling(Unavailable("The server is stopping; the answer was not taken."))

    def connect(self, terms: WorkerTerms) -> WorkerStream:
        """A worker opened a stream. Raises Unavailable when the server is stopping."""
        if self._is_stopped:
            raise Unavailable("The server is stopping.")
        _log.info("Worker '%s' connected from %s (%s).", terms.worker, terms.peer, terms.agent or "of no known kind")
        return self._workers.connect(terms)

    def disconnect(self, stream: WorkerStream) -> None:
        """The stream is gone; the worker may still answer for a short while. Twice-safe."""
        if stream not in self._workers:
            return
        _log.info("Worker '%s' disconnected.", stream.terms.worker)
        self._workers.disconnect(stream)
        loop = asyncio.get_running_loop()
        for lease in list(self._leases.of(stream)):
            lease.stream = None
            if lease.work.is_unwanted and not self._is_stopped:
                self._end(lease)
                self._give_up(lease)
                continue
            is_activity = lease.work.lane.kind is ItemKind.ACTIVITY
            seconds = self.options.activity_grace_seconds if is_activity else self.options.turn_grace_seconds
            if not self._is_stopped:
                self._grace[lease.token] = loop.call_later(seconds, self._end_grace, lease)
        self._idle.set()

    def connected(self) -> list[WorkerTerms]:
        """The terms of all open streams."""
        return [stream.terms for stream in self._workers]

    def work_loads(self) -> list[WorkLoad]:
        """What waits for workers and what they have, by name; also names of which there was something not long ago."""
        load = LoadCount()
        self._workers.count(load)
        load.add_waiting(self._undone.resting())
        load.add_active(lease.work for lease in self._leases)
        return load.loads(asyncio.get_running_loop().time())

    def drain_worker(self, caller: Caller) -> bool:
        """Hand a worker nothing more, on any of its streams; False when it has none. Twice-safe."""
        worker, peer = caller.worker, caller.peer
        found = [s for s in self._workers if (s.terms.peer == peer if worker is None else s.terms.worker == worker)]
        for stream in found:
            self._workers.drain(stream)
        return bool(found)

    async def next_item(self, stream: WorkerStream) -> bytes | None:
        """What to write to the stream next; None when it is to end. A silent stream gets a ping now and then."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None
        try:
            while not stream.ended:
                if not stream.ahead and self._workers.are_many:
                    # Writing may not wait at all; the others get their part of what there is before this one's next.
                    await asyncio.sleep(0)
                work = self._workers.next_for(stream)
                if work is not None:
                    if (item := self._dispatch(stream, work)) is not None:
                        stream.is_silent, stream.sent_at = False, loop.time()
                        return item
                    continue
                if stream.is_silent:
                    stream.is_silent, stream.sent_at = False, loop.time()
                    return self._format.ping
                if timer is None:
                    timer = loop.call_at(stream.sent_at + self.options.ping_seconds, stream.wake_silent)
                await stream.woken()
            return None
        finally:
            if timer is not None:
                timer.cancel()

    def lease_of(
        self, token: str, caller: Caller, *, kind: ItemKind, instance_id: str, task_id: int | None = None
    ) -> Lease | None:
        """The item that is answered; None for one that the caller does not hold (any more): to be ignored.

        Raises Unavailable when the server is stopping.
        """
        if self._is_stopped:
            raise Unavailable("The server is stopping; the answer was not taken.")
        if token:
            return self._leases.with_token(token, caller)
        return self._leases.without_token(caller, kind, instance_id, task_id)

    async def settled(self, token: str) -> bool:
        """Wait for an earlier answer with this token to be durable; False when there is none on its way.

        Raises Unavailable when it will not be.
        """
        settling = self._leases.settling(token)
        if settling is None:
            return False
        await settling.wait()
        return True

    def past_of(self, instance_id: str, execution_id: str | None) -> EncodedPast | None:
        """The past of a turn that a worker has without it."""
        return self._leases.past_of(instance_id, execution_id)

    async def finish_turn(self, lease: Lease, result: TurnResult) -> None:
        """A worker ran a turn; returns when what came of it is durable. Raises Unavailable."""
        turn = lease.work.subject
        assert isinstance(turn, OrchestrationTurn)
        if result.events_taken == 0 and lease.sent and result.ending is None:
            # The next turn is the same again.
            self._undone.came_back(lease.work, lease.terms.worker)
            self._undone.remember(lease.work, since=0.0)
        if lease.sent < len(turn.events) - 1:
            told = result.events_taken
            taken = lease.sent if told is None else min(told, lease.sent)
            result = msgspec.structs.replace(result, events_taken=taken)
        await self._give_turn(lease, turn, kept_turn(result, self.options.payload_bytes_max))

    async def finish_batch(self, lease: Lease, outcomes: list[OperationOutcome]) -> None:
        """A worker ran a batch of operations, or the first of it; returns when that is durable. Raises Unavailable."""
        turn = lease.work.subject
        assert isinstance(turn, EntityTurn)
        await self._give_turn(lease, turn, kept_outcomes(turn, outcomes, self.options.payload_bytes_max))

    async def finish_activity(
        self, lease: Lease, result: str | None = None, failure: FailureDetails | None = None
    ) -> None:
        """A worker ran an activity; returns when its end is durable. Raises Unavailable."""
        activity = lease.work.subject
        assert isinstance(activity, PendingActivity)
        self._end(lease)
        settling = self._leases.begin_settling(lease.token)
        if failure is None:
            failure = kept_result(activity.name, result, self.options.payload_bytes_max)
        else:
            failure = kept_failure(failure)
        ended = ActivityResult(activity, None if failure is not None else result, failure, settling.settle)
        self._results.append(ended)
        self._has_results.set()
        await settling.wait()

    def give_back(self, lease: Lease) -> None:
        """The worker does not do it: it is offered again, to another worker first, the later the more often.

        A turn that was to be taken back meanwhile is given up instead.
        """
        self._end(lease)
        lease.parts.clear()
        self._undone.came_back(lease.work, lease.terms.worker)
        if lease.work.is_unwanted and not self._is_stopped:
            self._give_up(lease)
        else:
            self._undone.offer(lease.work)

    def _dispatch(self, stream: WorkerStream, work: Work) -> bytes | None:
        lease = self._leases.grant(work, stream)
        try:
            return self._writer.write(lease)
        except NeedsPastAsked:
            asking = LaneKey(work.lane.kind, work.lane.name, work.lane.version, asks_past=True)
            if self._workers.takes(asking):
                self._end(lease)
                work.lane = asking
                self._workers.offer(work)
                return None
            self._fail(lease, self._writer.too_large_history(work))
        except TooLarge as error:
            self._fail(lease, FailureDetails("PayloadTooLarge", str(error), is_non_retriable=True))
        except ValueError as error:
            text = f"What is to be sent to a worker cannot be encoded: {error}"
            self._fail(lease, FailureDetails("ValueError", text, is_non_retriable=True))
        return None

    def _fail(self, lease: Lease, failure: FailureDetails) -> None:
        """It ends without having been with a worker."""
        self._end(lease)
        subject = lease.work.subject
        if isinstance(subject, PendingActivity):
            self._results.append(ActivityResult(subject, failure=failure))
            self._has_results.set()
            return
        if isinstance(subject, EntityTurn):
            # The first operation only: the others may fit.
            subject.result = [OperationOutcome(subject.state, failure=failure)]
        else:
            subject.result = TurnResult(ending=Fail(failure))
        self._give_late(subject)

    async def _give_turn(self, lease: Lease, turn: Turn, result: TurnResult | list[OperationOutcome]) -> None:
        self._end(lease)
        settling = self._leases.begin_settling(lease.token)
        turn.result = result  # type: ignore[assignment]
        turn.settled = settling.settle
        self._give_late(turn)
        await settling.wait()

    def _give_up(self, lease: Lease) -> None:
        """Its turn is to be tried again, with what else has come since."""
        turn = lease.work.subject
        assert isinstance(turn, OrchestrationTurn)
        lease.parts.clear()
        self._undone.remember(lease.work, lease.work.since)
        turn.is_given_up = True
        self._give_late(turn)

    def _give_late(self, turn: Turn) -> None:
        del self._turns[id(turn)]
        self._late.append(turn)
        self._has_late.set()

    def _end(self, lease: Lease) -> None:
        self._leases.end(lease)
        if lease.stream is not None:
            self._workers.let_go(lease.stream, lease.work.lane.kind)
        elif (timer := self._grace.pop(lease.token, None)) is not None:
            timer.cancel()
        if self._workers.is_closed:
            self._idle.set()

    def _end_grace(self, lease: Lease) -> None:
        self._end(lease)
        self._workers.offer(lease.work)


def _work_of(turn: Turn) -> Work:
    if isinstance(turn, EntityTurn):
        return Work(LaneKey(ItemKind.ENTITY, turn.entity.name), str(turn.entity), turn)
    work = Work(LaneKey(ItemKind.ORCHESTRATION, ""), "", turn)
    session = session_of(work)
    origin = session.origin
    work.lane = LaneKey(ItemKind.ORCHESTRATION, origin.name, origin.version or "")
    work.instance_id = origin.instance_id
    return work
