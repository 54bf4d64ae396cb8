"""Messages become events once each, for the execution they answer, or are held or dropped."""

import pytest
from msgspec.structs import replace

from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.actions import (
    CallEntity,
    CarriedEvent,
    Complete,
    ContinueAsNew,
    CreateTimer,
    LockEntities,
    ScheduleActivity,
    StartChild,
    TurnResult,
)
from perdure.core.decisions import DecisionLimits, decide
from perdure.core.failures import FailureDetails
from perdure.core.receiving import _READERS, awaits_start, receive
from perdure.core.status import RuntimeStatus
from support.orchestrations import EXECUTION, T0, after, apply, envelope, episode, pending, running, start_of

BOOM = FailureDetails("ValueError", "boom")
ALL_KINDS = TurnResult(
    (
        ScheduleActivity(0, "a"),
        CreateTimer(1, after(60)),
        StartChild(2, "c"),
        CallEntity(3, "@e@k", "get"),
        LockEntities(4, "section", ("@e@k",)),
    )
)
ACTIVITY, TIMER, CHILD, ENTITY, LOCK = 2, 3, 4, 5, 6
COMPLETIONS = [
    (ms.ActivityCompleted(EXECUTION, ACTIVITY, "1"), ev.TaskCompleted(0, ACTIVITY, "1")),
    (ms.ActivityFailed(EXECUTION, ACTIVITY, BOOM), ev.TaskFailed(0, ACTIVITY, BOOM)),
    (ms.TimerDue(EXECUTION, TIMER, after(60)), ev.TimerFired(1, TIMER, after(60))),
    (ms.ChildCompleted(EXECUTION, CHILD, "2"), ev.SubOrchestrationCompleted(2, CHILD, "2")),
    (ms.ChildFailed(EXECUTION, CHILD, BOOM), ev.SubOrchestrationFailed(2, CHILD, BOOM)),
    (ms.OperationCompleted(EXECUTION, ENTITY, "3"), ev.EntityOperationCompleted(3, ENTITY, "3")),
    (ms.OperationFailed(EXECUTION, ENTITY, BOOM), ev.EntityOperationFailed(3, ENTITY, BOOM)),
    (ms.LockGranted(EXECUTION, LOCK), ev.EntityLockGranted(4, LOCK)),
]


def test_every_message_type_has_a_reader() -> None:
    assert set(_READERS) == set(ms.AnyMessage.__args__)


def test_what_arrived_before_a_start_comes_after_what_the_start_carries() -> None:
    instance = pending()
    start = ms.StartExecution("ship_order", EXECUTION, "1", generation=1, carried=(CarriedEvent("go", "first"),))
    intake = receive(instance, [envelope(ms.RaiseEvent("go", "second")), envelope(start)], T0)
    assert isinstance(intake.events[0], ev.ExecutionStarted)
    assert [event.input for event in intake.events if isinstance(event, ev.EventRaised)] == ["first", "second"]
    assert len(intake.consumed) == 2


def test_only_a_running_instance_waits_for_its_continuation() -> None:
    instance = pending()
    event, resume = envelope(ms.RaiseEvent("go")), envelope(ms.Resume())
    assert not awaits_start(instance, [event]), "a first start may be long in coming"
    instance.origin = replace(instance.origin, generation=1)
    assert awaits_start(instance, [event])
    assert not awaits_start(instance, [event, start_of(instance)])
    assert not awaits_start(instance, [event, envelope(ms.Terminate())])
    instance.progress = replace(instance.progress, status=RuntimeStatus.Suspended)
    assert not awaits_start(instance, [resume]), "its start is held back until the resume"


def test_start_begins_the_execution_with_its_carried_events() -> None:
    instance = pending()
    start = ms.StartExecution("ship_order", EXECUTION, "1", carried=(CarriedEvent("go", "2"),))
    intake = receive(instance, [envelope(start)], T0)
    assert [type(e) for e in intake.events] == [ev.ExecutionStarted, ev.EventRaised]
    assert intake.runs_code


def test_start_is_taken_once() -> None:
    instance = pending()
    twice = receive(instance, [start_of(instance), start_of(instance)], T0)
    assert (len(twice.consumed), len(twice.dropped)) == (1, 1)
    again = receive(running(), [start_of(instance)], T0)
    assert again.events == []
    assert len(again.dropped) == 1


def test_start_of_another_execution_is_dropped() -> None:
    instance = pending()
    other = ms.StartExecution("ship_order", "11111111-1111-1111-1111-111111111111")
    assert receive(instance, [envelope(other)], T0).events == []


@pytest.mark.parametrize(("message", "event"), COMPLETIONS)
def test_completion_becomes_its_event_once(message: ms.AnyMessage, event: ev.HistoryEvent) -> None:
    instance = running(ALL_KINDS)
    intake = receive(instance, [envelope(message), envelope(message)], after(60))
    assert intake.events == [event]
    assert (len(intake.consumed), len(intake.dropped)) == (1, 1)
    apply(instance, decide(instance, intake, TurnResult(), DecisionLimits()))
    assert receive(instance, [envelope(message)], after(61)).events == []


@pytest.mark.parametrize("message", [m for m, _ in COMPLETIONS])
def test_completion_for_another_execution_is_dropped(message: ms.AnyMessage) -> None:
    instance = running(ALL_KINDS)
    instance.origin.execution_id = "11111111-1111-1111-1111-111111111111"
    assert len(receive(instance, [envelope(message)], T0).dropped) == 1


@pytest.mark.parametrize("message", [m for m, _ in COMPLETIONS])
def test_completion_of_another_kind_is_dropped(message: ms.AnyMessage) -> None:
    instance = running(ALL_KINDS)
    first = message.scheduled_seq  # type: ignore[union-attr]
    seqs = {ACTIVITY, TIMER, CHILD, ENTITY} - {first}
    for seq in seqs:
        moved = type(message)(**{f: getattr(message, f) for f in message.__struct_fields__} | {"scheduled_seq": seq})
        assert receive(instance, [envelope(moved)], T0).events == []


def test_episode_time_never_goes_back_and_reaches_the_timer() -> None:
    instance = running(ALL_KINDS)
    early = receive(instance, [envelope(ms.TimerDue(EXECUTION, TIMER, after(60)))], after(30))
    assert early.at == after(60)
    instance = running()
    assert receive(instance, [envelope(ms.RaiseEvent("go"))], after(-5)).at == T0


def test_suspended_takes_only_resume_and_terminate() -> None:
    instance = running(ALL_KINDS)
    checkpoint = episode(instance, [envelope(ms.Suspend("wait"))])
    assert checkpoint.progress.status is RuntimeStatus.Suspended
    intake = receive(instance, [envelope(ms.RaiseEvent("go")), envelope(ms.Suspend())], T0)
    assert intake.events == []
    assert len(intake.held) == 1
    assert len(intake.dropped) == 1


def test_messages_after_a_suspend_in_the_same_batch_are_held() -> None:
    instance = running()
    intake = receive(instance, [envelope(ms.Suspend()), envelope(ms.RaiseEvent("go"))], T0)
    assert [type(e) for e in intake.events] == [ev.ExecutionSuspended]
    assert not intake.runs_code
    assert len(intake.held) == 1


def test_resume_gives_what_was_held_first() -> None:
    instance = running()
    episode(instance, [envelope(ms.Suspend())])
    intake = receive(instance, [envelope(ms.Resume()), envelope(ms.RaiseEvent("later"))], T0)
    assert intake.reread_inbox
    assert [type(e) for e in intake.events] == [ev.ExecutionResumed]
    assert len(intake.held) == 1


def test_resume_of_what_is_not_suspended_has_no_effect() -> None:
    assert len(receive(running(), [envelope(ms.Resume())], T0).dropped) == 1


def test_pending_instance_suspended_and_resumed_is_pending_again() -> None:
    instance = pending()
    assert episode(instance, [envelope(ms.Suspend())]).progress.status is RuntimeStatus.Suspended
    assert receive(instance, [start_of(instance)], T0).held
    assert episode(instance, [envelope(ms.Resume())]).progress.status is RuntimeStatus.Pending
    assert episode(instance, [start_of(instance)], TurnResult()).progress.status is RuntimeStatus.Running


def test_terminate_goes_before_everything_in_its_batch() -> None:
    instance = running(ALL_KINDS)
    messages = [ms.RaiseEvent("go"), ms.Terminate("enough"), ms.ActivityCompleted(EXECUTION, ACTIVITY)]
    intake = receive(instance, [envelope(m) for m in messages], T0)
    assert intake.events == [ev.ExecutionTerminated("enough")]
    assert not intake.runs_code
    assert len(intake.dropped) == 2


def test_terminate_with_the_start_keeps_the_start_in_history() -> None:
    instance = pending()
    checkpoint = episode(instance, [start_of(instance), envelope(ms.Terminate("enough"))])
    kinds = [ev.OrchestratorStarted, ev.ExecutionStarted, ev.ExecutionTerminated, ev.ExecutionCompleted]
    assert [type(e) for e in checkpoint.events] == kinds
    assert checkpoint.progress.output == "enough"


def test_finished_instance_drops_everything() -> None:
    instance = running()
    episode(instance, [envelope(ms.RaiseEvent("go"))], TurnResult(ending=Complete("1")))
    intake = receive(instance, [envelope(ms.RaiseEvent("go")), envelope(ms.Terminate())], T0)
    assert intake.events == []
    assert len(intake.dropped) == 2


def test_after_continue_as_new_old_completions_are_dropped_and_events_kept() -> None:
    instance = running(ALL_KINDS)
    checkpoint = episode(instance, [envelope(ms.RaiseEvent("go"))], TurnResult(ending=ContinueAsNew("5")))
    [release, start] = checkpoint.outbox
    assert release.message == ms.LockRelease("order-1", "section")
    assert len(receive(instance, [envelope(ms.ActivityCompleted(EXECUTION, ACTIVITY))], T0).dropped) == 1
    intake = receive(instance, [start, envelope(ms.RaiseEvent("next"))], T0)
    assert [type(e) for e in intake.events] == [ev.ExecutionStarted, ev.EventRaised]
