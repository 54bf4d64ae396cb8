"""The worker's half of the service over a blocking channel. Importing this imports gRPC."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS

Headers = Callable[[], Sequence[tuple[str, str]] | None]
"""Gives the metadata of a call; it may block while a token is fetched."""

_COMPLETIONS: dict[type, str] = {
    pb.OrchestratorResponse: "CompleteOrchestratorTask",
    pb.ActivityResponse: "CompleteActivityTask",
    pb.EntityBatchResult: "CompleteEntityTask",
    pb.AbandonOrchestrationTaskRequest: "AbandonTaskOrchestratorWorkItem",
    pb.AbandonActivityTaskRequest: "AbandonTaskActivityWorkItem",
    pb.AbandonEntityTaskRequest: "AbandonTaskEntityWorkItem",
}


class NoHeaders(Exception):
    """The metadata of a call could not be had; its cause says why."""


class WorkerCalls:
    """What a worker asks of a server. All methods may raise grpc.RpcError and NoHeaders.

    TypeError and ValueError: it cannot be asked so, now or later.
    """

    def __init__(self, channel: grpc.Channel, headers: Headers) -> None:
        self._said = headers
        self._hello = _method(channel, "Hello")
        self._work_items = _method(channel, "GetWorkItems")
        self._history = _method(channel, "StreamInstanceHistory")
        self._completions = {kind: _method(channel, name) for kind, name in _COMPLETIONS.items()}

    def hello(self, seconds: float) -> "grpc.Future":
        """Ask whether the server is there: the future tells, and can be cancelled from any thread."""
        return self._hello.future(pb.Empty(), timeout=seconds, metadata=self._headers())

    def work_items(self, request: pb.GetWorkItemsRequest) -> Any:
        """The stream: iterate over it, ``cancel`` it from any thread."""
        return self._work_items(request, metadata=self._headers())

    def history(self, instance_id: str, execution_id: str | None) -> Iterator[pb.HistoryEvent]:
        """The past of the work item in hand."""
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id, forWorkItemProcessing=True)
        if execution_id is not None:
            request.executionId.value = execution_id
        for chunk in self._history(request, metadata=self._headers()):
            yield from chunk.events

    def report(self, answer: Any) -> "grpc.Future":
        """Send a completion or an abandonment; the future tells whether it arrived."""
        return self._completions[type(answer)].future(answer, metadata=self._headers())

    def _headers(self) -> Sequence[tuple[str, str]] | None:
        try:
            return self._said()
        except TypeError:
            # A credential of the wrong kind gives no token the next time either.
            raise
        except Exception as error:
            raise NoHeaders(f"{type(error).__name__}: {error}") from error


def _method(channel: grpc.Channel, name: str) -> Any:
    rpc = RPCS[name]
    make = channel.unary_stream if rpc.answers_stream else channel.unary_unary
    return make(rpc.path, request_serializer=_serialized, response_deserializer=rpc.answer.FromString)


def _serialized(message: Any) -> bytes:
    return message.SerializeToString()
