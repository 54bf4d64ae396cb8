"""What workers of other processes say of their calls reaches history, activities, children and entities."""

import msgspec
import pytest

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.decisions import DecisionLimits, decide
from perdure.core.entities.decisions import decide_batch
from perdure.core.entities.scheduling import next_batch
from perdure.core.identifiers import check_portable_id
from perdure.core.instance import InstanceKind, Origin, Progress
from perdure.core.messages import Envelope
from perdure.core.partial_intake import take_only
from perdure.core.receiving import receive
from perdure.core.registry import EntitySignal, EntityStart, OperationOutcome
from perdure.core.status import RuntimeStatus
from perdure.formats import stored
from support.orchestrations import T0, after, envelope, episode, pending, running, start_of

GO = ms.RaiseEvent("go")
TRACE, REQUEST = "00-trace", "8f3c1c52-7a60-4d5b-9d07-1b0f3a5c2a11"


def test_a_call_keeps_its_trace_and_tags() -> None:
    call = ac.ScheduleActivity(0, "pack", version="2", tags={"k": "v"}, trace_context=TRACE)
    checkpoint = episode(running(), [envelope(GO)], ac.TurnResult((call,)))
    [activity] = checkpoint.activities
    assert (activity.version, activity.tags, activity.trace_context) == ("2", {"k": "v"}, TRACE)
    assert checkpoint.events[-1] == ev.TaskScheduled(0, "pack", None, "2", {"k": "v"}, TRACE)


@pytest.mark.parametrize("own", [None, TRACE])
def test_a_child_is_traced_by_what_its_call_says_else_as_its_parent(own: str | None) -> None:
    instance = running()
    instance.origin.trace_context = "00-parent"
    child = ac.StartChild(0, "pack", version="3", tags={"k": "v"}, trace_context=own)
    [creation] = episode(instance, [envelope(GO)], ac.TurnResult((child,))).children
    start, origin = creation.start.message, creation.record.origin
    assert isinstance(start, ms.StartExecution)
    for made in (start, origin):
        assert (made.trace_context, made.version, made.tags) == (own or "00-parent", "3", {"k": "v"})


def test_request_ids_reach_the_entity_and_the_history() -> None:
    call = ac.CallEntity(0, "@counter@k", "get", None, REQUEST)
    signal = ac.SignalEntity(1, "@counter@k", "add", "1", None, "another")
    checkpoint = episode(running(), [envelope(GO)], ac.TurnResult((call, signal)))
    assert [event.request_id for event in checkpoint.events[-2:]] == [REQUEST, "another"]  # type: ignore[union-attr]
    batch = next_batch(checkpoint.outbox, None, 10)
    called, signaled = batch.operations
    assert (called.request_id, called.is_signal, called.caller) == (REQUEST, False, "order-1")
    assert (signaled.request_id, signaled.is_signal, signaled.caller) == ("another", True, None)


def test_an_entity_of_a_worker_signals_and_starts_as_it_says() -> None:
    origin = Origin("@a@k", InstanceKind.ENTITY, "a", "", T0)
    batch = next_batch([Envelope("@a@k", ms.OperationRequest("go"))], None, 10)
    start = EntityStart("pack", "new", "11111111-1111-1111-1111-111111111111", "1", "4", after(60), TRACE, {"k": "v"})
    outcome = OperationOutcome("{}", None, (EntitySignal("@b@k", "add", None, None, REQUEST),), None, (start,))
    checkpoint = decide_batch(origin, Progress(RuntimeStatus.Running, T0), batch, [outcome], T0, "default")
    [signal], [creation] = checkpoint.outbox, checkpoint.children
    assert isinstance(signal.message, ms.OperationRequest)
    assert signal.message.request_id == REQUEST
    made = creation.record.origin
    assert (made.version, made.scheduled_start_at, made.trace_context) == ("4", after(60), TRACE)
    assert made.tags == {"k": "v"}
    assert creation.start.due_at == after(60)


def test_ending_another_orchestration_leaves_no_event() -> None:
    action = ac.TerminateInstance(0, "other", "enough", True)
    checkpoint = episode(running(), [envelope(GO)], ac.TurnResult((action,)))
    [sent] = checkpoint.outbox
    assert (sent.target, sent.message) == ("other", ms.Terminate("enough", True))
    assert isinstance(checkpoint.events[-1], ev.EventRaised)


@pytest.mark.parametrize(("given", "kept"), [(None, {"a": "b"}), ({"c": "d"}, {"c": "d"}), ({}, {})])
def test_an_execution_goes_on_with_its_tags_or_new_ones(given: dict[str, str] | None, kept: dict[str, str]) -> None:
    instance = running()
    instance.origin.tags = {"a": "b"}
    checkpoint = episode(instance, [envelope(GO)], ac.TurnResult(ending=ac.ContinueAsNew("2", tags=given)))
    [start] = checkpoint.outbox
    assert isinstance(start.message, ms.StartExecution)
    assert start.message.tags == checkpoint.origin.tags == kept


def test_the_span_of_an_execution_stands_in_its_history_and_costs_nothing_else() -> None:
    checkpoint = episode(running(), [envelope(GO)], ac.TurnResult(span="span"))
    assert isinstance(checkpoint.events[0], ev.OrchestratorStarted)
    assert checkpoint.events[0].span == "span"
    assert stored.read_events(stored.write_events(checkpoint.events)) == checkpoint.events
    assert b"span" not in stored.write_events(episode(running(), [envelope(GO)], ac.TurnResult()).events)


@pytest.mark.parametrize(("check", "is_refused"), [(None, True), (check_portable_id, False)])
def test_which_ids_children_may_have_is_the_hubs_rule(check: object, is_refused: bool) -> None:
    limits = DecisionLimits() if check is None else DecisionLimits(check_child_id=check_portable_id)
    instance = running()
    intake = receive(instance, [envelope(GO)], after(1))
    checkpoint = decide(instance, intake, ac.TurnResult((ac.StartChild(0, "pack", None, "a/b"),)), limits)
    assert bool(checkpoint.children) is not is_refused
    assert any(isinstance(sent.message, ms.ChildFailed) for sent in checkpoint.outbox) is is_refused


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_an_intake_can_be_taken_in_part(count: int) -> None:
    instance = pending()
    start = start_of(instance)
    assert isinstance(start.message, ms.StartExecution)
    carried = (ac.CarriedEvent("x", "1"), ac.CarriedEvent("y", "2"))
    start = Envelope(
        start.target,
        ms.StartExecution(start.message.name, start.message.execution_id, start.message.input, carried=carried),
    )
    later = [envelope(ms.RaiseEvent("z", "3")), envelope(ms.Suspend("why"))]
    whole = receive(instance, [start, *later], after(5))
    part = take_only(instance, whole, count)
    assert part.intake.at == whole.at
    assert part.intake.events == whole.events[:count]
    splits_the_start = count in (1, 2)
    assert {*map(id, part.intake.consumed), *map(id, part.left)} == {*map(id, whole.consumed)}
    # What came after the events that are sent again is sent again after them.
    events = [ms.RaiseEvent("x", "1"), ms.RaiseEvent("y", "2"), ms.RaiseEvent("z", "3")]
    assert [event.message for event in part.again] == (events[count - 1 :] if splits_the_start else [])
    left = [type(envelope.message) for envelope in part.left]
    assert left == (
        [ms.Suspend] if splits_the_start else [type(e.message) for e in whole.consumed[max(count - 2, 0) :]]
    )
    assert part.intake.suspended is (count == 5)


def test_events_that_came_during_a_turn_come_after_what_its_start_carried() -> None:
    instance = pending()
    start = start_of(instance)
    assert isinstance(start.message, ms.StartExecution)
    start.message = msgspec.structs.replace(start.message, carried=(ac.CarriedEvent("x"), ac.CarriedEvent("y")))
    whole = receive(instance, [start], after(5))
    stored, unstored, other = envelope(ms.RaiseEvent("z")), envelope(ms.RaiseEvent("new")), envelope(ms.Resume())
    stored.position = other.position = 7
    part = take_only(instance, whole, 2, [stored, other, unstored])
    assert [sent.message for sent in part.again] == [ms.RaiseEvent("y"), ms.RaiseEvent("z")]
    assert part.intake.consumed == [start, stored]
    assert part.left == []


def test_an_end_at_once_leaves_alone_who_holds_locks() -> None:
    instance = running()
    instance.sections["section"] = ("@a@k",)
    at_once, ordinary = envelope(ms.Terminate("x", at_once=True)), envelope(ms.Terminate("y"))
    for queue in ([at_once], [at_once, envelope(GO)]):
        intake = receive(instance, queue, after(1))
        assert intake.terminated is None
        assert intake.dropped == [at_once]
    assert receive(instance, [at_once, ordinary], after(1)).terminated == ev.ExecutionTerminated("y")
    instance.sections.clear()
    assert receive(instance, [at_once], after(1)).terminated == ev.ExecutionTerminated("x")
