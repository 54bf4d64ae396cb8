"""What an orchestrator of two arguments may ask for, and what it gets (portable-sdk.md §3.3, §3.4)."""

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from durabletask import task
from durabletask.annotations import declared_return_type
from durabletask.entities import EntityInstanceId
from perdure.core import actions as ac
from perdure.core import events as ev
from support.portable_world import PortableWorld
from support.replay_world import T0


@dataclass
class Order:
    id: int
    note: str = ""


def double(ctx: task.ActivityContext, order: Order) -> Order:
    return Order(order.id * 2)


def test_inputs_and_results_are_rebuilt_by_annotation():
    def orchestrator(ctx: task.OrchestrationContext, order: Order):
        assert type(order) is Order
        doubled = yield ctx.call_activity(double, input=order)
        assert type(doubled) is Order
        raw = yield ctx.call_activity("double", input=order)
        asked = yield ctx.call_activity("double", input=order, return_type=Order)
        return [doubled.id, raw, asked.id]

    world = PortableWorld(orchestrator)
    world.start(input='{"id": 4}')
    assert world.last.actions == (ac.ScheduleActivity(1, "double", '{"id": 4, "note": ""}'),)
    for number in (1, 2, 3):
        world.complete(number, '{"id": 8}')

    assert world.output == '[8, {"id": 8}, 8]'


def test_a_call_is_scheduled_when_it_is_made():
    def orchestrator(ctx, _):
        ctx.call_activity("forgotten")
        yield ctx.call_activity("awaited")

    world = PortableWorld(orchestrator)

    assert [action.name for action in world.start().actions] == ["forgotten", "awaited"]


def test_identity_clock_and_input():
    seen = {}

    def orchestrator(ctx: task.OrchestrationContext, input):
        seen.update(
            id=ctx.instance_id,
            parent=ctx.parent_instance_id,
            version=ctx.version,
            name=ctx.name,
            tags=dict(ctx.tags),
            now=ctx.current_utc_datetime,
            replaying=ctx.is_replaying,
            input=ctx.get_input(),
            order=ctx.get_input(Order),
        )

    parent = ev.ParentLink("p", "e", 3, 4)
    PortableWorld(orchestrator).start(input='{"id": 1}', version="2.0", tags={"team": "a"}, parent=parent)

    assert seen == {
        "id": "order-1",
        "parent": "p",
        "version": "2.0",
        "name": "orchestrator",
        "tags": {"team": "a"},
        "now": T0.replace(tzinfo=None),
        "replaying": False,
        "input": {"id": 1},
        "order": Order(1),
    }


def test_calls_carry_their_tags_in_every_attempt():
    retry = task.RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)
    given = {"team": "a"}

    def orchestrator(ctx: task.OrchestrationContext, input):
        tagged = ctx.call_activity("a", tags=given, retry_policy=retry)
        given["team"] = "changed"
        child = ctx.call_sub_orchestrator("c", tags={"team": "b"}, version="2", retry_policy=retry)
        plain = [ctx.call_activity("a", tags={}), ctx.call_sub_orchestrator("c", instance_id="c1")]
        yield task.when_all([tagged, child, *plain])

    world = PortableWorld(orchestrator)
    turn = world.start()
    assert [action.tags for action in turn.actions] == [{"team": "a"}, {"team": "b"}, None, None]
    [timer] = world.fail(1).actions
    [again] = world.complete(timer.task_id).actions
    assert again.tags == {"team": "a"}


@pytest.mark.parametrize("tags", [{"team": 1}, ["team"], {1: "team"}, "team"])
def test_tags_that_are_no_texts_are_refused_at_the_call(tags):
    world = PortableWorld(lambda ctx: ctx.call_activity("a", tags=tags))
    world.start()
    assert "tags is a dict of texts" in world.failed_with.message


def test_a_function_may_leave_the_input_out():
    world = PortableWorld(lambda ctx: ctx.get_input())
    world.start(input="5")

    assert world.output == "5"


def test_positional_arguments_take_context_and_input():
    world = PortableWorld(lambda *arguments: arguments[1])
    world.start(input="5")

    assert world.output == "5"


def test_an_async_orchestrator_awaits_tasks():
    async def orchestrator(ctx: task.OrchestrationContext, n: int):
        first = await ctx.call_activity("a", input=n)
        both = await task.when_all([ctx.call_activity("b"), ctx.call_activity("c")])
        try:
            await ctx.call_activity("d")
        except task.TaskFailedError as error:
            return [first, both, error.details.error_type]

    world = PortableWorld(orchestrator)
    world.start(input="1")
    world.complete(1, "10")
    world.complete(3, "30")
    world.complete(2, "20")
    world.reload()
    world.fail(4)

    assert world.output == '[10, [20, 30], "ValueError"]'


@pytest.mark.parametrize(("called", "instead"), [("sleep", "create_timer"), ("wait_for", "when_any"), ("x", "'str'")])
def test_an_async_orchestrator_awaits_nothing_else(called, instead):
    class Future:
        def __await__(self):
            yield "something"

    async def orchestrator(ctx, _):
        if called == "sleep":
            await asyncio.sleep(1)
        elif called == "wait_for":
            await asyncio.wait_for(ctx.call_activity("a"), 1)
        else:
            await Future()

    world = PortableWorld(orchestrator)
    world.start()

    assert world.failed_with.error_type == "NonDeterminismError"
    assert instead in world.failed_with.message


def test_async_generators_are_refused_when_they_are_registered():
    async def orchestrator(ctx, _):
        yield 1

    with pytest.raises(TypeError, match="async generator"):
        PortableWorld(orchestrator)


def test_yielding_no_task_fails_the_instance():
    def orchestrator(ctx, _):
        yield 5

    world = PortableWorld(orchestrator)
    world.start()

    assert "'int'" in world.failed_with.message


def test_an_output_without_json_form_fails_the_instance():
    world = PortableWorld(lambda ctx, _: object())
    world.start()

    assert world.failed_with.error_type == "JsonEncodeOutputException"


def test_timers_take_times_and_spans():
    def orchestrator(ctx, _):
        ctx.create_timer(timedelta(seconds=5))
        ctx.create_timer(datetime(2027, 1, 1))
        yield ctx.create_timer(datetime(2027, 1, 1, 2, tzinfo=UTC))

    fire_at = [action.fire_at for action in PortableWorld(orchestrator).start().actions]

    assert fire_at == [
        T0 + timedelta(seconds=5),
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, 2, tzinfo=UTC),
    ]


def test_a_cancelled_timer_has_no_effect_any_more():
    def orchestrator(ctx, _):
        timer = ctx.create_timer(timedelta(hours=1))
        event = ctx.wait_for_external_event("go")
        winner = yield task.when_any([timer, event])
        assert winner is event
        assert timer.cancel()
        assert not timer.cancel()
        assert timer.is_cancelled
        assert timer.is_complete
        assert not timer.is_failed
        with pytest.raises(task.TaskCancelledError):
            timer.get_result()
        return winner.get_result()

    world = PortableWorld(orchestrator)
    world.start()
    world.raise_event("GO", '"now"')

    assert world.output == '"now"'


def test_events_have_a_type_and_a_time_limit():
    def orchestrator(ctx, _):
        order = yield ctx.wait_for_external_event("order", data_type=Order, timeout=timedelta(minutes=1))
        try:
            yield ctx.wait_for_external_event("order", timeout=timedelta(minutes=1))
        except task.TaskFailedError as error:
            causes = [error.details.is_caused_by(TimeoutError), isinstance(error.__cause__, TimeoutError)]
        late = yield ctx.wait_for_external_event("order")
        return [order.id, causes, late]

    world = PortableWorld(orchestrator)
    world.start()
    world.raise_event("order", '{"id": 7}')
    world.complete(2)
    world.reload()
    world.raise_event("order", '"late"')

    assert world.output == '[7, [true, true], "late"]'


def test_a_cancelled_wait_swallows_no_event():
    def orchestrator(ctx, _):
        given_up = ctx.wait_for_external_event("e")
        assert given_up.cancel()
        return (yield ctx.wait_for_external_event("e"))

    world = PortableWorld(orchestrator)
    world.start()
    world.raise_event("e", "1")

    assert world.output == "1"


def test_retries_reuse_the_number_of_the_call():
    policy = task.RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)

    def orchestrator(ctx, _):
        try:
            yield ctx.call_activity("flaky", retry_policy=policy)
        except task.TaskFailedError as error:
            return str(error)

    world = PortableWorld(orchestrator)
    assert world.start().actions == (ac.ScheduleActivity(1, "flaky"),)
    assert world.fail(1).actions == (ac.CreateTimer(2, T0 + timedelta(seconds=1)),)
    assert world.complete(2).actions == (ac.ScheduleActivity(1, "flaky"),)
    world.reload()
    world.fail(1, "no luck")

    assert world.output == '"order-1: Activity task #1 failed: no luck"'


@pytest.mark.parametrize(
    ("change", "attempts"),
    [({"is_non_retriable": True}, 1), ({"handle": lambda failure: failure.message != "broken"}, 1), ({}, 2)],
)
def test_what_ends_the_attempts(change, attempts):
    handle = change.pop("handle", None)
    policy = task.RetryPolicy(
        first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2, backoff_coefficient=None, handle=handle
    )

    def orchestrator(ctx, _):
        yield ctx.call_sub_orchestrator("child", retry_policy=policy)

    world = PortableWorld(orchestrator)
    world.start()
    world.fail(1, **change)

    assert (world.last.ending is None) is (attempts == 2)


def test_failure_texts_name_the_call():
    def orchestrator(ctx, _):
        texts = []
        for call in (
            lambda: ctx.call_sub_orchestrator("child", version="3", instance_id="c"),
            lambda: ctx.call_entity(EntityInstanceId("Counter", "k"), "add", 1),
        ):
            try:
                yield call()
            except task.TaskFailedError as error:
                texts.append([str(error), error.details.is_caused_by(ValueError)])
        return texts

    world = PortableWorld(orchestrator)
    world.start()
    world.fail(1, "x")
    world.fail(2, "y")

    assert json.loads(world.output or "") == [
        ["Sub-orchestration task #1 failed: x", True],
        ["Operation 'add' on entity '@counter@k' failed with error: y", True],
    ]


def test_a_failure_that_is_let_pass_keeps_its_cause():
    def orchestrator(ctx, _):
        yield ctx.call_activity("a")

    world = PortableWorld(orchestrator)
    world.start()
    world.fail(1, "root")

    assert world.failed_with.error_type == "TaskFailedError"
    assert world.failed_with.message == "order-1: Activity task #1 failed: root"
    assert world.failed_with.cause is not None
    assert world.failed_with.cause.message == "root"


def test_events_and_signals_are_sent_at_once():
    def orchestrator(ctx, _):
        ctx.send_event("other", "hello", data={"a": 1})
        ctx.signal_entity(EntityInstanceId("Log", "k"), "write", "x", datetime(2027, 1, 1))

    assert PortableWorld(orchestrator).start().actions == (
        ac.SendEvent(1, "other", "hello", '{"a": 1}'),
        ac.SignalEntity(2, "@log@k", "write", '"x"', datetime(2027, 1, 1, tzinfo=UTC)),
    )


@pytest.mark.parametrize("arguments", [("", "e"), (" ", "e"), ("i", ""), ("i", " "), ("@counter@k", "e")])
def test_events_need_an_orchestration_and_a_name(arguments):
    def orchestrator(ctx, _):
        with pytest.raises(ValueError, match="send_event"):
            ctx.send_event(*arguments)

    PortableWorld(orchestrator).start()


@pytest.mark.parametrize(("save_events", "carried"), [(False, ()), (True, (ac.CarriedEvent("left", "1"),))])
def test_continue_as_new(save_events, carried):
    def orchestrator(ctx, n):
        yield ctx.wait_for_external_event("go")
        ctx.continue_as_new(n + 1, save_events=save_events, new_version="2")
        ctx.continue_as_new(99)
        return "ignored"

    world = PortableWorld(orchestrator)
    world.start(input="1")
    world.raise_event("left", "1")
    world.raise_event("go")

    assert world.last.ending == ac.ContinueAsNew("2", "2", carried)


def test_custom_status_is_json_and_none_clears_it():
    def orchestrator(ctx, _):
        ctx.set_custom_status({"step": 1})
        yield ctx.create_timer(timedelta(seconds=1))
        ctx.set_custom_status(None)

    world = PortableWorld(orchestrator)
    assert world.start().custom_status == ac.NewStatus('{"step": 1}')
    assert world.complete(1).custom_status == ac.NewStatus(None)


def test_uuids_and_random_numbers_are_the_same_at_every_replay():
    def orchestrator(ctx, _):
        made = [ctx.new_uuid(), ctx.new_uuid(), ctx.random().random()]
        yield ctx.create_timer(timedelta(seconds=1))
        return made

    world = PortableWorld(orchestrator)
    world.start()
    world.reload()
    world.complete(1)
    replayed = world.output

    live = PortableWorld(orchestrator)
    live.start()
    live.complete(1)
    assert live.output == replayed
    assert len(set(eval(replayed))) == 3


def test_a_replay_safe_logger_says_each_line_once(caplog):
    def orchestrator(ctx, _):
        log = ctx.create_replay_safe_logger(logging.getLogger("orders"))
        log.warning("begun")
        yield ctx.create_timer(timedelta(seconds=1))
        log.warning("ended")

    world = PortableWorld(orchestrator)
    world.start()
    world.reload()
    world.complete(1)

    assert [record.message for record in caplog.records] == ["begun", "ended"]


def test_a_critical_section_locks_and_lets_go():
    counter, other = EntityInstanceId("Counter", "a"), EntityInstanceId("Counter", "b")

    def orchestrator(ctx, _):
        with (yield ctx.lock_entities([other, counter, counter])):
            with pytest.raises(RuntimeError, match="nested"):
                ctx.lock_entities([other])
            with pytest.raises(RuntimeError, match="inside a critical section"):
                ctx.call_sub_orchestrator("child")
            with pytest.raises(RuntimeError, match="signalled"):
                ctx.signal_entity(counter, "add", 1)
        yield ctx.call_entity(counter, "get")

    world = PortableWorld(orchestrator)
    actions = world.start().actions
    assert [type(action) for action in actions] == [ac.LockEntities]
    result = world.turn(ev.EntityLockGranted(1, world.seq_of(1)))

    assert [type(action) for action in result.actions] == [ac.UnlockEntity, ac.UnlockEntity, ac.CallEntity]


def test_async_with_locks_too():
    async def orchestrator(ctx, _):
        async with ctx.lock_entities([EntityInstanceId("Counter", "a")]):
            pass

    world = PortableWorld(orchestrator)
    world.start()
    result = world.turn(ev.EntityLockGranted(1, world.seq_of(1)))

    assert [type(action) for action in result.actions] == [ac.UnlockEntity]


def test_callables_of_every_kind_say_what_they_return():
    @dataclass
    class Unhashable:
        def __call__(self, ctx, order: Order) -> Order:
            return order

    def says(ctx, order) -> Order:
        return order

    assert [declared_return_type(says), declared_return_type(says)] == [Order, Order]
    assert declared_return_type("says") is None
    assert declared_return_type(lambda ctx, order: order) is None
    assert declared_return_type(Unhashable().__call__) is Order
    assert declared_return_type(Unhashable()) is None
