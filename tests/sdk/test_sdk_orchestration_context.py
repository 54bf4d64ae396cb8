"""DurableOrchestrationContext through the real replayer: what it asks for, and what code gets back."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum

import pytest

from azure import durable_functions as df
from azure.durable_functions.models import TaskBase
from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.events import ParentLink
from perdure.core.failures import FailureDetails
from support.replay_world import EXECUTION, T0
from support.sdk_world import SdkWorld


@dataclass
class Point:
    x: int
    y: int


class Trip:
    """A plain class, as the documents have them."""

    def __init__(self, city="Oslo"):
        self.city = city


def test_a_sequence_calls_in_order_and_returns():
    def hello(context):
        first = yield context.call_activity("hello", "Seattle")
        second = yield context.call_activity("hello")
        return [first, second]

    world = SdkWorld(hello)
    assert world.start().actions == (ac.ScheduleActivity(0, "hello", '"Seattle"'),)
    assert world.complete(0, '"Hello Seattle"').actions == (ac.ScheduleActivity(1, "hello", None),)
    world.complete(1, '"Hello"')
    assert world.output == '["Hello Seattle", "Hello"]'


def test_async_def_orchestrators_await_tasks():
    async def hello(context):
        first = await context.call_activity("hello", "Seattle")
        return [first, *(await context.task_all([context.call_activity("hello", n) for n in range(2)]))]

    world = SdkWorld(hello)
    world.start()
    world.complete(0, '"a"')
    world.complete(2, '"c"')
    world.complete(1, '"b"')
    assert world.output == '["a", "b", "c"]'


@pytest.mark.parametrize(("value", "output"), [(5, "5"), (None, None), ("", '""'), (Point(1, 2), None)])
def test_plain_functions_complete_at_once(value, output):
    world = SdkWorld(lambda context: value)
    world.start()
    if isinstance(value, Point):
        assert json.loads(world.output)["__data__"] == {"x": 1, "y": 2}
    else:
        assert world.output == output


def test_an_async_generator_is_refused_by_name():
    async def both(context):
        yield context.call_activity("hello")

    world = SdkWorld(both)
    world.start()
    assert "'both' is an async generator" in world.failed_with.message


def test_an_output_without_json_form_fails_the_instance():
    world = SdkWorld(lambda context: {1, 2})
    world.start()
    assert "set is not JSON serializable" in world.failed_with.message


def test_properties_tell_of_the_execution():
    def look(context):
        return [
            context.instance_id,
            context.parent_instance_id,
            context.version,
            context.is_replaying,
            context.will_continue_as_new,
            context.custom_status,
            context.get_input(),
        ]

    world = SdkWorld(look)
    world.start(input='{"a": [1, null]}', version="1.1", parent=ParentLink("parent-1", EXECUTION, 3, 3))
    assert json.loads(world.output) == ["order-1", "parent-1", "1.1", False, False, None, {"a": [1, None]}]


def test_without_parent_version_and_input_they_are_none():
    world = SdkWorld(lambda context: [context.parent_instance_id, context.version, context.get_input()])
    world.start()
    assert world.output == "[null, null, null]"


def test_input_types_by_call_then_by_decorator_then_untyped():
    text = '{"__class__": "Point", "__module__": "%s", "__data__": {"x": 1, "y": 2}}' % __name__  # noqa: UP031 - braces
    seen = []

    def look(context):
        seen.append([context.get_input(), context.get_input(Point), context.get_input(dict)])

    SdkWorld(look, input_type=Point).start(input=text)
    SdkWorld(look).start(input=text)

    assert seen[0][0] == seen[0][1] == seen[1][1] == Point(1, 2)
    assert seen[1][0] == json.loads(text)


def test_each_get_input_is_a_fresh_value():
    def look(context):
        context.get_input().append(4)
        return context.get_input()

    world = SdkWorld(look)
    world.start(input="[1]")
    assert world.output == "[1]"


def test_time_stands_still_in_a_step_and_moves_with_the_next():
    seen = []

    def look(context):
        seen.append(context.current_utc_datetime)
        yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        seen.append(context.current_utc_datetime)
        context.current_utc_datetime = T0
        seen.append(context.current_utc_datetime)

    world = SdkWorld(look)
    assert world.start().actions == (ac.CreateTimer(0, T0 + timedelta(hours=1)),)
    world.complete(0)
    assert seen == [T0, T0 + timedelta(hours=1), T0]
    assert seen[0].tzinfo is UTC


@pytest.mark.parametrize(
    ("given", "due"),
    [
        (datetime(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)),
        (datetime(2026, 1, 2, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 2, tzinfo=UTC)),
        (date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)),
        (timedelta(days=1), T0 + timedelta(days=1)),
        (datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)),
        (timedelta(days=400), T0 + timedelta(days=400)),
    ],
)
def test_timers_take_any_kind_of_time(given, due):
    def wait(context):
        yield context.create_timer(given)

    assert SdkWorld(wait).start().actions == (ac.CreateTimer(0, due),)


@pytest.mark.parametrize("given", ["2026-01-02", 5, None])
def test_timers_refuse_what_is_no_time(given):
    def wait(context):
        yield context.create_timer(given)

    world = SdkWorld(wait)
    world.start()
    assert world.failed_with.error_type == "ValueError"


def test_nothing_is_scheduled_before_it_is_yielded():
    def drop(context):
        context.call_activity("dropped")
        context.create_timer(T0)
        yield context.call_activity("used")

    assert SdkWorld(drop).start().actions == (ac.ScheduleActivity(0, "used", None),)


def test_an_approval_waits_for_event_or_timer_and_cancels():
    def approve(context):
        timeout = context.create_timer(context.current_utc_datetime + timedelta(days=3))
        approval = context.wait_for_external_event("ApprovalReceived")
        winner = yield context.task_any([timeout, approval])
        if winner == approval:
            timeout.cancel()
            again = yield approval
            return ["approved", winner.result, again, timeout.is_cancelled]
        return "escalated"

    world = SdkWorld(approve)
    assert world.start().awaited_events == ("ApprovalReceived",)
    world.raise_event("APPROVALreceived", '{"approved": true}')
    assert world.output == '["approved", {"approved": true}, {"approved": true}, true]'

    world = SdkWorld(approve)
    world.start()
    world.complete(0)
    assert world.output == '"escalated"'


def test_events_need_a_name():
    def wait(context):
        yield context.wait_for_external_event("")

    world = SdkWorld(wait)
    world.start()
    assert world.failed_with.error_type == "ValueError"


def test_results_are_rebuilt_by_the_type_asked_for():
    def ask(context):
        results = []
        for task in (
            context.call_activity("a", expected_type=Point),
            context.call_activity_with_retry("a", df.RetryOptions(1, 1), expected_type=Point),
            context.call_sub_orchestrator("c", expected_type=Point),
            context.call_sub_orchestrator_with_retry("c", df.RetryOptions(1, 1), expected_type=Point),
            context.wait_for_external_event("e", expected_type=Point),
            context.call_entity(df.EntityId("n", "k"), "get", expected_type=Point),
        ):
            results.append((yield task))
        return results == [Point(1, 2)] * 6

    world = SdkWorld(ask)
    world.start()
    for _ in range(6):
        if world.last.awaited_events:
            world.raise_event("e", '{"x": 1, "y": 2}')
        else:
            world.complete(world.last.actions[-1].task_id, '{"x": 1, "y": 2}')
    assert world.output == "true"


def test_results_are_rebuilt_by_the_return_annotation_of_the_called_function():
    app = df.DFApp()

    @app.activity_trigger()
    def plan_trip(input) -> Trip: ...

    @app.function_name("PlanMany")
    @app.activity_trigger()
    def plan_trips(input) -> list[Trip]: ...

    @app.orchestration_trigger()
    def plan_flow(context) -> Trip:
        yield

    def ask(context):
        trips = [
            (yield context.call_activity(plan_trip)),
            (yield context.call_activity("PLAN_trip")),
            *(yield context.call_activity("PlanMany")),
            (yield context.call_sub_orchestrator(plan_flow)),
        ]
        return [trip.city for trip in trips]

    trip = '{"__class__": "Trip", "__module__": "%s", "__data__": {"city": "Rome"}}' % __name__  # noqa: UP031 - braces
    world = SdkWorld(ask)
    world.start()
    world.complete(0, trip)
    world.complete(1, trip)
    assert world.last.actions[0].name == "PlanMany"
    world.complete(2, f"[{trip}]")
    world.complete(3, trip)
    assert world.output == '["Rome", "Rome", "Rome", "Rome"]'


def test_inputs_are_written_when_the_call_is_made():
    def ask(context):
        items = [1]
        task = context.call_activity("a", items)
        items.append(2)
        yield task

    assert SdkWorld(ask).start().actions == (ac.ScheduleActivity(0, "a", "[1]"),)


@pytest.mark.parametrize(
    "ask",
    [
        lambda context: context.call_activity("a", object()),
        lambda context: context.call_activity_with_retry("a", df.RetryOptions(1, 1), object()),
        lambda context: context.call_sub_orchestrator("c", object()),
        lambda context: context.call_entity(df.EntityId("n", "k"), "op", object()),
        lambda context: context.signal_entity(df.EntityId("n", "k"), "op", object()),
        lambda context: context.continue_as_new(object()),
        lambda context: context.set_custom_status(object()),
    ],
)
def test_values_without_json_form_raise_type_error_at_the_call(ask):
    def catch(context):
        try:
            ask(context)
        except TypeError as error:
            return str(error)

    world = SdkWorld(catch)
    world.start()
    assert "object is not JSON serializable" in world.output


def test_names_may_be_members_of_a_string_enumeration():
    class Names(StrEnum):
        CALL = "call"

    def ask(context):
        entity_id = df.EntityId("n", 5)
        context.signal_entity(entity_id, Names.CALL)
        yield context.task_all(
            [context.call_activity(Names.CALL), context.call_sub_orchestrator(Names.CALL, instance_id="")]
        )

    actions = SdkWorld(ask).start().actions
    assert actions == (
        ac.SignalEntity(0, "@n@5", "call"),
        ac.ScheduleActivity(1, "call"),
        ac.StartChild(2, "call"),
    )
    assert {type(actions[0].operation), type(actions[1].name), type(actions[2].name)} == {str}


def test_what_is_called_is_checked_at_the_call():
    def ask(context):
        errors = []
        for name in ("", None, print):
            try:
                context.call_activity(name)
            except ValueError as error:
                errors.append(str(error))
        for call in (context.call_entity, context.signal_entity):
            try:
                call(None, "op")
            except ValueError as error:
                errors.append(str(error))
        return errors

    world = SdkWorld(ask)
    world.start()
    assert len(json.loads(world.output)) == 5


def failed(message="nope", stack='  File "x.py", line 1'):
    return FailureDetails("ValueError", message, stack)


def test_a_failed_activity_raises_the_official_text_with_details():
    def ask(context):
        try:
            yield context.call_activity("bad")
        except Exception as error:
            details = error.details
            return [type(error).__name__, str(error), details.error_type, details.message, details.stack_trace]

    world = SdkWorld(ask)
    world.start()
    world.turn(ev.TaskFailed(0, world.seq_of(0), failed()))
    text = "Activity function 'bad' failed: nope \n ValueError: nope\n" + '  File "x.py", line 1'
    assert json.loads(world.output) == ["TaskFailedError", text, "ValueError", "nope", '  File "x.py", line 1']


def test_failures_of_children_and_entities_have_their_own_text():
    def ask(context):
        errors = []
        for task in (context.call_sub_orchestrator("child"), context.call_entity(df.EntityId("n", "k"), "op")):
            try:
                yield task
            except Exception as error:
                errors.append(str(error))
        return errors

    world = SdkWorld(ask)
    world.start()
    world.turn(ev.SubOrchestrationFailed(0, world.seq_of(0), failed(stack=None)))
    world.turn(ev.EntityOperationFailed(1, world.seq_of(1), failed()))
    assert json.loads(world.output) == ["Orchestrator function 'child' failed: nope \n ValueError: nope", "nope"]


def test_an_uncaught_failure_keeps_what_caused_it():
    def ask(context):
        yield context.call_activity("bad")

    world = SdkWorld(ask)
    world.start()
    world.turn(ev.TaskFailed(0, world.seq_of(0), failed()))
    failure = world.failed_with
    assert failure.error_type == "TaskFailedError"
    assert failure.message.startswith("Activity function 'bad' failed: nope \n ")
    assert "ask" in failure.stack_trace
    assert failure.cause == failed()


def test_retries_follow_the_options():
    options = df.RetryOptions(5000, 3)
    options.backoff_coefficient = 2.0
    options.max_retry_interval_in_milliseconds = 8000

    def ask(context):
        return (yield context.call_activity_with_retry("bad", options, 1))

    world = SdkWorld(ask)
    world.start()
    assert world.fail(0).actions == (ac.CreateTimer(1, T0 + timedelta(seconds=5)),)
    assert world.complete(1).actions == (ac.ScheduleActivity(2, "bad", "1"),)
    assert world.fail(2).actions == (ac.CreateTimer(3, T0 + timedelta(seconds=13)),)
    world.complete(3)
    world.fail(4)
    assert world.failed_with.message.startswith("Activity function 'bad' failed: broken")


def test_retry_options_are_required_to_be_such():
    def ask(context):
        yield context.call_activity_with_retry("bad", 3)

    world = SdkWorld(ask)
    world.start()
    assert "RetryOptions" in world.failed_with.message


def test_children_take_id_and_version():
    def ask(context):
        yield context.task_all(
            [
                context.call_sub_orchestrator("c", {"a": 1}, "sub-123", "2.0"),
                context.call_sub_orchestrator("c", instance_id=None),
            ]
        )

    assert SdkWorld(ask).start().actions == (
        ac.StartChild(0, "c", '{"a": 1}', "sub-123", "2.0"),
        ac.StartChild(1, "c"),
    )


def test_signals_act_at_the_call_and_may_be_yielded():
    def ask(context):
        entity_id = df.EntityId("Counter", "Key")
        context.signal_entity(entity_id, "add", 5)
        nothing = yield context.signal_entity(entity_id, "reset")
        return [nothing, (yield context.call_entity(entity_id, "get", {}))]

    world = SdkWorld(ask)
    assert world.start().actions == (
        ac.SignalEntity(0, "@counter@Key", "add", "5"),
        ac.SignalEntity(1, "@counter@Key", "reset"),
        ac.CallEntity(2, "@counter@Key", "get", "{}"),
    )
    world.complete(2, "7")
    assert world.output == "[null, 7]"


def test_groups_hand_back_results_and_the_very_task():
    def ask(context):
        tasks = [context.call_activity("a", n) for n in range(3)]
        winner = yield context.task_any(tasks)
        tasks.remove(winner)
        rest = yield context.task_all(tasks)
        assert isinstance(winner, TaskBase)
        return [winner.result, rest, (yield context.task_all([])), (yield context.task_any([]))]

    world = SdkWorld(ask)
    world.start()
    world.complete(1, "1")
    world.complete(2, "2")
    world.complete(0, "0")
    assert world.output == "[1, [0, 2], [], null]"


def test_custom_status_is_sent_whatever_its_truth():
    def show(context):
        for value in ({"progress": 50}, 0, "", [], False, None):
            context.set_custom_status(value)
            assert context.custom_status == value
            yield context.call_activity("a")

    world = SdkWorld(show)
    seen = [world.start().custom_status.text]
    seen += [world.complete(n).custom_status.text for n in range(5)]
    assert seen == ['{"progress": 50}', "0", '""', "[]", "false", None]


@pytest.mark.parametrize(
    ("status", "fits"),
    [("x" * 8_701, True), ("x" * 8_702, False), ("é" * 8_701, True), ("é" * 8_702, False), ("😀" * 4_351, False)],
)
def test_custom_status_has_sixteen_whole_kilobytes(status, fits):
    def show(context):
        context.set_custom_status(status)

    world = SdkWorld(show)
    world.start()
    if fits:
        assert world.output is None
    else:
        assert "16 KB" in world.failed_with.message


def test_continue_as_new_ends_the_execution_and_counts_once():
    def eternal(context):
        yield context.call_activity("work")
        context.continue_as_new({"round": 1})
        assert context.will_continue_as_new
        context.continue_as_new({"round": 2})
        yield context.call_activity("never")

    world = SdkWorld(eternal)
    world.start()
    result = world.complete(0)
    assert result.actions == ()
    assert result.ending == ac.ContinueAsNew('{"round": 1}')


def test_identifiers_are_the_official_ones_at_every_replay():
    def make(context):
        made = [context.new_uuid(), context.new_uuid(), str(context.new_guid())]
        yield context.call_activity("a")
        return [*made, context.new_uuid()]

    world = SdkWorld(make, instance_id="0123456789abcdef0123456789abcdef")
    world.start()
    world.now = T0 + timedelta(seconds=1.5)
    world.complete(0, "1")
    expected = [
        "06d6a166-0a70-54b5-bb93-27d47c5fe828",
        "6a06d5f9-e783-535b-af96-adb99a300db2",
        "a3afcae2-0556-5897-93e8-63bf47f471eb",
        "8259d140-2a63-517d-8398-5f5cc95c47dd",
    ]
    assert json.loads(world.output) == expected
    assert all(uuid.UUID(made).version == 5 for made in expected)


def test_replaying_is_told_per_step():
    seen = []

    def look(context):
        seen.append(context.is_replaying)
        yield context.call_activity("a")
        seen.append(context.is_replaying)
        yield context.call_activity("b")
        seen.append(context.is_replaying)

    world = SdkWorld(look)
    world.start()
    world.complete(0)
    assert seen == [False, False]
    seen.clear()
    world.reload()
    world.complete(1)
    assert seen == [True, True, False]


def test_yielding_something_else_fails_with_type_and_line():
    def wrong(context):
        yield 42

    world = SdkWorld(wrong)
    world.start()
    assert "int" in world.failed_with.message
    assert "test_sdk_orchestration_context.py" in world.failed_with.message


def test_divergence_carries_the_official_name():
    assert issubclass(df.NonDeterministicOrchestrationException, Exception)
    names = ["a"]

    def ask(context):
        yield context.call_activity(names[0])

    world = SdkWorld(ask)
    world.start()
    names[0] = "b"
    world.reload()
    world.complete(0)
    assert world.failed_with.error_type == df.NonDeterministicOrchestrationException.__name__


def test_tasks_tell_number_state_and_who_waits_for_them():
    seen = []

    def code(context):
        call, event = context.call_activity("a"), context.wait_for_external_event("go")
        timer = context.create_timer(timedelta(days=30))
        group = context.task_any([call, event, timer])
        seen.append((call.id, call.state.name, call.is_completed, call.parent is group))
        timer.cancel()
        yield group
        seen.append((call.id, call.state.name, call.is_completed, event.id, group.parent))
        return [timer.is_cancelled, timer.is_canceled()]

    world = SdkWorld(code)
    world.start()
    world.complete(0, "1")

    assert seen == [(None, "RUNNING", False, True), (0, "SUCCEEDED", True, None, None)]
    assert world.output == "[true, true]"
