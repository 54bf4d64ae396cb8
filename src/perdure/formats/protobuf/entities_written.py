"""The outcomes of a batch of entity operations → the answer that a worker sends."""

from collections.abc import Sequence

from perdure.core.registry import EntitySignal, EntityStart, Operation, OperationOutcome
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.entities_read import EntityBatch
from perdure.formats.protobuf.failures import write_failure
from perdure.formats.protobuf.times import write_time
from perdure.formats.protobuf.traces import write_trace


def write_batch_result(batch: EntityBatch, outcomes: Sequence[OperationOutcome], token: str) -> pb.EntityBatchResult:
    """One result per outcome; what failed operations sent is expected to be gone already (``run_batch``)."""
    answer = pb.EntityBatchResult(completionToken=token)
    state = outcomes[-1].state if outcomes else batch.state
    if state is not None:
        answer.entityState.value = state
        answer.entityState.SetInParent()
    for outcome in outcomes:
        _write_result(answer.results.add(), outcome)
        for signal in outcome.signals:
            _write_signal(answer.actions.add(id=len(answer.actions)).sendSignal, signal)
        for start in outcome.starts:
            _write_start(answer.actions.add(id=len(answer.actions)).startNewOrchestration, start)
    if batch.names_requests:
        for operation, _ in zip(batch.operations, outcomes, strict=False):
            _write_info(answer.operationInfos.add(), operation)
    return answer


def _write_result(result: pb.OperationResult, outcome: OperationOutcome) -> None:
    if outcome.failure is not None:
        result.failure.failureDetails.CopyFrom(write_failure(outcome.failure))
        return
    result.success.SetInParent()
    if outcome.result is not None:
        result.success.result.value = outcome.result
        result.success.result.SetInParent()


def _write_info(info: pb.OperationInfo, operation: Operation) -> None:
    info.requestId = operation.request_id or ""
    if operation.caller is not None:
        info.responseDestination.instanceId = operation.caller
        if operation.caller_execution is not None:
            info.responseDestination.executionId.value = operation.caller_execution
            info.responseDestination.executionId.SetInParent()


def _write_signal(action: pb.SendSignalAction, signal: EntitySignal) -> None:
    action.instanceId = signal.entity_id
    action.name = signal.operation
    if signal.input is not None:
        action.input.value = signal.input
        action.input.SetInParent()
    if signal.due_at is not None:
        action.scheduledTime.CopyFrom(write_time(signal.due_at))
    if signal.trace_context is not None:
        action.parentTraceContext.CopyFrom(write_trace(signal.trace_context))


def _write_start(action: pb.StartNewOrchestrationAction, start: EntityStart) -> None:
    action.instanceId = start.instance_id
    action.name = start.name
    for field, value in (("input", start.input), ("version", start.version)):
        if value is not None:
            wrapper: pb.StringValue = getattr(action, field)
            wrapper.value = value
            wrapper.SetInParent()
    if start.scheduled_start_at is not None:
        action.scheduledTime.CopyFrom(write_time(start.scheduled_start_at))
    if start.trace_context is not None:
        action.parentTraceContext.CopyFrom(write_trace(start.trace_context))
