"""RetryOptions, EntityId, statuses, constants and the old import paths."""

import importlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from azure import durable_functions as df
from azure.durable_functions import constants
from azure.durable_functions.entity_id import address_of
from azure.durable_functions.retry_options import policy_of

RETRY_PROPERTIES = (
    "first_retry_interval_in_milliseconds",
    "max_number_of_attempts",
    "backoff_coefficient",
    "max_retry_interval_in_milliseconds",
    "retry_timeout_in_milliseconds",
)


def test_retry_options_have_five_settable_properties():
    options = df.RetryOptions(first_retry_interval_in_milliseconds=5000, max_number_of_attempts=3)
    assert [getattr(options, name) for name in RETRY_PROPERTIES] == [5000, 3, 1.0, None, None]

    for number, name in enumerate(RETRY_PROPERTIES, 2):
        setattr(options, name, number)

    assert [getattr(options, name) for name in RETRY_PROPERTIES] == [2, 3, 4, 5, 6]
    assert options.to_json() == {
        "firstRetryIntervalInMilliseconds": 2,
        "maxNumberOfAttempts": 3,
        "backoffCoefficient": 4,
        "maxRetryIntervalInMilliseconds": 5,
        "retryTimeoutInMilliseconds": 6,
    }


def test_only_what_is_set_is_written():
    assert df.RetryOptions(5000, 3).to_json() == {"firstRetryIntervalInMilliseconds": 5000, "maxNumberOfAttempts": 3}


@pytest.mark.parametrize("name", RETRY_PROPERTIES)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_retry_values_that_can_never_work_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        setattr(df.RetryOptions(1, 1), name, value)


def test_retry_values_are_numbers():
    with pytest.raises(TypeError, match="first_retry_interval"):
        df.RetryOptions("5000", 3)


def test_the_policy_waits_six_days_at_most_unless_said():
    policy = policy_of(df.RetryOptions(1500, 4, backoff_coefficient=2.0))
    assert (policy.first_interval, policy.max_attempts) == (timedelta(milliseconds=1500), 4)
    assert (policy.backoff_coefficient, policy.max_interval, policy.retry_timeout) == (2.0, timedelta(days=6), None)

    policy = policy_of(df.RetryOptions(1, 1, max_retry_interval_in_milliseconds=10, retry_timeout_in_milliseconds=20))
    assert (policy.max_interval, policy.retry_timeout) == (timedelta(milliseconds=10), timedelta(milliseconds=20))


def test_entity_ids_keep_their_case_and_compare_names_without_it():
    entity_id = df.EntityId("Counter", "myKey")

    assert (entity_id.name, entity_id.key) == ("Counter", "myKey")
    assert str(entity_id) == df.EntityId.get_scheduler_id(entity_id) == "@counter@myKey"
    assert df.EntityId.get_entity_id_url_path(entity_id) == "entities/Counter/myKey"
    assert entity_id == df.EntityId("COUNTER", "myKey")
    assert entity_id != df.EntityId("Counter", "MYKEY")
    assert entity_id != "@counter@myKey"
    assert len({entity_id, df.EntityId("counter", "myKey")}) == 1


def test_scheduler_ids_split_at_the_second_at_sign():
    entity_id = df.EntityId.get_entity_id("@mailbox@ann@example.org")

    assert (entity_id.name, entity_id.key) == ("mailbox", "ann@example.org")


@pytest.mark.parametrize("text", ["", "counter", "@counter", "counter@key", "@@key", "@counter@"])
def test_broken_scheduler_ids_are_refused(text):
    with pytest.raises(ValueError, match=r"name|key|expected"):
        df.EntityId.get_entity_id(text)


@pytest.mark.parametrize(("name", "key"), [("", "k"), ("n", ""), (None, "k"), ("a@b", "k")])
def test_entity_ids_without_a_name_or_key_are_refused(name, key):
    with pytest.raises(ValueError, match=r"name|key"):
        df.EntityId(name, key)


@pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b", "a\0b", "\ud800", "k" * 257])
def test_keys_no_store_can_hold_are_refused_where_they_are_used(key):
    with pytest.raises(ValueError, match="entity key"):
        address_of(df.EntityId("counter", key))
    with pytest.raises(ValueError, match="entity id"):
        address_of(None)


STATUS = {
    "name": "flow",
    "instanceId": "i1",
    "createdTime": "2026-02-03T04:05:06Z",
    "lastUpdatedTime": "2026-02-03T04:05:07.1234567Z",
    "input": {"a": 1},
    "output": [1],
    "runtimeStatus": "Completed",
    "customStatus": "fine",
    "historyEvents": [{"EventType": "ExecutionStarted"}],
    "parentInstanceId": "p1",
}


def test_a_status_reads_and_writes_the_wire_names():
    status = df.DurableOrchestrationStatus.from_json(STATUS)

    assert status
    assert (status.name, status.instance_id, status.output, status.custom_status) == ("flow", "i1", [1], "fine")
    assert status.input == status.input_ == {"a": 1}
    assert status.created_time == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert status.last_updated_time == datetime(2026, 2, 3, 4, 5, 7, 123456, UTC)
    assert status.runtime_status is df.OrchestrationRuntimeStatus.Completed
    assert status.history == [{"EventType": "ExecutionStarted"}]
    assert status.parentInstanceId == "p1"
    assert status.to_json() == {
        "name": "flow",
        "instanceId": "i1",
        "createdTime": "2026-02-03T04:05:06.000000Z",
        "lastUpdatedTime": "2026-02-03T04:05:07.123456Z",
        "output": [1],
        "input": {"a": 1},
        "runtimeStatus": "Completed",
        "customStatus": "fine",
        "history": [{"EventType": "ExecutionStarted"}],
    }


def test_the_status_of_no_instance_is_false_and_can_be_written():
    status = df.DurableOrchestrationStatus()

    assert not status
    assert status.runtime_status is None
    assert "createdTime" not in status.to_json()
    assert "runtimeStatus" not in status.to_json()


def test_a_text_answer_gives_a_false_status_with_the_message():
    status = df.DurableOrchestrationStatus.from_json("something went wrong")

    assert not status
    assert status.message == "something went wrong"


def test_an_unknown_status_is_refused():
    with pytest.raises(ValueError, match="Sleeping"):
        df.DurableOrchestrationStatus.from_json({**STATUS, "runtimeStatus": "Sleeping"})


def test_times_are_aware_utc_whatever_they_were():
    offset = timezone(timedelta(hours=2))
    status = df.DurableOrchestrationStatus(
        createdTime=datetime(2026, 1, 1), lastUpdatedTime=datetime(2026, 1, 1, 2, tzinfo=offset)
    )

    assert status.created_time == status.last_updated_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert status.last_updated_time.tzinfo is UTC


def test_runtime_statuses_are_named_as_documented():
    assert [status.name for status in df.OrchestrationRuntimeStatus] == [
        "Running", "Completed", "ContinuedAsNew", "Failed", "Canceled", "Terminated", "Pending", "Suspended",
    ]  # fmt: skip
    assert df.OrchestrationRuntimeStatus("Failed").value == "Failed"


def test_purge_and_entity_answers():
    assert df.PurgeHistoryResult.from_json({"instancesDeleted": 3}).instances_deleted == 3
    assert (df.EntityStateResponse(True, 5).entity_exists, df.EntityStateResponse(True, 5).entity_state) == (True, 5)


def test_constants():
    assert constants.DEFAULT_LOCAL_ORIGIN == "http://localhost:7071"
    assert constants.DATETIME_STRING_FORMAT == "%Y-%m-%dT%H:%M:%S.%fZ"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models", "TaskBase"),
        ("models", "DurableOrchestrationBindings"),
        ("models", "DurableOrchestrationClient"),
        ("models", "DurableOrchestrationContext"),
        ("models", "DurableEntityContext"),
        ("models", "OrchestrationRuntimeStatus"),
        ("models", "PurgeHistoryResult"),
        ("models", "RetryOptions"),
        ("models.DurableOrchestrationStatus", "DurableOrchestrationStatus"),
        ("models.DurableOrchestrationClient", "DurableOrchestrationClient"),
        ("models.DurableOrchestrationContext", "DurableOrchestrationContext"),
        ("models.DurableOrchestrationBindings", "DurableOrchestrationBindings"),
        ("models.DurableEntityContext", "DurableEntityContext"),
        ("models.EntityStateResponse", "EntityStateResponse"),
        ("models.OrchestrationRuntimeStatus", "OrchestrationRuntimeStatus"),
        ("models.PurgeHistoryResult", "PurgeHistoryResult"),
        ("models.RetryOptions", "RetryOptions"),
        ("models.Task", "TaskBase"),
        ("models.utils.entity_utils", "EntityId"),
        ("decorators", "DFApp"),
        ("decorators.durable_app", "Blueprint"),
        ("decorators.metadata", "OrchestrationTrigger"),
        ("constants", "ORCHESTRATION_TRIGGER"),
    ],
)
def test_old_import_paths_lead_to_the_same_things(path, name):
    module = importlib.import_module(f"azure.durable_functions.{path}")
    found = getattr(module, name)

    assert not isinstance(found, type(module)), "a module hides the class of its name"
    if hasattr(df, name):
        assert found is getattr(df, name)


def test_every_exported_name_is_there():
    for name in df.__all__:
        assert getattr(df, name) is not None
    assert df.EntityContext is df.DurableEntityContext
