"""What one episode commits."""

import pytest

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import HistoryChange
from perdure.core.decisions import _DECIDERS, DecisionLimits
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import next_execution_id
from perdure.core.instance import WorkKind
from perdure.core.status import RuntimeStatus
from support.orchestrations import EXECUTION, T0, after, envelope, episode, pending, running, start_of

BOOM = FailureDetails("ValueError", "boom")
PARENT = ev.ParentLink("parent-1", "22222222-2222-2222-2222-222222222222", 7, 3, "boss")


def test_every_action_type_has_a_decider() -> None:
    assert set(_DECIDERS) == set(ac.Action.__args__)


def test_first_episode_writes_start_and_scheduled_activity() -> None:
    instance = pending()
    checkpoint = episode(instance, [start_of(instance)], ac.TurnResult((ac.ScheduleActivity(0, "pack", '"tea"'),)))
    kinds = [ev.OrchestratorStarted, ev.ExecutionStarted, ev.TaskScheduled]
    assert [type(e) for e in checkpoint.events] == kinds
    assert checkpoint.expected_last_seq == -1
    assert checkpoint.progress.last_seq == 2
    [activity] = checkpoint.activities
    assert (activity.seq, activity.name, activity.input) == (2, "pack", '"tea"')
    assert instance.open_work[2].kind is WorkKind.ACTIVITY


def test_timer_is_a_message_to_oneself() -> None:
    checkpoint = episode(running(), [envelope(ms.RaiseEvent("go"))], ac.TurnResult((ac.CreateTimer(0, after(9)),)))
    [due] = checkpoint.outbox
    assert due.due_at == after(9)
    assert due.target == "order-1"
    assert due.message == ms.TimerDue(EXECUTION, 4, after(9))


def test_child_gets_an_id_that_follows_from_the_parent() -> None:
    instance = pending()
    checkpoint = episode(instance, [start_of(instance)], ac.TurnResult((ac.StartChild(10, "pack", "1"),)))
    [child] = checkpoint.children
    assert child.record.origin.instance_id == "order-1:000a"
    assert child.record.origin.parent == ev.ParentLink("order-1", EXECUTION, 2, 10, "ship_order")
    assert child.start.target == "order-1:000a"
    assert child.if_taken is not None
    assert child.if_taken.target == "order-1"


def test_child_knows_its_parents_version() -> None:
    instance = pending()
    instance.origin.version = "1.2"
    checkpoint = episode(instance, [start_of(instance)], ac.TurnResult((ac.StartChild(10, "pack", "1"),)))
    [child] = checkpoint.children
    assert child.record.origin.parent is not None
    assert child.record.origin.parent.version == "1.2"


def test_children_of_later_executions_have_other_ids() -> None:
    instance = running()
    again = ac.TurnResult(ending=ac.ContinueAsNew("2"))
    [start] = episode(instance, [envelope(ms.RaiseEvent("go"))], again).outbox
    checkpoint = episode(instance, [start], ac.TurnResult((ac.StartChild(0, "pack"),)))
    assert checkpoint.children[0].record.origin.instance_id == "order-1:g1:0000"


def test_wrong_child_ids_fail_the_call() -> None:
    for instance_id in ("ORDER-1", "Parent-1", "@counter@k", "a/b", "x" * 257):
        instance = running(parent=PARENT)
        result = ac.TurnResult((ac.StartChild(0, "pack", None, instance_id),))
        checkpoint = episode(instance, [envelope(ms.RaiseEvent("go"))], result)
        assert checkpoint.children == []
        [refusal] = checkpoint.outbox
        assert isinstance(refusal.message, ms.ChildFailed)
        assert refusal.target == "order-1"


def test_child_version_is_its_own_or_the_default() -> None:
    instance = pending()
    result = ac.TurnResult((ac.StartChild(0, "a"), ac.StartChild(1, "b", version="3")))
    checkpoint = episode(instance, [start_of(instance)], result, limits=DecisionLimits(default_version="2"))
    assert [c.record.origin.version for c in checkpoint.children] == ["2", "3"]


def test_entity_call_and_signal() -> None:
    result = ac.TurnResult((ac.CallEntity(0, "@c@k", "get"), ac.SignalEntity(1, "@c@k", "add", "1", after(5))))
    checkpoint = episode(running(), [envelope(ms.RaiseEvent("go"))], result)
    call, signal = checkpoint.outbox
    assert call.message == ms.OperationRequest("get", None, ms.ReplyTo("order-1", EXECUTION, 4))
    assert signal.message == ms.OperationRequest("add", "1")
    assert signal.due_at == after(5)


def test_completion_answers_the_parent() -> None:
    checkpoint = episode(
        running(parent=PARENT), [envelope(ms.RaiseEvent("go"))], ac.TurnResult(ending=ac.Complete("42"))
    )
    assert checkpoint.progress.status is RuntimeStatus.Completed
    assert checkpoint.progress.output == "42"
    assert checkpoint.progress.completed_at == T0
    [answer] = checkpoint.outbox
    assert answer.target == "parent-1"
    assert answer.message == ms.ChildCompleted(PARENT.execution_id, 7, "42")


def test_failure_keeps_the_effects_of_its_turn_and_names_the_orchestrator() -> None:
    result = ac.TurnResult((ac.SignalEntity(0, "@c@k", "add"),), ac.Fail(BOOM))
    checkpoint = episode(running(), [envelope(ms.RaiseEvent("go"))], result)
    assert checkpoint.progress.status is RuntimeStatus.Failed
    assert checkpoint.progress.output == "Orchestrator function 'ship_order' failed: boom"
    assert checkpoint.progress.failure == BOOM
    assert len(checkpoint.outbox) == 1
    assert isinstance(checkpoint.events[-1], ev.ExecutionCompleted)


def test_a_failure_that_brings_an_output_shows_it_unless_it_is_too_large() -> None:
    for output, shown in (("own", "own"), ("x" * 17 * 1024 * 1024, "Orchestrator function 'ship_order' failed: boom")):
        result = ac.TurnResult(ending=ac.Fail(BOOM, output))
        checkpoint = episode(running(), [envelope(ms.RaiseEvent("go"))], result)
        assert checkpoint.progress.status is RuntimeStatus.Failed
        assert checkpoint.progress.output == shown
        assert checkpoint.progress.failure == BOOM


def test_terminated_child_is_a_failure_that_names_termination() -> None:
    checkpoint = episode(running(parent=PARENT), [envelope(ms.Terminate("too late"))])
    [answer] = checkpoint.outbox
    assert isinstance(answer.message, ms.ChildFailed)
    assert "terminated: too late" in answer.message.failure.message


def test_recursive_terminate_reaches_open_children_only() -> None:
    instance = pending()
    episode(instance, [start_of(instance)], ac.TurnResult((ac.StartChild(0, "a"), ac.StartChild(1, "b"))))
    episode(instance, [envelope(ms.ChildCompleted(EXECUTION, 2))], ac.TurnResult())
    checkpoint = episode(instance, [envelope(ms.Terminate("stop", recursive=True))])
    assert [(e.target, e.message) for e in checkpoint.outbox] == [
        ("order-1:0001", ms.Terminate("stop", recursive=True))
    ]
    plain = episode(running(), [envelope(ms.Terminate("stop"))])
    assert plain.outbox == []


def test_continue_as_new_replaces_history_and_starts_by_message() -> None:
    instance = running()
    carried = (ac.CarriedEvent("go", "1"),)
    result = ac.TurnResult(
        (ac.SignalEntity(0, "@c@k", "add"), ac.CreateTimer(1, after(5))),
        ac.ContinueAsNew("2", None, carried),
        ac.NewStatus('"round 1"'),
    )
    checkpoint = episode(instance, [envelope(ms.RaiseEvent("x"))], result)
    assert checkpoint.history is HistoryChange.REPLACE
    assert checkpoint.events == []
    assert checkpoint.progress.last_seq == -1
    assert checkpoint.progress.custom_status == '"round 1"'
    assert checkpoint.progress.status is RuntimeStatus.Running
    signal, start = checkpoint.outbox
    assert signal.target == "@c@k"
    assert isinstance(start.message, ms.StartExecution)
    assert start.message.execution_id == next_execution_id(EXECUTION) == instance.origin.execution_id
    assert (start.message.input, start.message.generation, start.message.carried) == ("2", 1, carried)


def test_custom_status_stays_until_set() -> None:
    instance = running(ac.TurnResult(custom_status=ac.NewStatus("1")))
    assert episode(instance, [envelope(ms.RaiseEvent("a"))], ac.TurnResult()).progress.custom_status == "1"
    cleared = ac.TurnResult(custom_status=ac.NewStatus(None))
    assert episode(instance, [envelope(ms.RaiseEvent("b"))], cleared).progress.custom_status is None


def test_history_limit_fails_with_advice_and_begins_nothing() -> None:
    limits = DecisionLimits(history_events_max=5)
    fits = episode(running(), [envelope(ms.RaiseEvent("a"))], ac.TurnResult((ac.ScheduleActivity(0, "a"),)), 0, limits)
    assert fits.progress.status is RuntimeStatus.Running
    two = ac.TurnResult((ac.ScheduleActivity(0, "a"), ac.ScheduleActivity(1, "b")))
    over = episode(running(), [envelope(ms.RaiseEvent("a"))], two, 0, limits)
    assert over.progress.status is RuntimeStatus.Failed
    assert over.activities == []
    assert "continue_as_new" in (over.progress.output or "")


def test_a_history_of_too_many_bytes_fails_with_advice() -> None:
    limits = DecisionLimits(history_bytes_max=1000)
    for size, fails in ((1000, False), (1001, True)):
        instance = running()
        instance.history_bytes = size
        asked = ac.TurnResult((ac.ScheduleActivity(0, "pack"),))
        checkpoint = episode(instance, [envelope(ms.RaiseEvent("go"))], asked, limits=limits)
        assert (checkpoint.progress.status is RuntimeStatus.Failed) is fails
        assert bool(checkpoint.activities) is not fails
        if fails:
            assert checkpoint.progress.failure is not None
            assert "1,001 bytes; at most 1,000" in checkpoint.progress.failure.message
            assert "continue_as_new" in checkpoint.progress.failure.message


def test_action_limit() -> None:
    limits = DecisionLimits(actions_max=1)
    two = ac.TurnResult((ac.ScheduleActivity(0, "a"), ac.ScheduleActivity(1, "b")))
    over = episode(running(), [envelope(ms.RaiseEvent("a"))], two, 0, limits)
    assert over.progress.failure is not None
    assert over.progress.failure.error_type == "TooManyActions"
    assert not over.activities


@pytest.mark.parametrize(("task_id", "fails"), [(2, False), (3, True)])
def test_action_limit_counts_all_actions_of_the_execution(task_id: int, fails: bool) -> None:
    limits = DecisionLimits(actions_max=3)
    one_more = ac.TurnResult((ac.ScheduleActivity(task_id, "a"),))
    checkpoint = episode(running(), [envelope(ms.RaiseEvent("a"))], one_more, 0, limits)
    assert (checkpoint.progress.status is RuntimeStatus.Failed) is fails


def test_output_limit_is_exact() -> None:
    limits = DecisionLimits(payload_bytes_max=10)
    for output, status in (("é" * 5, RuntimeStatus.Completed), ("é" * 5 + "x", RuntimeStatus.Failed)):
        ended = episode(running(), [envelope(ms.RaiseEvent("a"))], ac.TurnResult(ending=ac.Complete(output)), 0, limits)
        assert ended.progress.status is status


def test_events_awaited_are_kept_for_whoever_asks() -> None:
    checkpoint = episode(
        running(), [envelope(ms.RaiseEvent("a"))], ac.TurnResult(awaited_events=("approval", "cancel"))
    )
    assert checkpoint.progress.awaited_events == ("approval", "cancel")
