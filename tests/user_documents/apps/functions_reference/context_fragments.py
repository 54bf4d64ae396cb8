"""What the reference shows of the orchestration context: each fragment is the body of one orchestrator."""

import datetime
import json

import azure.durable_functions as df

bp = df.Blueprint()


class SameHost:
    """The orchestration's context, for which the reference's server stands at the address given as input."""

    def __init__(self, context):
        self._context = context

    def call_http(self, *, uri, **request):
        uri = uri.replace("https://api.example.com", self._context.get_input())
        return self._context.call_http(uri=uri, **request)


def reads_its_input():
    def my_orchestrator(context):
        input_data = context.get_input()
        described = yield context.call_activity("describe", input_data)
        return described

    return my_orchestrator


bp.function_name("reads_its_input")(bp.orchestration_trigger("context")(reads_its_input()))


@bp.orchestration_trigger()
def calls_activities(context):
    input_data = context.get_input()
    # With return value
    result = yield context.call_activity("activity_name", input_data)

    # Without input
    result = yield context.call_activity("activity_name")
    return result


@bp.orchestration_trigger()
def retries_activities(context):
    input_data = context.get_input()
    retry_options = df.RetryOptions(
        first_retry_interval_in_milliseconds=5000,
        max_number_of_attempts=3
    )

    result = yield context.call_activity_with_retry(
        "activity_name",
        retry_options,
        input_data
    )
    return result


@bp.orchestration_trigger()
def calls_sub_orchestrators(context):
    input_data = context.get_input()
    result = yield context.call_sub_orchestrator(
        "sub_orchestrator_name",
        input_data
    )

    # With specific instance ID
    result = yield context.call_sub_orchestrator(
        "sub_orchestrator_name",
        input_data,
        instance_id="sub-123"
    )
    return result


@bp.orchestration_trigger()
def retries_sub_orchestrators(context):
    input_data = context.get_input()
    retry_options = df.RetryOptions(
        first_retry_interval_in_milliseconds=5000,
        max_number_of_attempts=3
    )
    result = yield context.call_sub_orchestrator_with_retry(
        "sub_orchestrator_name",
        retry_options,
        input_data
    )
    return result


@bp.orchestration_trigger()
def sub_orchestrator_name(context):
    yield context.create_timer(context.current_utc_datetime)
    return [context.instance_id, context.parent_instance_id, context.is_replaying, context.get_input()]


@bp.orchestration_trigger()
def sleeps_an_hour(context):
    import datetime

    fire_at = context.current_utc_datetime + datetime.timedelta(hours=1)
    yield context.create_timer(fire_at)


@bp.orchestration_trigger()
def waits_for_an_event(context):
    # Wait indefinitely
    event_data = yield context.wait_for_external_event("EventName")

    # The event name is case-insensitive
    return event_data


@bp.orchestration_trigger()
def waits_for_all(context):
    items = context.get_input()
    tasks = [
        context.call_activity("process", item)
        for item in items
    ]
    results = yield context.task_all(tasks)
    return results


@bp.orchestration_trigger()
def waits_for_any(context):
    fire_at = context.current_utc_datetime + datetime.timedelta(seconds=context.get_input())
    timeout_task = context.create_timer(fire_at)
    event_task = context.wait_for_external_event("ApprovalEvent")

    winner = yield context.task_any([timeout_task, event_task])

    if winner == event_task:
        # Event received
        timeout_task.cancel()
        return event_task.result
    return "too late"


@bp.orchestration_trigger()
def begins_anew(context):
    new_input = context.get_input() + 1
    if new_input > 3:
        return new_input
    context.continue_as_new(new_input)


@bp.orchestration_trigger()
def shows_its_status(context):
    context.set_custom_status({"progress": 50, "stage": "processing"})
    yield context.wait_for_external_event("Enough")


@bp.orchestration_trigger()
def calls_an_entity(context):
    entity_id = df.EntityId("Counter", "myCounter")
    context.signal_entity(entity_id, "add", 5)
    entity_id = df.EntityId("Counter", "myCounter")
    value = yield context.call_entity(entity_id, "get")
    return value


@bp.orchestration_trigger()
def calls_http(context):
    context = SameHost(context)
    response = yield context.call_http(
        method="GET",
        uri="https://api.example.com/data"
    )

    # With headers and body
    response = yield context.call_http(
        method="POST",
        uri="https://api.example.com/data",
        headers={"Content-Type": "application/json"},
        content=json.dumps({"key": "value"})
    )
    return [response.status_code, json.loads(response.content)]


@bp.activity_trigger(input_name="value")
def describe(value):
    return repr(value)


@bp.activity_trigger(input_name="item")
def process(item: int) -> int:
    return item * 10
