"""A worker of a server: items come in on a stream, run on threads, and are answered one by one."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from durabletask.grpc_options import GrpcWorkerResiliencyOptions
from durabletask.payload import PayloadTooLarge
from durabletask.working.activity_hooks import ActivityHooks
from durabletask.working.activity_items import Activities, ActivityEnd
from durabletask.working.calls import Headers, WorkerCalls
from durabletask.working.connection import Connection, OpenChannel
from durabletask.working.entity_items import Entities
from durabletask.working.functions import Definitions
from durabletask.working.options import ConcurrencyOptions, VersioningOptions, WorkItemFilters
from durabletask.working.orchestrator_items import Orchestrations, OrchestratorItem, Refused, Terminated
from durabletask.working.payload_transfer import PayloadTransfer, too_large
from durabletask.working.reports import Instead, Reports
from durabletask.working.rewinding import is_rewind, rewound_history
from durabletask.working.spans import WorkerSpans
from durabletask.working.start import WorkerStart
from durabletask.working.user_loop import UserLoop
from perdure.core.actions import Fail, TurnResult
from perdure.core.registry import ActivityCall, OperationOutcome
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.actions_written import Answered, write_turn
from perdure.formats.protobuf.entities_read import read_batch
from perdure.formats.protobuf.entities_written import write_batch_result
from perdure.formats.protobuf.events_read import read_history
from perdure.formats.protobuf.failures import write_failure
from perdure.formats.protobuf.traces import read_span, read_trace

HISTORY_STREAMING = 1
TURN_THREADS = 2
"""Orchestrators only decide; more threads would only take the interpreter from each other."""


@dataclass(frozen=True)
class GrpcTerms:
    """How a worker reaches its server, and what it says of itself."""

    open_channel: OpenChannel
    owns_channel: bool
    headers: Headers
    resiliency: GrpcWorkerResiliencyOptions
    concurrency: ConcurrencyOptions
    versioning: VersioningOptions
    filters: WorkItemFilters | None
    capabilities: Sequence[int]
    logger: logging.Logger
    payloads: PayloadTransfer
    hooks: ActivityHooks
    spans: WorkerSpans = field(default_factory=WorkerSpans)


class GrpcRuntime:
    """One start of a worker (``Runtime``)."""

    def __init__(self, terms: GrpcTerms, definitions: Definitions, user_loop: UserLoop) -> None:
        self._terms = terms
        self._logger = terms.logger
        self._user_loop = user_loop
        self._connection = Connection(
            terms.open_channel,
            owns_channel=terms.owns_channel,
            headers=terms.headers,
            options=terms.resiliency,
            logger=terms.logger,
        )
        self._reports = Reports(terms.logger)
        self._turns = ThreadPoolExecutor(TURN_THREADS, "durabletask-turn")
        self._threads = ThreadPoolExecutor(terms.concurrency.maximum_thread_pool_workers, "durabletask")
        self._describe = definitions.describe
        self._orchestrations = Orchestrations(definitions, terms.versioning)
        self._activities = Activities(definitions)
        self._entities = Entities(definitions)
        self._waiting: dict[object, tuple[Future[Any], Callable[[], None]]] = {}
        """Jobs that have perhaps not begun, each with what gives its item back."""
        self._lock = Lock()
        self._begins_no_more = False

    def begin(self, start: WorkerStart) -> None:
        """Connect, in a thread, and go on for ever. Raises what a channel says of its address."""
        self._connection.begin(self._request, self.take, start)

    def wait(self) -> None:
        """Wait until everything taken is answered."""
        self._reports.wait()

    def stop(self) -> None:
        """Close the stream, give back what has not begun, and let the rest end."""
        self._begins_no_more = True
        self._connection.stop()
        with self._lock:
            waiting = list(self._waiting.values())
        for job, give_back in waiting:
            if job.cancel():
                give_back()
        self.wait()
        self._turns.shutdown()
        self._threads.shutdown()
        self._user_loop.stop()
        self._connection.close()

    def _request(self) -> pb.GetWorkItemsRequest:
        concurrency = self._terms.concurrency
        request = pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=concurrency.maximum_concurrent_orchestration_work_items,
            maxConcurrentActivityWorkItems=concurrency.maximum_concurrent_activity_work_items,
            maxConcurrentEntityWorkItems=concurrency.maximum_concurrent_entity_work_items,
            capabilities=[HISTORY_STREAMING, *self._terms.capabilities],  # type: ignore[list-item]  # enums are numbers
        )
        filters = self._terms.filters
        if filters is not None:
            request.workItemFilters.SetInParent()
            written = request.workItemFilters
            written.orchestrations.extend(
                pb.OrchestrationFilter(name=f.name, versions=f.versions) for f in filters.orchestrations
            )
            written.activities.extend(pb.ActivityFilter(name=f.name, versions=f.versions) for f in filters.activities)
            written.entities.extend(pb.EntityFilter(name=f.name) for f in filters.entities)
        return request

    def take(self, item: pb.WorkItem, calls: WorkerCalls) -> None:
        """Run the item and answer by ``calls``; returns at once."""
        token = item.completionToken
        kind = item.WhichOneof("request")
        self._reports.took()
        if kind == "orchestratorRequest":
            self._answer(
                lambda: self._turn(item, calls),
                calls,
                on=self._turns,
                give_back=pb.AbandonOrchestrationTaskRequest(completionToken=token),
                refused=lambda error: _failed_turn(item, error),
            )
        elif kind == "activityRequest":
            self._take_activity(item, calls)
        elif kind in ("entityRequest", "entityRequestV2"):
            self._answer(
                lambda: self._batch(item),
                calls,
                on=self._threads,
                give_back=pb.AbandonEntityTaskRequest(completionToken=token),
                refused=lambda error: _failed_batch(item, error),
            )
        else:
            self._logger.warning("A work item of an unknown kind was left alone: %s.", kind)
            self._reports.put_down()

    def _answer(
        self,
        run: Callable[[], Any],
        calls: WorkerCalls,
        *,
        on: ThreadPoolExecutor,
        give_back: Any,
        refused: Instead,
    ) -> None:
        """Run the job and send what it gives; an error of ours gives the item back."""

        key = object()

        def job() -> None:
            with self._lock:
                self._waiting.pop(key, None)
            try:
                answer = self._terms.payloads.sent_out(run())
            except BaseException:  # an item that nobody answers would hold up the stop for ever
                self._logger.exception("A work item could not be run, and is given back.")
                answer = give_back
            self._reports.send(answer, calls, refused)

        with self._lock:
            # The job waits for the lock, so that it is not gone before it is here.
            future = Future[Any]() if self._begins_no_more else on.submit(job)
            self._waiting[key] = (future, lambda: self._reports.send(give_back, calls))

    def _turn(self, item: pb.WorkItem, calls: WorkerCalls) -> Any:
        request, token = item.orchestratorRequest, item.completionToken
        execution_id = request.executionId.value if request.HasField("executionId") else None
        if request.requiresHistoryStreaming:
            request.pastEvents.extend(calls.history(request.instanceId, execution_id))
        self._terms.payloads.brought_in(item)
        if is_rewind(request.newEvents):
            rewound = rewound_history(request)
            rewound.completionToken = token
            return rewound
        turn = Answered(request.instanceId, execution_id or "", token)
        try:
            past, new = read_history(request.pastEvents, request.newEvents)
        except ValueError as error:
            # Given back, it would only come again and again.
            return write_turn(TurnResult(ending=Fail(self._describe(error))), turn)
        taken = OrchestratorItem(request.instanceId, past, new)
        answer = self._orchestrations.run(taken)
        if isinstance(answer, Refused):
            self._logger.warning("'%s' is left to another worker: %s", request.instanceId, answer.why)
            return pb.AbandonOrchestrationTaskRequest(completionToken=token)
        answer, span = self._terms.spans.turn(taken, answer, read_span(request))
        ending = None if isinstance(answer.ending, Terminated) else answer.ending
        result = TurnResult(tuple(answer.actions), ending)
        response = write_turn(result, turn, custom_status=answer.custom_status, span=span)
        if isinstance(answer.ending, Terminated):
            completion = response.actions.add(id=-1).completeOrchestration
            completion.orchestrationStatus = pb.ORCHESTRATION_STATUS_TERMINATED
            if answer.ending.output is not None:
                completion.result.value = answer.ending.output
                completion.result.SetInParent()
        return response

    def _batch(self, item: pb.WorkItem) -> pb.EntityBatchResult:
        item = self._terms.payloads.brought_in(item)
        batch = read_batch(item)
        contexts = [read_trace(asked, "traceContext") for asked in item.entityRequest.operations]
        outcomes = self._entities.run(
            batch.instance_id,
            batch.state,
            batch.operations,
            lambda definition: self._terms.spans.entity(definition, contexts),
        )
        answer = write_batch_result(batch, outcomes, item.completionToken)
        if not self._terms.payloads.moves:
            return answer
        try:
            return self._terms.payloads.sent_out(answer)
        except PayloadTooLarge as error:
            # One of them is too large for the store, and those after it have built on it.
            return _failed_batch(item, error)

    def _take_activity(self, item: pb.WorkItem, calls: WorkerCalls) -> None:
        given_back = pb.AbandonActivityTaskRequest(completionToken=item.completionToken)
        if self._activities.is_async(item.activityRequest.name) and not self._begins_no_more:
            self._user_loop.submit(lambda: self._activity_on_loop(item, given_back, calls))
        else:
            self._answer(
                lambda: self._activity(item),
                calls,
                on=self._threads,
                give_back=given_back,
                refused=lambda error: _failed_activity(item, error),
            )

    def _activity(self, item: pb.WorkItem) -> pb.ActivityResponse:
        item = self._terms.payloads.brought_in(item)
        hooks, request = self._terms.hooks, item.activityRequest
        hooks.started(request)
        try:
            call = _call_of(request)
            with self._terms.spans.activity(call) as outcome:
                end = self._activities.run(call)
                outcome.error = None if end.failure is None else end.failure.message
            return _activity_answer(item, end)
        finally:
            hooks.completed(request)

    async def _activity_on_loop(self, item: pb.WorkItem, given_back: Any, calls: WorkerCalls) -> None:
        payloads, hooks = self._terms.payloads, self._terms.hooks
        answer: Any = given_back
        try:
            if payloads.moves:
                item = await asyncio.to_thread(payloads.brought_in, item)
            request = item.activityRequest
            hooks.started(request)
            try:
                call = _call_of(request)
                with self._terms.spans.activity(call) as outcome:
                    end = await self._activities.run_async(call)
                    outcome.error = None if end.failure is None else end.failure.message
                answer = _activity_answer(item, end)
            finally:
                hooks.completed(request)
            if payloads.moves:
                answer = await asyncio.to_thread(payloads.sent_out, answer)
        except Exception:
            self._logger.exception("A work item could not be run, and is given back.")
            answer = given_back
        finally:
            self._reports.send(answer, calls, lambda error: _failed_activity(item, error))


def _call_of(request: pb.ActivityRequest) -> ActivityCall:
    return ActivityCall(
        request.orchestrationInstance.instanceId,
        request.taskId,
        request.name,
        request.input.value if request.HasField("input") else None,
        version=request.version.value if request.HasField("version") else None,
        tags=dict(request.tags) or None,
        trace_context=read_trace(request),
    )


def _failed_turn(item: pb.WorkItem, error: Exception) -> pb.OrchestratorResponse:
    request = item.orchestratorRequest
    turn = Answered(request.instanceId, request.executionId.value, item.completionToken)
    return write_turn(TurnResult(ending=Fail(too_large(error))), turn)


def _failed_batch(item: pb.WorkItem, error: Exception) -> pb.EntityBatchResult:
    batch = read_batch(item)
    failed = OperationOutcome(batch.state, failure=too_large(error))
    return write_batch_result(batch, [failed for _ in batch.operations], item.completionToken)


def _failed_activity(item: pb.WorkItem, error: Exception) -> pb.ActivityResponse:
    return _activity_answer(item, ActivityEnd(failure=too_large(error)))


def _activity_answer(item: pb.WorkItem, end: ActivityEnd) -> pb.ActivityResponse:
    request = item.activityRequest
    response = pb.ActivityResponse(
        instanceId=request.orchestrationInstance.instanceId, taskId=request.taskId, completionToken=item.completionToken
    )
    if end.failure is not None:
        response.failureDetails.CopyFrom(write_failure(end.failure))
    elif end.result is not None:
        response.result.value = end.result
        response.result.SetInParent()
    return response
