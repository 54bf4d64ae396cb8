"""Why an instance is not moving, from its record and history."""

from datetime import UTC, datetime, timedelta

import pytest

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.instance import InstanceKind, InstanceRecord, LockHolder, Origin, Progress
from perdure.core.status import TERMINAL, RuntimeStatus
from perdure.core.waiting_on import WaitingOn, WaitKind, waiting_on

START = datetime(2026, 2, 3, tzinfo=UTC)
FAILED = FailureDetails("E", "no")


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def orchestration(status: RuntimeStatus = RuntimeStatus.Running, start_at: datetime | None = None, **progress: object):
    origin = Origin("a", InstanceKind.ORCHESTRATION, "o", "x", START, scheduled_start_at=start_at)
    return InstanceRecord(origin, Progress(status, at(9), **progress))  # type: ignore[arg-type]


def begun(*events: ev.HistoryEvent) -> list[ev.HistoryEvent]:
    return [ev.OrchestratorStarted(at(0)), ev.ExecutionStarted("o", "x"), *events]


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_finished_instance_waits_for_nothing(status: RuntimeStatus):
    assert waiting_on(orchestration(status), begun(ev.TaskScheduled(0, "a")), at(20)) == []


def test_a_scheduled_start_and_a_turn_that_is_due():
    pending = orchestration(RuntimeStatus.Pending, start_at=at(60))
    assert waiting_on(pending, [], at(20)) == [WaitingOn(WaitKind.SCHEDULED_START, since=START, until=at(60))]
    assert waiting_on(pending, [], at(61)) == [WaitingOn(WaitKind.TURN, since=at(9))]
    assert waiting_on(orchestration(RuntimeStatus.Pending), [], at(20)) == [WaitingOn(WaitKind.TURN, since=at(9))]


def test_all_open_work_is_named_with_the_time_it_was_asked_for():
    history = begun(
        ev.TaskScheduled(0, "done"),
        ev.TaskScheduled(1, "pack"),
        ev.OrchestratorStarted(at(5)),
        ev.TaskCompleted(0, 2),
        ev.TimerCreated(2, at(99)),
        ev.SubOrchestrationCreated(3, "child", "a:0003"),
        ev.EntityCalled(4, "@counter@k", "get"),
        ev.EntitySignaled(5, "@counter@k", "add"),
    )
    record = orchestration(awaited_events=("approval",), episode_at=at(5))
    assert waiting_on(record, history, at(20)) == [
        WaitingOn(WaitKind.ACTIVITY, "pack", at(0), attempt=1),
        WaitingOn(WaitKind.TIMER, since=at(5), until=at(99)),
        WaitingOn(WaitKind.CHILD, "a:0003", at(5)),
        WaitingOn(WaitKind.ENTITY, "@counter@k", at(5)),
        WaitingOn(WaitKind.EVENT, "approval", at(5)),
    ]


def test_suspension_comes_first_and_tells_its_reason():
    history = begun(ev.TaskScheduled(0, "pack"), ev.OrchestratorStarted(at(7)), ev.ExecutionSuspended("stock count"))
    assert waiting_on(orchestration(RuntimeStatus.Suspended), history, at(20)) == [
        WaitingOn(WaitKind.SUSPENDED, since=at(7), reason="stock count"),
        WaitingOn(WaitKind.ACTIVITY, "pack", at(0), attempt=1),
    ]


def test_nothing_outstanding_means_a_turn():
    assert waiting_on(orchestration(), begun(), at(20)) == [WaitingOn(WaitKind.TURN, since=at(9))]


def test_an_entity_waits_only_for_its_lock():
    origin = Origin("@counter@k", InstanceKind.ENTITY, "counter", "x", START)
    idle = InstanceRecord(origin, Progress(RuntimeStatus.Running, at(9)))
    locked = InstanceRecord(origin, Progress(RuntimeStatus.Running, at(9), locked_by=LockHolder("a", "e1", "s1")))
    assert waiting_on(idle, [], at(20)) == []
    assert waiting_on(locked, [], at(20)) == [WaitingOn(WaitKind.LOCK, "a", at(9))]


def attempt_of(history: list[ev.HistoryEvent]) -> int | None:
    return waiting_on(orchestration(), history, at(999))[-1].attempt


@pytest.mark.parametrize("ids", [(0, 2, 4), (0, 0, 0)], ids=["a new id each", "the same id"])
def test_attempts_of_a_retried_activity(ids: tuple[int, int, int]):
    history = begun(ev.TaskScheduled(ids[0], "pack", "1"))
    assert attempt_of(history) == 1
    history += [ev.OrchestratorStarted(at(1)), ev.TaskFailed(ids[0], 2, FAILED), ev.TimerCreated(1, at(2))]
    assert waiting_on(orchestration(), history, at(20))[-1].kind is WaitKind.TIMER
    history += [ev.OrchestratorStarted(at(2)), ev.TimerFired(1, 5, at(2)), ev.TaskScheduled(ids[1], "pack", "1")]
    assert attempt_of(history) == 2
    history += [ev.OrchestratorStarted(at(3)), ev.TaskFailed(ids[1], 8, FAILED), ev.TimerCreated(3, at(4))]
    history += [ev.OrchestratorStarted(at(4)), ev.TimerFired(3, 11, at(4)), ev.TaskScheduled(ids[2], "pack", "1")]
    assert attempt_of(history) == 3


def test_calls_that_repeat_nothing_are_first_attempts():
    failed = begun(ev.TaskScheduled(0, "pack", "1"), ev.OrchestratorStarted(at(1)), ev.TaskFailed(0, 2, FAILED))
    assert attempt_of([*failed, ev.TaskScheduled(1, "pack", "1")]) == 1
    waited = [*failed, ev.TimerCreated(1, at(2)), ev.OrchestratorStarted(at(2)), ev.TimerFired(1, 5, at(2))]
    assert attempt_of([*waited, ev.TaskScheduled(2, "pack", "2")]) == 1
    assert attempt_of([*waited, ev.TaskScheduled(2, "other", "1")]) == 1
    # One failure is followed by one attempt; a second call of the same shape is new.
    assert attempt_of([*waited, ev.TaskScheduled(2, "pack", "1"), ev.TaskScheduled(3, "pack", "1")]) == 1
