"""Which generation a function belongs to, and that both run in one app (functions-sdk.md §18)."""

import asyncio
import inspect
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import azure.functions as func
import pytest

import azure.durable_functions as df
from azure.durable_functions.native_payloads import NATIVE_CONVERTER
from durabletask import task
from durabletask.entities import DurableEntity, EntityInstanceId
from perdure.core.registry import ActivityCall
from support.sdk_world import BINDING, SdkWorld


@dataclass
class Order:
    id: int
    at: datetime | None = None


def definition_of(builder):
    handle = builder.build().get_user_function()
    return handle.definition("x")


def is_native(builder) -> bool:
    return definition_of(builder).policy.first_task_id == 1


def one(context):
    yield


def two(context, order):
    yield


def many(*arguments):
    yield


def keyword_only(context, *, more=1):
    yield


async def awaiting(context, order):
    return order


@pytest.mark.parametrize(
    ("function", "native"), [(one, False), (two, True), (many, True), (keyword_only, False), (awaiting, True)]
)
def test_an_orchestrator_with_two_arguments_is_native(function, native):
    assert is_native(df.DFApp().orchestration_trigger("context")(function)) is native
    assert (df.Orchestrator.create(function).definition("x").policy.first_task_id == 1) is native


def test_a_defaulted_second_parameter_counts_and_is_warned_of():
    def doubtful(context, order=None):
        yield

    def meant(context: task.OrchestrationContext, order=None):
        yield

    with pytest.warns(df.DurableFunctionsCompatibilityWarning, match="'order'"):
        assert is_native(df.DFApp().orchestration_trigger("context")(doubtful))
    assert is_native(df.DFApp().orchestration_trigger("context")(meant))


def test_entities_of_all_kinds():
    class Wallet(DurableEntity):
        pass

    app = df.DFApp()
    kinds = {
        name: type(definition_of(app.entity_trigger("context")(entity)).open(None, None)).__name__
        for name, entity in {"one": lambda context: None, "two": lambda context, x: None, "class": Wallet}.items()
    }

    assert kinds == {"one": "FunctionEntity", "two": "PortableEntity", "class": "PortableEntity"}


def test_marked_names_are_registered():
    @task.entity(name="Account")
    class Wallet(DurableEntity):
        pass

    @task.activity(name="Named")
    def act(context, input):
        return input

    app = df.DFApp()
    entity = app.entity_trigger("context")(Wallet).build().get_trigger()
    activity = app.activity_trigger("input")(act).build().get_trigger()

    assert (entity.entity_name, activity.activity) == ("Account", "Named")


def call(function, text, **fields):
    run = function.build().get_user_function().run_activity
    return run(ActivityCall("order-1", 7, "x", text), **fields)


def test_a_native_activity_learns_who_called():
    def act(context: task.ActivityContext, order: Order):
        assert type(order) is Order
        return [context.orchestration_id, context.task_id, context.name, order.at]

    function = df.DFApp().activity_trigger(input_name="order")(act)

    assert call(function, '{"id": 1, "at": "2026-01-01T00:00:00"}') == '["order-1", 7, "x", "2026-01-01T00:00:00"]'
    assert list(inspect.signature(function.build().get_user_function()).parameters) == ["order"]
    assert function(task.ActivityContext("i", 1, name="n"), Order(2)) == ["i", 1, "n", None]


def test_an_async_native_activity():
    async def act(ctx, input):
        return input + 1

    assert asyncio.run(call(df.DFApp().activity_trigger("input")(act), "1")) == "2"


def test_other_activities_stay_what_they_are():
    def with_context(input, context: func.Context):
        return input

    def with_client(client, input):
        return input

    app = df.DFApp()
    plain = app.activity_trigger("input")(with_context)
    bound = app.durable_client_input("client")(app.activity_trigger("input")(with_client))

    for function in (plain, bound):
        assert not hasattr(inspect.unwrap(function.build().get_user_function()), "run_activity")
    with pytest.raises(ValueError, match="no place for the durable client"):
        app.durable_client_input("client")(app.activity_trigger("input")(lambda ctx, input: None))


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (df.DurableFunctionsClient, ("DurableFunctionsClient", "DurableFunctionsClient")),
        (df.SyncDurableFunctionsClient, ("SyncDurableFunctionsClient", "SyncDurableFunctionsClient")),
        (df.DurableOrchestrationClient, ("DurableOrchestrationClient", "BlockingDurableOrchestrationClient")),
        (None, ("DurableOrchestrationClient", "BlockingDurableOrchestrationClient")),
    ],
)
def test_the_annotation_chooses_the_client(annotation, expected, is_async):
    import json

    if is_async:

        async def start(req, client):
            return client
    else:

        def start(req, client):
            return client

    if annotation is not None:
        start.__annotations__["client"] = annotation
    app = df.DFApp()
    function = app.route("start")(app.durable_client_input("client")(start)).build().get_user_function()
    given = function(req=None, client=json.dumps(BINDING))
    client = asyncio.run(given) if is_async else given

    assert type(client).__name__ == expected[0 if is_async else 1]
    assert callable(client.schedule_new_orchestration)
    assert callable(client.start_new)


def test_one_cached_client_per_binding():
    import json

    text = json.dumps(BINDING)

    assert df.SyncDurableFunctionsClient.get_cached(text) is df.SyncDurableFunctionsClient.get_cached(text)


def test_ids_and_policies_are_of_the_portable_classes():
    entity_id = df.EntityId("Counter", "k")
    options = df.RetryOptions(1500, 3)

    assert isinstance(entity_id, EntityInstanceId)
    assert (entity_id, entity_id.name, entity_id.entity) == (EntityInstanceId("counter", "k"), "Counter", "counter")
    assert len({entity_id, EntityInstanceId("counter", "k")}) == 1
    assert isinstance(options, df.RetryPolicy)
    assert options.first_retry_interval == timedelta(seconds=1.5)
    assert options.core_policy().max_attempts == 3
    assert df.RetryPolicy is task.RetryPolicy


def test_schedules_are_registered_on_request():
    app = df.DFApp()
    app.configure_scheduled_tasks()

    names = {function.get_trigger().type: function.get_function_name() for function in app.get_functions()}

    assert names == {"entityTrigger": "Schedule", "orchestrationTrigger": "execute_schedule_operation_orchestrator"}


class Plain:
    def __init__(self, when):
        self.when = when


@pytest.mark.parametrize(
    ("value", "text", "target"),
    [
        (datetime(2026, 1, 1), '"2026-01-01T00:00:00"', datetime),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"', UUID),
        (timedelta(seconds=2), "2.0", timedelta),
        (b"a", '"YQ=="', bytes),
        (Order(1, datetime(2026, 1, 1)), '{"id": 1, "at": "2026-01-01T00:00:00"}', Order),
        ([Order(1)], '[{"id": 1, "at": null}]', list[Order]),
    ],
)
def test_native_values_are_plain_json_and_come_back_by_type(value, text, target):
    assert NATIVE_CONVERTER.serialize(value) == text
    assert NATIVE_CONVERTER.deserialize(text, target) == value


def test_plain_classes_and_the_envelopes_of_one_argument_functions():
    text = NATIVE_CONVERTER.serialize(Plain(5))
    envelope = f'{{"__class__": "Order", "__module__": "{Order.__module__}", "__data__": {{"id": 3, "at": null}}}}'

    assert text == '{"when": 5}'
    read = NATIVE_CONVERTER.deserialize(text, Plain)
    assert (type(read), read.when) == (Plain, 5)
    assert NATIVE_CONVERTER.deserialize(envelope, Order) == Order(3)
    assert NATIVE_CONVERTER.deserialize('{"__init__": 1}', Plain) == {"__init__": 1}


def test_a_retry_policy_serves_where_retry_options_do():
    policy = df.RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)

    def classic(context):
        return (yield context.call_activity_with_retry("a", policy))

    def native(context, _):
        return (yield context.call_activity("a", retry_policy=df.RetryOptions(1000, 2)))

    for function in (classic, native):
        world = SdkWorld(function)
        first = world.start().actions[0].task_id
        timer = world.fail(first).actions[0]
        assert timer.fire_at - world.now == timedelta(seconds=1)
        again = world.complete(timer.task_id).actions[0].task_id
        assert (again == first) is (function is native)
        world.complete(again, "5")
        assert world.output == "5"
