"""The out-of-process protocol beyond its recorded calls: bad contexts, what the host counts, other families of code."""

import json
from datetime import UTC, datetime, timedelta

import pytest

import azure.durable_functions as df

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TEN_DAYS = timedelta(days=10)


class Past:
    """A history as a host writes it."""

    def __init__(self) -> None:
        self.rows = []
        self.now = BEGIN
        self.episode()
        self.add(0, Name="orch", Version="", Input=None)

    def add(self, kind, event_id=-1, **fields):
        at = self.now.isoformat().replace("+00:00", "Z")
        self.rows.append({"EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": at, **fields})
        return self

    def episode(self, later=timedelta(0)):
        self.now += later
        return self.add(12)

    def context(self, **more):
        fields = {"history": self.rows, "input": None, "instanceId": "i1", "upperSchemaVersion": 1}
        return json.dumps(fields | more)


def state_of(orchestrator, past, **more):
    """The answer of an orchestrator that does not fail."""
    return json.loads(df.Orchestrator.create(orchestrator)(past.context(**more)))


def failure_of(orchestrator, past, **more):
    """Text and answer of one that does."""
    with pytest.raises(Exception, match=r"\$OutOfProcData\$:") as raised:
        df.Orchestrator.create(orchestrator)(past.context(**more))
    text, _, state = str(raised.value).partition("\n\n$OutOfProcData$:")
    return text, json.loads(state)


def waiting(context):
    yield context.wait_for_external_event("go")


@pytest.mark.parametrize("schema", [3, -1, None, "V1"])
def test_unknown_schema_raises_plainly(schema):
    with pytest.raises(ValueError, match="valid upperSchemaVersion") as raised:
        df.Orchestrator.create(waiting)(Past().context(upperSchemaVersion=schema))
    assert "OutOfProcData" not in str(raised.value)


@pytest.mark.parametrize(
    ("upper", "newer", "answered"),
    [(0, None, None), (1, None, 1), (1, 2, 2), (0, 1, 1), (2, 1, 2), (0, 77, 2), (1, 0, 1)],
)
def test_the_newest_schema_both_sides_know(upper, newer, answered):
    state = state_of(waiting, Past(), upperSchemaVersion=upper, upperSchemaVersionNew=newer)

    assert state.get("schemaVersion") == answered


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "no JSON object"),
        ("{}", "'history'"),
        ('{"history": [1, 2], "instanceId": "i"}', "'history'"),
        ('{"history": [{"EventType": 12}, {"EventType": 12}], "instanceId": "i"}', "Event 0"),
        ('{"history": [{"EventType": 12, "Timestamp": "soon"}, {}], "instanceId": "i"}', "no ISO time"),
    ],
)
def test_a_context_that_cannot_be_read_says_where(text, said):
    with pytest.raises(ValueError, match=said):
        df.Orchestrator.create(waiting)(text)


def test_a_time_span_that_cannot_be_read():
    with pytest.raises(ValueError, match="TimeSpan"):
        state_of(
            waiting, Past(), upperSchemaVersion=2, maximumShortTimerDuration="6d", longRunningTimerIntervalDuration="3d"
        )


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], 7, False])
def test_input_that_is_no_text_is_used_as_it_is(value):
    def orchestrator(context):
        return [context.get_input()]

    assert state_of(orchestrator, Past(), input=value)["output"] == [value]


def test_async_orchestrators_answer_too():
    async def orchestrator(context):
        return await context.call_activity("a", 1)

    past = Past().add(4, 0, Name="a").add(13).episode().add(5, TaskScheduledId=0, Result='"done"')

    assert state_of(orchestrator, past)["output"] == "done"


def test_a_plain_function_that_raises_reports_its_state():
    def orchestrator(context):
        context.signal_entity(df.EntityId("log", "k"), "add")
        raise ValueError("at once")

    text, state = failure_of(orchestrator, Past())

    assert text == state["error"] == "at once"
    assert state["isDone"] is False
    assert len(state["actions"][0]) == 1


def test_yielding_what_is_no_task_reports_its_state():
    def orchestrator(context):
        yield context.call_activity("a")
        yield 5

    past = Past().add(4, 0, Name="a").add(13).episode().add(5, TaskScheduledId=0, Result="1")

    text, state = failure_of(orchestrator, past)

    assert "'int'" in text
    assert __file__ in text
    assert [action["functionName"] for action in state["actions"][0]] == ["a"]


def test_missing_details_are_none():
    def orchestrator(context):
        yield context.call_activity("a")

    past = Past().add(4, 0, Name="a").add(13).episode().add(6, TaskScheduledId=0, Reason="why")

    assert failure_of(orchestrator, past)[0] == "why \n None"


def test_failed_calls_are_task_failed_errors():
    def orchestrator(context):
        try:
            yield context.call_activity("a")
        except df.TaskFailedError as error:
            return [str(error), error.details.message]

    past = Past().add(4, 0, Name="a").add(13).episode().add(6, TaskScheduledId=0, Reason="why", Details="how")

    assert state_of(orchestrator, past)["output"] == ["why \n how", "why \n how"]


def test_status_set_after_continuing_as_new_is_kept_and_actions_are_not():
    def orchestrator(context):
        context.continue_as_new(1)
        context.set_custom_status([])
        context.signal_entity(df.EntityId("log", "k"), "add")
        context.continue_as_new(2)
        yield context.call_activity("never")

    state = state_of(orchestrator, Past())

    assert state == {
        "isDone": True,
        "schemaVersion": 1,
        "actions": [[{"actionType": 4, "input": "1"}]],
        "customStatus": [],
    }


def test_finally_blocks_of_code_that_waits_change_nothing():
    def orchestrator(context):
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        try:
            yield timer
        finally:
            timer.cancel()
            context.set_custom_status("left")

    state = state_of(orchestrator, Past())

    assert state["actions"][0][0]["isCanceled"] is False
    assert "customStatus" not in state


def test_retry_options_are_written_by_the_names_of_the_host():
    def orchestrator(context):
        options = df.RetryOptions(1500, 4)
        options.backoff_coefficient = 2
        options.max_retry_interval_in_milliseconds = 60000
        options.retry_timeout_in_milliseconds = 90500.5
        yield context.call_activity_with_retry("a", options)

    (group,) = state_of(orchestrator, Past())["actions"][0]

    assert group["compoundActions"][0]["retryOptions"] == {
        "firstRetryIntervalInMilliseconds": 1500,
        "maxNumberOfAttempts": 4,
        "backoffCoefficient": 2,
        "maxRetryIntervalInMilliseconds": 60000,
        "retryTimeoutInMilliseconds": 90500.5,
    }


def test_after_the_retry_timeout_no_timer_is_waited_for():
    def orchestrator(context):
        options = df.RetryOptions(1000, 5, retry_timeout_in_milliseconds=2000)
        yield context.call_activity_with_retry("a", options)

    past = Past().add(4, 0, Name="a").add(13).episode(timedelta(seconds=2))
    past.add(6, TaskScheduledId=0, Reason="e", Details="d")

    assert failure_of(orchestrator, past)[0] == "e \n d"


def test_a_cancelled_long_timer_cancels_its_current_hop_only():
    def orchestrator(context):
        timer = context.create_timer(context.current_utc_datetime + TEN_DAYS)
        event = context.wait_for_external_event("stop")
        yield context.task_any([timer, event])
        timer.cancel()
        return timer.is_cancelled

    past = Past().add(10, 0, FireAt="2026-01-04T00:00:00Z").add(13).episode(timedelta(days=3))
    past.add(11, TimerId=0, FireAt="2026-01-04T00:00:00Z").add(10, 1, FireAt="2026-01-07T00:00:00Z").add(13)
    past.episode(timedelta(days=1)).add(15, Name="stop", Input=None)

    state = state_of(
        orchestrator,
        past,
        upperSchemaVersionNew=2,
        maximumShortTimerDuration="6.00:00:00",
        longRunningTimerIntervalDuration="3.00:00:00",
    )

    either, hop = state["actions"][0]
    assert either["compoundActions"][0]["compoundActions"][0]["isCanceled"] is False
    assert hop == {"actionType": 5, "fireAt": "2026-01-07T00:00:00.000000Z", "isCanceled": True}
    assert state["output"] is True


def test_only_the_final_http_answer_is_given_and_polling_counts_ids_as_the_host_does():
    def orchestrator(context):
        answer = yield context.call_http("GET", "https://host.example/job")
        work = yield context.call_activity("work")
        return [answer["statusCode"], work]

    accepted = {"statusCode": 202, "headers": {"Location": "https://host.example/poll"}, "content": None}
    past = Past().add(4, 0, Name="BuiltIn::HttpActivity").add(13)
    past.episode().add(5, TaskScheduledId=0, Result=json.dumps(accepted)).add(10, 1, FireAt="2026-01-01T00:00:30Z").add(
        13
    )
    past.episode().add(11, TimerId=1, FireAt="2026-01-01T00:00:30Z").add(4, 2, Name="BuiltIn::HttpActivity").add(13)

    assert len(state_of(orchestrator, past)["actions"][0]) == 1

    past.episode().add(5, TaskScheduledId=2, Result='{"statusCode": 200, "headers": {}, "content": ""}')
    past.add(4, 3, Name="work").add(13).episode().add(5, TaskScheduledId=3, Result='"done"')

    state = state_of(orchestrator, past)
    assert state["output"] == [200, "done"]
    assert [action["actionType"] for action in state["actions"][0]] == [8, 0]


def test_two_argument_orchestrators_answer_with_every_call_they_make():
    def orchestrator(context, name: str):
        context.call_activity("noted", input="by the way")
        return (yield context.call_activity("hello", input=name))

    past = Past().add(4, 0, Name="noted").add(4, 1, Name="hello").add(13).episode()
    past.add(5, TaskScheduledId=1, Result='"Hello Rome"')

    state = state_of(orchestrator, past, input='"Rome"')

    assert state["output"] == "Hello Rome"
    assert [action["functionName"] for action in state["actions"][0]] == ["noted", "hello"]


def batch_of(*operations, state=None, exists=None):
    rows = [{"name": name, "input": text, "isSignal": False} for name, text in operations]
    exists = state is not None if exists is None else exists
    return json.dumps({"self": {"name": "e", "key": "K"}, "exists": exists, "state": state, "batch": rows})


def test_entity_signals_name_their_target_and_are_dropped_with_a_failed_operation():
    def entity(context):
        context.signal_entity(df.EntityId("Log", "k@1"), "add", {"n": context.get_input()})
        if context.operation_name == "fail":
            raise ValueError

    answer = json.loads(df.Entity.create(entity)(batch_of(("run", '"1"'), ("fail", '"2"'))))

    assert answer["signals"] == [{"target": {"name": "log", "key": "k@1"}, "name": "add", "input": '"{\\"n\\": 1}"'}]
    assert [result["isError"] for result in answer["results"]] == [False, True]


def test_entity_input_that_is_missing_or_written_once():
    def entity(context):
        context.set_result(context.get_input())

    texts = [None, "null", "5", '{"a": 1}', json.dumps("5"), json.dumps('"five"')]
    answer = json.loads(df.Entity.create(entity)(batch_of(*(("get", text) for text in texts))))

    assert [json.loads(result["result"]) for result in answer["results"]] == [None, None, 5, {"a": 1}, 5, "five"]


def test_an_unserialisable_state_fails_its_operation_only():
    def entity(context):
        context.set_state(object() if context.operation_name == "bad" else context.operation_name)

    answer = json.loads(df.Entity.create(entity)(batch_of(("one", None), ("bad", None))))

    assert answer["entityState"] == '"one"'
    assert [result["isError"] for result in answer["results"]] == [False, True]


def test_an_entity_that_exists_without_a_state_goes_on_existing():
    def entity(context):
        assert context.get_state(lambda: "new") == "new"

    answer = json.loads(df.Entity.create(entity)(batch_of(("get", None), exists=True)))

    assert (answer["entityExists"], answer["entityState"]) == (True, "null")


@pytest.mark.parametrize("text", ["{}", "[]", "nothing", batch_of((None, "null"))])
def test_a_batch_that_cannot_be_read(text):
    with pytest.raises(ValueError, match="batch"):
        df.Entity.create(waiting)(text)


def test_entity_context_from_json():
    context, batch = df.DurableEntityContext.from_json(batch_of(("get", "null"), state='{"n": 1}'))

    assert (context.entity_name, context.entity_key, context.get_state()) == ("e", "K", {"n": 1})
    assert batch == [{"name": "get", "input": "null", "isSignal": False}]


def test_handle_takes_contexts_made_of_json():
    def orchestrator(context):
        return context.instance_id
        yield

    def entity(context):
        context.set_result([context.get_state(), context.operation_name])

    answer = json.loads(
        df.Orchestrator(orchestrator).handle(df.DurableOrchestrationContext.from_json(Past().context()))
    )
    batch = batch_of(("get", "null"), state="1")

    assert answer["output"] == "i1"
    results = json.loads(df.Entity(entity).handle(*df.DurableEntityContext.from_json(batch)))["results"]
    assert results[0]["result"] == '[1, "get"]'
