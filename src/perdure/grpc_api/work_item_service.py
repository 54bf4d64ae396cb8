"""What workers call: their stream of work items, and what they answer (grpc.md §5, §6).

One service per hub. An answer to a call means that what the worker sent is durable, or that it counts no more.
Calls raise DecodeError for bytes that are no message, Refused for nonsense and Unavailable for what was not stored.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from perdure.contracts.executor import EntityTurn
from perdure.contracts.records import PendingActivity
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import ItemKind
from perdure.execution.remote_leases import Lease
from perdure.execution.remote_sessions import session_of
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.actions import read_turn
from perdure.formats.protobuf.entities import read_batch_result
from perdure.formats.protobuf.failures import read_failure
from perdure.grpc_api.answer_parts import PartsOutOfOrder, joined_answer
from perdure.grpc_api.callers import CallingWorker, terms_of
from perdure.grpc_api.statuses import Code, Refused

EMPTY = b""
"""Every answer to a worker is an empty message."""

Unary = Callable[[bytes, Any], Awaitable[bytes]]
Streaming = Callable[[bytes, Any], Awaitable[None]]


class WorkItemService:
    """The calls of one hub's workers, each with the request's bytes and the call's context."""

    def __init__(self, executor: RemoteExecutor) -> None:
        self._executor = executor
        self.unary: dict[str, Unary] = {
            "Hello": self.hello,
            "CompleteOrchestratorTask": self.complete_turn,
            "CompleteActivityTask": self.complete_activity,
            "CompleteEntityTask": self.complete_batch,
            "AbandonTaskOrchestratorWorkItem": self.abandon_turn,
            "AbandonTaskActivityWorkItem": self.abandon_activity,
            "AbandonTaskEntityWorkItem": self.abandon_batch,
        }
        """Calls with one answer, by name."""
        self.streaming: dict[str, Streaming] = {"GetWorkItems": self.get_work_items}
        """Calls with a stream of answers, by name."""

    @property
    def executor(self) -> RemoteExecutor:
        """Where this hub's work is."""
        return self._executor

    async def hello(self, request: bytes, context: Any) -> bytes:
        """The server is here."""
        return EMPTY

    async def get_work_items(self, request: bytes, context: Any) -> None:
        """Write items to the worker for as long as it takes them."""
        stream = self._executor.connect(terms_of(pb.GetWorkItemsRequest.FromString(request), context))
        try:
            # The next item is chosen when the connection has taken the last: an unread stream gets no more.
            while (item := await self._executor.next_item(stream)) is not None:
                await context.write(item)
        finally:
            self._executor.disconnect(stream)

    async def stream_past(self, request: pb.StreamInstanceHistoryRequest, context: Any) -> None:
        """The past of a turn that a worker was given without it."""
        execution_id = request.executionId.value if request.HasField("executionId") else None
        past = self._executor.past_of(request.instanceId, execution_id)
        if past is None:
            text = f"No worker has a turn of orchestration '{request.instanceId}' whose history it is to ask for."
            raise Refused(Code.NOT_FOUND, text)
        for chunk in past.chunks():
            await context.write(chunk)

    async def complete_turn(self, request: bytes, context: Any) -> bytes:
        """A worker ran a turn."""
        answer = pb.OrchestratorResponse.FromString(request)
        lease = await self._lease_of(answer, ItemKind.ORCHESTRATION, context)
        if lease is None:
            return EMPTY
        try:
            whole = joined_answer(lease, answer, request, self._executor.options.partial_bytes_max)
        except PartsOutOfOrder as error:
            raise self._refused(lease, str(error)) from error
        if whole is None:
            return EMPTY
        if whole.requiresHistory:
            self._executor.give_back(lease)
            return EMPTY
        await self._executor.finish_turn(lease, read_turn(whole, known_span=session_of(lease.work).span))
        return EMPTY

    async def complete_activity(self, request: bytes, context: Any) -> bytes:
        """A worker ran an activity."""
        answer = pb.ActivityResponse.FromString(request)
        lease = await self._lease_of(answer, ItemKind.ACTIVITY, context, task_id=answer.taskId)
        if lease is None:
            return EMPTY
        result = answer.result.value if answer.HasField("result") else None
        failure = read_failure(answer.failureDetails) if answer.HasField("failureDetails") else None
        await self._executor.finish_activity(lease, result, failure)
        return EMPTY

    async def complete_batch(self, request: bytes, context: Any) -> bytes:
        """A worker ran operations of an entity."""
        answer = pb.EntityBatchResult.FromString(request)
        if not answer.completionToken:
            raise Refused(Code.INVALID_ARGUMENT, "The result of an entity batch has no completion token.")
        lease = await self._lease_of(answer, ItemKind.ENTITY, context)
        if lease is None:
            return EMPTY
        turn = lease.work.subject
        assert isinstance(turn, EntityTurn)
        if answer.requiresState or answer.HasField("failureDetails"):
            # Nothing of it counts; it comes again, the later the more often.
            self._executor.give_back(lease)
            return EMPTY
        if not answer.results or len(answer.results) > lease.sent:
            text = f"The batch of entity '{turn.entity}' has {lease.sent} operations, not {len(answer.results)}."
            raise self._refused(lease, text)
        await self._executor.finish_batch(lease, read_batch_result(answer, turn))
        return EMPTY

    async def abandon_turn(self, request: bytes, context: Any) -> bytes:
        """A worker gives a turn back."""
        token = pb.AbandonOrchestrationTaskRequest.FromString(request).completionToken
        return self._abandon(token, ItemKind.ORCHESTRATION, context)

    async def abandon_activity(self, request: bytes, context: Any) -> bytes:
        """A worker gives an activity back."""
        token = pb.AbandonActivityTaskRequest.FromString(request).completionToken
        return self._abandon(token, ItemKind.ACTIVITY, context)

    async def abandon_batch(self, request: bytes, context: Any) -> bytes:
        """A worker gives a batch back."""
        token = pb.AbandonEntityTaskRequest.FromString(request).completionToken
        return self._abandon(token, ItemKind.ENTITY, context)

    def _abandon(self, token: str, kind: ItemKind, context: Any) -> bytes:
        if token:
            lease = self._executor.lease_of(token, CallingWorker(context), kind=kind, instance_id="")
            if lease is not None:
                self._executor.give_back(lease)
        return EMPTY

    async def _lease_of(
        self,
        answer: pb.OrchestratorResponse | pb.ActivityResponse | pb.EntityBatchResult,
        kind: ItemKind,
        context: Any,
        task_id: int | None = None,
    ) -> Lease | None:
        """The item that is answered; None when there is nothing more to do about the answer."""
        instance_id = "" if isinstance(answer, pb.EntityBatchResult) else answer.instanceId
        token = answer.completionToken
        if not token and not instance_id:
            text = "The answer has neither a completion token nor an instance id: it belongs to no work item."
            raise Refused(Code.INVALID_ARGUMENT, text)
        if await self._executor.settled(token):
            return None
        lease = self._executor.lease_of(
            token, CallingWorker(context), kind=kind, instance_id=instance_id, task_id=task_id
        )
        if lease is None:
            return None
        if (wrong := _contradiction(lease, kind, instance_id, task_id)) is not None:
            raise self._refused(lease, wrong)
        return lease

    def _refused(self, lease: Lease, text: str) -> Refused:
        """The worker answered nonsense: the item goes to another one, and this one is told."""
        self._executor.give_back(lease)
        return Refused(Code.INVALID_ARGUMENT, text)


def _contradiction(lease: Lease, kind: ItemKind, instance_id: str, task_id: int | None) -> str | None:
    work = lease.work
    if work.lane.kind is not kind:
        return f"The token is that of an item of kind {work.lane.kind.name.lower()}, not {kind.name.lower()}."
    if instance_id and instance_id != work.instance_id:
        return f"The token is that of an item of instance '{work.instance_id}', not '{instance_id}'."
    if instance_id and isinstance(work.subject, PendingActivity) and task_id != work.subject.task_id:
        return f"The token is that of activity {work.subject.task_id} of '{instance_id}', not {task_id}."
    return None
