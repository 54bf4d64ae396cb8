"""Entity batches and their results: to workers and back, ours and others'."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.contracts.executor import EntityTurn
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.registry import EntitySignal, EntityStart, Operation, OperationOutcome
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.entities import BAD_ACTION, entity_item, read_batch_result
from perdure.formats.protobuf.entities_read import EntityBatch, read_batch
from perdure.formats.protobuf.entities_written import write_batch_result
from support.struct_strategies import TEXT

COUNTER = EntityId("counter", "A")
GUID = "2b6d3a5e-7c0f-4a53-9a65-0c1f2d3e4f50"
T0 = datetime(2026, 1, 1, tzinfo=UTC)
FAILURE = FailureDetails("ValueError", "broken", "stack", is_non_retriable=True)


def text(value: str) -> pb.StringValue:
    return pb.StringValue(value=value)


def turn_of(*operations: Operation, state: str | None = "1") -> EntityTurn:
    return EntityTurn(COUNTER, state, list(operations))


CALL = Operation("add", "5", is_signal=False, request_id=GUID, caller="order-1", caller_execution="e-1")
SIGNAL = Operation("reset", None, is_signal=True)


def test_an_item_holds_state_and_operations_in_order() -> None:
    item = pb.WorkItem.FromString(entity_item(COUNTER, "1", [CALL, SIGNAL], token="t-1"))
    assert item.completionToken == "t-1"
    request = item.entityRequestV2
    assert request.instanceId == "@counter@A"
    assert request.executionId
    assert request.entityState == text("1")
    called, signaled = request.operationRequests
    assert called.eventId == signaled.eventId == -1
    assert called.HasField("timestamp")
    assert signaled.HasField("timestamp")
    assert called.entityOperationCalled == pb.EntityOperationCalledEvent(
        requestId=GUID, operation="add", input=text("5"), parentInstanceId=text("order-1"),
        parentExecutionId=text("e-1"), targetInstanceId=text("@counter@A"),
    )  # fmt: skip
    assert signaled.entityOperationSignaled.operation == "reset"
    assert not signaled.entityOperationSignaled.HasField("input")
    assert signaled.entityOperationSignaled.targetInstanceId == text("@counter@A")


def test_every_request_id_is_a_guid_and_none_is_there_twice() -> None:
    operations = [CALL, SIGNAL, SIGNAL, Operation("add", None, is_signal=True, request_id="mine")]
    item = pb.WorkItem.FromString(entity_item(COUNTER, None, operations, token="t-1"))
    assert not item.entityRequestV2.HasField("entityState")
    ids = [operation.request_id for operation in read_batch(item).operations]
    assert len({str(uuid.UUID(request_id)) for request_id in ids}) == 4
    assert ids[0] == GUID


OPERATIONS = st.one_of(
    st.builds(Operation, TEXT, st.none() | TEXT, is_signal=st.just(True), request_id=st.just(GUID)),
    st.builds(
        Operation, TEXT, st.none() | TEXT, is_signal=st.just(False), request_id=st.just(GUID),
        caller=TEXT, caller_execution=st.none() | TEXT,
    ),
)  # fmt: skip


@given(operations=st.lists(OPERATIONS, max_size=4).map(tuple), state=st.none() | TEXT.filter(bool))
def test_batches_come_back(operations: tuple[Operation, ...], state: str | None) -> None:
    item = pb.WorkItem.FromString(entity_item(COUNTER, state, operations, token="t-1"))
    assert read_batch(item) == EntityBatch("@counter@A", state, operations, names_requests=True)


def test_batches_of_older_servers_are_read() -> None:
    legacy = pb.EntityBatchRequest(
        instanceId="@counter@A",
        entityState=text(""),
        operations=[pb.OperationRequest(operation="add", requestId="r-1", input=text("5"))],
    )
    batch = read_batch(pb.WorkItem(entityRequest=legacy))
    operations = (Operation("add", "5", is_signal=False, request_id="r-1"),)
    assert batch == EntityBatch("@counter@A", None, operations, names_requests=False)
    answer = write_batch_result(batch, [OperationOutcome("6", "6")], "t-1")
    assert not answer.operationInfos
    with pytest.raises(ValueError, match="healthPing has no entity operations"):
        read_batch(pb.WorkItem(healthPing=pb.HealthPing()))


def test_locks_among_the_operations_are_left_to_the_server() -> None:
    lock = pb.HistoryEvent(entityLockRequested=pb.EntityLockRequestedEvent(criticalSectionId="s"))
    assert read_batch(pb.WorkItem(entityRequestV2=pb.EntityRequest(operationRequests=[lock]))).operations == ()


def test_outcomes_come_back_with_the_state_after_the_last() -> None:
    signal = EntitySignal("@log@all", "write", "1", T0, trace_context="x")
    start = EntityStart("order", "order-9", "e-9", '"in"', "2.0", T0, "x")
    batch = EntityBatch("@counter@A", "1", (CALL, SIGNAL, CALL), names_requests=True)
    outcomes = [
        OperationOutcome("6", "", (signal,)),
        OperationOutcome("6", failure=FAILURE),
        OperationOutcome("7", None, starts=(start,)),
    ]
    answer = write_batch_result(batch, outcomes, "t-1")
    assert [action.id for action in answer.actions] == [0, 1]
    assert [info.requestId for info in answer.operationInfos] == [GUID, "", GUID]
    assert answer.operationInfos[0].responseDestination.executionId == text("e-1")
    assert not answer.operationInfos[1].HasField("responseDestination")
    parsed = pb.EntityBatchResult.FromString(answer.SerializeToString())
    first, second, last = read_batch_result(parsed, turn_of(CALL, SIGNAL, CALL))
    assert (first.state, first.result, first.failure) == ("7", "", None)
    assert second.failure == FAILURE
    assert (last.state, last.result) == ("7", None)
    assert last.signals == (signal,)
    (read_start,) = last.starts
    assert uuid.UUID(read_start.execution_id)
    assert (read_start.name, read_start.instance_id, read_start.input) == ("order", "order-9", '"in"')
    assert (read_start.version, read_start.scheduled_start_at, read_start.trace_context) == ("2.0", T0, "x")


@pytest.mark.parametrize("state", [None, text("")])
def test_a_state_that_is_absent_or_empty_is_none(state: pb.StringValue | None) -> None:
    answer = pb.EntityBatchResult(results=[pb.OperationResult(success=pb.OperationResultSuccess())], entityState=state)
    assert read_batch_result(answer, turn_of(CALL)) == [OperationOutcome(None)]


def test_fewer_results_are_fewer_outcomes() -> None:
    done = pb.OperationResult(success=pb.OperationResultSuccess(result=text("6")))
    answer = pb.EntityBatchResult(results=[done], entityState=text("6"))
    assert read_batch_result(answer, turn_of(CALL, CALL)) == [OperationOutcome("6", "6")]


def test_a_failure_without_texts_is_a_failure_and_silence_is_one_too() -> None:
    empty = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=pb.TaskFailureDetails()))
    answer = pb.EntityBatchResult(results=[empty, pb.OperationResult()], entityState=text("1"))
    failed, silent = read_batch_result(answer, turn_of(CALL, CALL))
    assert failed.failure == FailureDetails("", "")
    assert silent.failure is not None
    assert "did not say how the operation went" in silent.failure.message


def test_starts_without_an_id_get_one_that_the_same_answer_gets_again() -> None:
    start = pb.OperationAction(startNewOrchestration=pb.StartNewOrchestrationAction(name="order"))
    done = pb.OperationResult(success=pb.OperationResultSuccess())
    answer = pb.EntityBatchResult(results=[done], actions=[start, start], completionToken="t-1")
    (outcome,) = read_batch_result(answer, turn_of(CALL))
    one, other = outcome.starts
    assert one.instance_id != other.instance_id
    assert len(one.instance_id) == 32
    assert read_batch_result(answer, turn_of(CALL)) == [outcome]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "is of no kind that this server knows"),
        ({"sendSignal": pb.SendSignalAction(instanceId="order-1", name="go")}, "'order-1' is not an entity id"),
        ({"startNewOrchestration": pb.StartNewOrchestrationAction()}, "has no name"),
    ],
)
def test_what_cannot_be_carried_out_fails_the_batch_and_leaves_the_state(fields: dict[str, Any], said: str) -> None:
    done = pb.OperationResult(success=pb.OperationResultSuccess(result=text("6")))
    answer = pb.EntityBatchResult(
        results=[done, done], entityState=text("7"), actions=[pb.OperationAction(id=1, **fields)]
    )
    outcomes = read_batch_result(answer, turn_of(CALL, CALL, state="1"))
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert outcome.state == "1"
        assert outcome.failure is not None
        assert outcome.failure.error_type == BAD_ACTION
        assert said in outcome.failure.message
