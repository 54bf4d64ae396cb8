"""Mistakes that somebody could make in the hub, to see whether the simulation finds them."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from perdure.contracts.errors import Unavailable
from perdure.contracts.records import Backlog, Committed, Hold, PendingActivity, Round
from perdure.core import decisions as core_decisions
from perdure.core import receiving
from perdure.core.checkpoint import Creation
from perdure.core.entities import batch, decisions, scheduling
from perdure.core.messages import Envelope, LockRelease, LockRequest, OperationFailed, TimerDue
from perdure.engine.due_messages import DueMessages
from perdure.engine.live_instances import LiveInstances
from perdure.engine.orchestration_episode import LiveOrchestration
from perdure.engine.rereading import Rereading
from perdure.engine.routing import Router
from perdure.engine.runner import Runner
from perdure.execution import local
from perdure.storage import one_process
from perdure.storage.arrivals import Arrivals
from perdure.storage.claims import Claims
from perdure.storage.memory.tables import MemoryTables
from perdure.testing.faulty_storage import FaultyStorage

Plant = Callable[[pytest.MonkeyPatch], None]
PLANTS: dict[str, Plant] = {}
"""Name → what makes the mistake."""


def plant(function: Plant) -> Plant:
    PLANTS[function.__name__.replace("_", " ")] = function
    return function


@plant
def activities_begin_before_their_commit(patch: pytest.MonkeyPatch) -> None:
    begin = Runner.__init__

    def planted(self: Any, *arguments: Any) -> None:
        begin(self, *arguments)
        commit = self._commits.commit

        async def hasty(round_: Round, episodes: Any) -> Committed:
            for checkpoint in round_.checkpoints:
                origin = checkpoint.origin
                self._executor.start_activities(
                    [
                        PendingActivity(0, origin.instance_id, origin.execution_id, a.seq, a.task_id, a.name, a.input)
                        for a in checkpoint.activities
                    ]
                )
            return await commit(round_, episodes)

        self._commits.commit = hasty

    patch.setattr(Runner, "__init__", planted)


@plant
def a_start_is_answered_before_its_commit(patch: pytest.MonkeyPatch) -> None:
    admit = Arrivals.admit

    def hasty(self: Arrivals, envelope: Any, creation: Any) -> asyncio.Future[None]:
        saved = admit(self, envelope, creation)
        if creation is not None:
            saved.set_result(None)
        return saved

    patch.setattr(Arrivals, "admit", hasty)


@plant
def an_event_is_answered_before_its_commit(patch: pytest.MonkeyPatch) -> None:
    admit = Arrivals.admit

    def hasty(self: Arrivals, envelope: Any, creation: Any) -> asyncio.Future[None]:
        saved = admit(self, envelope, creation)
        if creation is None:
            saved.set_result(None)
        return saved

    patch.setattr(Arrivals, "admit", hasty)


@plant
def a_committed_message_wakes_nobody(patch: pytest.MonkeyPatch) -> None:
    deliver = Arrivals.deliver
    patch.setattr(Arrivals, "deliver", lambda self, envelopes: deliver(self, list(envelopes)[:2]))


@plant
def results_go_to_a_list_that_nobody_reads(patch: pytest.MonkeyPatch) -> None:
    take_results = Runner._take_results

    async def stale(self: Any) -> None:
        incoming = self._in_hand.incoming
        await take_results(self)
        if incoming is not self._in_hand.incoming:
            self._in_hand.incoming = [e for e in self._in_hand.incoming if e.ends_activity is None]

    patch.setattr(Runner, "_take_results", stale)


@plant
def a_timer_is_taken_twice(patch: pytest.MonkeyPatch) -> None:
    open_work, take = receiving._open_work, DueMessages.take

    def twice(self: DueMessages, now: datetime) -> list[Envelope]:
        due = take(self, now)
        return [*due, *(msgspec.structs.replace(e) for e in due if isinstance(e.message, TimerDue))]

    patch.setattr(receiving, "_open_work", lambda i, e, seq, kind, taken: open_work(i, e, seq, kind, set()))
    patch.setattr(DueMessages, "take", twice)


@plant
def held_messages_get_no_row(patch: pytest.MonkeyPatch) -> None:
    commit = FaultyStorage.commit

    async def forgetful(self: FaultyStorage, hold: Hold, round_: Round) -> Committed:
        round_.kept = [e for e in round_.kept if e.due_at is not None]
        return await commit(self, hold, round_)

    patch.setattr(FaultyStorage, "commit", forgetful)


@plant
def timers_are_forgotten_on_recovery(patch: pytest.MonkeyPatch) -> None:
    recover = FaultyStorage.recover

    async def forgetful(self: Any, *arguments: Any) -> Backlog:
        backlog = await recover(self, *arguments)
        backlog.due = []
        return backlog

    patch.setattr(FaultyStorage, "recover", forgetful)


@plant
def activities_are_forgotten_on_recovery(patch: pytest.MonkeyPatch) -> None:
    recover = FaultyStorage.recover

    async def forgetful(self: Any, *arguments: Any) -> Backlog:
        backlog = await recover(self, *arguments)
        backlog.activities = []
        return backlog

    patch.setattr(FaultyStorage, "recover", forgetful)


@plant
def a_failed_commit_is_tried_again_with_less(patch: pytest.MonkeyPatch) -> None:
    commit = FaultyStorage.commit

    async def careless(self: FaultyStorage, hold: Hold, round_: Round) -> Committed:
        try:
            return await commit(self, hold, round_)
        except Unavailable:
            for checkpoint in round_.checkpoints:
                checkpoint.outbox = []
            raise

    patch.setattr(FaultyStorage, "commit", careless)


@plant
def a_failed_commit_is_given_up(patch: pytest.MonkeyPatch) -> None:
    commit = FaultyStorage.commit

    async def careless(self: FaultyStorage, hold: Hold, round_: Round) -> Committed:
        try:
            return await commit(self, hold, round_)
        except Unavailable:
            return Committed([])

    patch.setattr(FaultyStorage, "commit", careless)


@plant
def completions_of_an_old_execution_are_taken(patch: pytest.MonkeyPatch) -> None:
    open_work = receiving._open_work
    patch.setattr(receiving, "_open_work", lambda i, execution, *rest: open_work(i, i.origin.execution_id, *rest))


@plant
def a_resume_forgets_what_was_held(patch: pytest.MonkeyPatch) -> None:
    apply = LiveOrchestration.apply

    def forgetful(self: LiveOrchestration, checkpoint: Any) -> bool:
        apply(self, checkpoint)
        return False

    patch.setattr(LiveOrchestration, "apply", forgetful)


@plant
def a_resumed_instance_takes_timers_that_are_not_due(patch: pytest.MonkeyPatch) -> None:
    reread = Rereading.reread

    async def hasty(self: Any, live: Any) -> None:
        in_hand = self._in_hand
        in_hand.incoming.extend(self._held.receive_now())
        early = [e for e in in_hand.incoming if e.target == live.instance_id and e.due_at is not None]
        in_hand.incoming = [e for e in in_hand.incoming if e not in early]
        await reread(self, live)
        live.queue.extend(early)

    patch.setattr(Rereading, "reread", hasty)


@plant
def a_busy_instance_is_evicted(patch: pytest.MonkeyPatch) -> None:
    def careless(self: Any) -> Iterator[Any]:
        return iter(list(self._instances.values()))

    patch.setattr(LiveInstances, "_evictable", careless)


@plant
def an_instance_rests_in_the_middle_of_a_round(patch: pytest.MonkeyPatch) -> None:
    async def restless(self: Any) -> None:
        while True:
            await asyncio.sleep(5.0)
            self._rest()

    patch.setattr(Runner, "_rest_now_and_then", restless)


@plant
def the_horizon_stands_still(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DueMessages, "move_horizon", lambda self: None)


@plant
def timers_fire_a_second_early(patch: pytest.MonkeyPatch) -> None:
    take = DueMessages.take

    def hasty(self: DueMessages, now: datetime) -> list[Any]:
        return [msgspec.structs.replace(envelope, due_at=None) for envelope in take(self, now + timedelta(seconds=1))]

    patch.setattr(DueMessages, "take", hasty)


@plant
def an_ended_id_is_never_used_again(patch: pytest.MonkeyPatch) -> None:
    route = Router.route

    async def stubborn(self: Any, envelopes: Any, now: Any, round_: Any) -> Any:
        ended = dict(self._finished)
        ready = await route(self, envelopes, now, round_)
        self._finished.update((i, e) for i, e in ended.items() if self._live.get(i) is None)
        return ready

    patch.setattr(Router, "route", stubborn)


@plant
def an_ended_activity_stays_pending(patch: pytest.MonkeyPatch) -> None:
    write = MemoryTables.write

    def careless(self: Any, changes: Any, *, at_once: bool) -> Any:
        changes.ended_activities = changes.ended_activities[1:]
        return write(self, changes, at_once=at_once)

    patch.setattr(MemoryTables, "write", careless)


@plant
def a_failed_operation_is_not_rolled_back(patch: pytest.MonkeyPatch) -> None:
    def careless(program: Any, state: Any, operations: Any, failed: Any) -> Any:
        outcomes = batch.run_batch(program, state, operations, failed)
        return [msgspec.structs.replace(o, state='["spoiled"]') if o.failure is not None else o for o in outcomes]

    patch.setattr(local, "run_batch", careless)


@plant
def a_failed_operation_is_not_answered(patch: pytest.MonkeyPatch) -> None:
    decide_batch = decisions.decide_batch

    def careless(*arguments: Any) -> Any:
        checkpoint = decide_batch(*arguments)
        checkpoint.outbox = [e for e in checkpoint.outbox if not isinstance(e.message, OperationFailed)]
        return checkpoint

    patch.setattr("perdure.engine.entity_episode.decide_batch", careless)
    patch.setattr("perdure.testing.simulation.square.decide_batch", careless)


@plant
def a_parent_is_not_told_that_an_id_is_taken(patch: pytest.MonkeyPatch) -> None:
    changes_of = one_process.changes_of

    def careless(*arguments: Any) -> Any:
        changes = changes_of(*arguments)
        for child in changes.children:
            child.creation.if_taken = None
        return changes

    patch.setattr(one_process, "changes_of", careless)


@plant
def two_creations_of_one_id_go_on_together(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Claims, "__contains__", lambda self, instance_id: False)


@plant
def what_was_sent_first_is_taken_last(patch: pytest.MonkeyPatch) -> None:
    read_inbox = FaultyStorage.read_inbox

    async def reversed_inbox(self: Any, *arguments: Any) -> Any:
        return list(reversed(await read_inbox(self, *arguments)))

    patch.setattr(FaultyStorage, "read_inbox", reversed_inbox)


@plant
def an_entity_is_locked_by_whoever_asks(patch: pytest.MonkeyPatch) -> None:
    lock = scheduling._STEPS[LockRequest]

    def careless(scan: Any, envelope: Any, request: Any) -> None:
        scan.batch.locked_by = None
        lock(scan, envelope, request)

    patch.setitem(scheduling._STEPS, LockRequest, careless)


@plant
def an_execution_that_ends_keeps_its_locks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core_decisions, "leave_sections", lambda holder_id, sections: [])


@plant
def a_release_is_not_passed_on(patch: pytest.MonkeyPatch) -> None:
    release = scheduling._STEPS[LockRelease]

    def careless(scan: Any, envelope: Any, message: Any) -> None:
        release(scan, envelope, msgspec.structs.replace(message, then=()))

    patch.setitem(scheduling._STEPS, LockRelease, careless)


@plant
def a_locked_entity_takes_calls_of_everybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scheduling._Scan, "_is_holder", lambda scan, caller: caller is not None)


@plant
def a_successor_inherits_what_was_held_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LiveOrchestration, "leave_behind", lambda live, envelope: False)


@plant
def a_replaced_holder_keeps_what_it_has_locked_since_the_start_was_asked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Router, "_release_locks", lambda router, creation: None)


@plant
def a_replaced_holder_keeps_its_locks(patch: pytest.MonkeyPatch) -> None:
    def careless(router: Router, creation: Creation) -> None:
        creation.releases = []

    patch.setattr(Router, "_release_locks", careless)


@plant
def what_waited_for_a_later_start_comes_last(patch: pytest.MonkeyPatch) -> None:
    run = Runner._round

    async def careless(self: Any) -> None:
        waiting = self._router.take_postponed
        self._router.take_postponed = list
        await run(self)
        self._router.take_postponed = waiting
        self._in_hand.incoming.extend(waiting())

    patch.setattr(Runner, "_round", careless)
