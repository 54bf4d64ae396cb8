"""Records → what clients are told; what clients ask for → filters."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure.contracts.records import InstanceFilter
from perdure.core.decisions import failed_output
from perdure.core.events import ParentLink
from perdure.core.failures import FailureDetails
from perdure.core.instance import InstanceKind, InstanceRecord, LockHolder, Origin, Progress
from perdure.core.status import TERMINAL, RuntimeStatus
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.instances import (
    read_entity_query,
    read_instance_query,
    read_purge_filter,
    write_entity,
    write_state,
)
from perdure.formats.protobuf.times import write_time

T0 = datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=UTC)
T1 = T0 + timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


def text(value: str) -> pb.StringValue:
    return pb.StringValue(value=value)


def record_of(status: RuntimeStatus = RuntimeStatus.Running, **progress: Any) -> InstanceRecord:
    origin = Origin("order-1", InstanceKind.ORCHESTRATION, "order", "e-1", T0)
    return InstanceRecord(origin, Progress(status, T1, **progress))


def test_every_field_is_filled() -> None:
    origin = Origin(
        "order-1", InstanceKind.ORCHESTRATION, "order", "e-1", T0, version="2.0", input='"in"',
        parent=ParentLink("boss", "e-0", 3, 3), scheduled_start_at=T1, tags={"a": "b"},
    )  # fmt: skip
    progress = Progress(RuntimeStatus.Completed, T1, custom_status='"half"', output='"out"', completed_at=T1)
    record = InstanceRecord(origin, progress)
    expected = pb.OrchestrationState(
        instanceId="order-1", name="order", version=text("2.0"),
        orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED, scheduledStartTimestamp=write_time(T1),
        createdTimestamp=write_time(T0), lastUpdatedTimestamp=write_time(T1), completedTimestamp=write_time(T1),
        input=text('"in"'), output=text('"out"'), customStatus=text('"half"'), executionId=text("e-1"),
        parentInstanceId=text("boss"), tags={"a": "b"},
    )  # fmt: skip
    assert write_state(record, with_payloads=True) == expected
    expected.ClearField("input")
    expected.ClearField("output")
    assert write_state(record, with_payloads=False) == expected


def test_what_is_not_there_is_absent() -> None:
    state = write_state(record_of(), with_payloads=True)
    assert {field.name for field, _ in state.ListFields()} == {
        "instanceId",
        "name",
        "createdTimestamp",
        "lastUpdatedTimestamp",
        "executionId",
    }


@pytest.mark.parametrize("status", RuntimeStatus)
def test_statuses_that_no_instance_has_for_clients_are_never_told(status: RuntimeStatus) -> None:
    shown = write_state(record_of(status), with_payloads=False).orchestrationStatus
    expected = {RuntimeStatus.Canceled: RuntimeStatus.Terminated, RuntimeStatus.ContinuedAsNew: RuntimeStatus.Running}
    assert shown == expected.get(status, status)


def test_a_failure_is_told_in_full_and_not_as_an_output_made_of_it() -> None:
    failure = FailureDetails("ValueError", "broken")
    made = write_state(
        record_of(RuntimeStatus.Failed, failure=failure, output=failed_output("order", failure)), with_payloads=True
    )
    assert not made.HasField("output")
    assert made.failureDetails == pb.TaskFailureDetails(errorType="ValueError", errorMessage="broken")
    own = write_state(record_of(RuntimeStatus.Failed, failure=failure, output='"own"'), with_payloads=True)
    assert own.output == text('"own"')
    nameless = write_state(record_of(RuntimeStatus.Failed, failure=FailureDetails("", "")), with_payloads=False)
    assert nameless.HasField("failureDetails")


def test_entities_are_told_with_their_lock_and_what_waits() -> None:
    origin = Origin("@counter@A", InstanceKind.ENTITY, "counter", "", T0)
    record = InstanceRecord(
        origin, Progress(RuntimeStatus.Running, T1, state="5", locked_by=LockHolder("order-1", "e-1", "s-1"))
    )
    expected = pb.EntityMetadata(
        instanceId="@counter@A", lastModifiedTime=write_time(T1), backlogQueueSize=3,
        lockedBy=text("order-1"), serializedState=text("5"),
    )  # fmt: skip
    assert write_entity(record, 3, with_state=True) == expected
    expected.ClearField("serializedState")
    assert write_entity(record, 3, with_state=False) == expected
    empty = InstanceRecord(origin, Progress(RuntimeStatus.Running, T1))
    assert not write_entity(empty, 0, with_state=True).HasField("serializedState")
    assert not write_entity(empty, 0, with_state=True).HasField("lockedBy")


def test_the_end_of_a_window_is_not_in_it() -> None:
    query = pb.InstanceQuery(
        createdTimeFrom=write_time(T0), createdTimeTo=write_time(T1), instanceIdPrefix=text("order-"),
        runtimeStatus=[pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_FAILED],
    )  # fmt: skip
    assert read_instance_query(query) == InstanceFilter(
        created_from=T0,
        created_to=T1 - MICROSECOND,
        statuses=frozenset({RuntimeStatus.Running, RuntimeStatus.Failed}),
        id_prefix="order-",
    )
    assert read_instance_query(pb.InstanceQuery(instanceIdPrefix=text(""))) == InstanceFilter()


def test_windows_finer_than_what_is_kept_hold_the_same_instances() -> None:
    stamp = write_time(T0)
    stamp.nanos += 100
    query = read_instance_query(pb.InstanceQuery(createdTimeFrom=stamp, createdTimeTo=stamp))
    assert (query.created_from, query.created_to) == (T0 + MICROSECOND, T0)
    first = pb.Timestamp(seconds=-62135596800)
    assert read_instance_query(pb.InstanceQuery(createdTimeTo=first)).created_to == datetime.min.replace(tzinfo=UTC)


def test_only_what_has_ended_is_purged() -> None:
    assert read_purge_filter(pb.PurgeInstanceFilter()).statuses == TERMINAL
    filter_ = pb.PurgeInstanceFilter(
        createdTimeFrom=write_time(T0),
        createdTimeTo=write_time(T1),
        runtimeStatus=[pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_FAILED],
    )
    assert read_purge_filter(filter_) == InstanceFilter(
        created_from=T0, created_to=T1 - MICROSECOND, statuses=frozenset({RuntimeStatus.Failed})
    )
    running = pb.PurgeInstanceFilter(runtimeStatus=[pb.ORCHESTRATION_STATUS_RUNNING])
    assert read_purge_filter(running).statuses == frozenset()


@pytest.mark.parametrize(
    ("prefix", "read"),
    [("@Counter@Ab", "@counter@Ab"), ("@Coun", "@coun"), ("Counter", "@counter"), ("@Counter@", "@counter@")],
)
def test_entities_are_asked_for_by_the_begin_of_their_id(prefix: str, read: str) -> None:
    query = pb.EntityQuery(instanceIdStartsWith=text(prefix), lastModifiedFrom=write_time(T0), includeTransient=True)
    assert read_entity_query(query) == InstanceFilter(kind=InstanceKind.ENTITY, updated_from=T0, id_prefix=read)
    windowed = read_entity_query(pb.EntityQuery(lastModifiedTo=write_time(T1)))
    assert windowed == InstanceFilter(
        kind=InstanceKind.ENTITY, updated_to=T1 - MICROSECOND, existing_entities_only=True
    )


def test_a_status_or_time_that_is_none_is_refused() -> None:
    bad: Any = [99]
    with pytest.raises(ValueError, match="No orchestration has such a status"):
        read_instance_query(pb.InstanceQuery(runtimeStatus=bad))
    with pytest.raises(ValueError, match="begin of the window"):
        read_instance_query(pb.InstanceQuery(createdTimeFrom=pb.Timestamp(seconds=2**60)))
