"""What a gRPC worker answers to items that a real server would not send."""

import logging
from collections.abc import Callable
from typing import Any

from durabletask.grpc_options import GrpcWorkerResiliencyOptions
from durabletask.working.activity_hooks import ActivityHooks
from durabletask.working.functions import Functions, define
from durabletask.working.grpc_runtime import GrpcRuntime, GrpcTerms
from durabletask.working.options import ConcurrencyOptions, VersioningOptions
from durabletask.working.payload_transfer import NoTransfer
from durabletask.working.user_loop import UserLoop
from perdure.formats.protobuf import messages as pb


class Calls:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.answers: list[Any] = []

    def report(self, answer: Any) -> Any:
        self.answers.append(answer)
        return Arrived()


class Arrived:
    """A call that succeeded at once."""

    def add_done_callback(self, told: Callable[[Any], None]) -> None:
        told(self)

    def cancelled(self) -> bool:
        return False

    def exception(self) -> None:
        return None


def answer_to(item: pb.WorkItem, logger: logging.Logger) -> Any:
    user_loop = UserLoop()
    runtime = GrpcRuntime(
        GrpcTerms(
            open_channel=lambda: (_ for _ in ()).throw(AssertionError("nothing is connected")),
            owns_channel=True,
            headers=lambda: None,
            resiliency=GrpcWorkerResiliencyOptions(),
            concurrency=ConcurrencyOptions(),
            versioning=VersioningOptions(),
            filters=None,
            capabilities=(),
            logger=logger,
            payloads=NoTransfer(),
            hooks=ActivityHooks(),
        ),
        define(Functions()),
        user_loop,
    )
    calls = Calls()
    runtime.take(item, calls)  # type: ignore[arg-type]
    runtime.wait()
    runtime.stop()
    return calls.answers


def test_a_history_that_cannot_be_read_fails_its_orchestration() -> None:
    item = pb.WorkItem(completionToken="t")
    item.orchestratorRequest.instanceId = "i"
    item.orchestratorRequest.newEvents.add().historyState.SetInParent()
    [answer] = answer_to(item, logging.getLogger("test"))
    completion = answer.actions[0].completeOrchestration
    assert (answer.instanceId, answer.completionToken) == ("i", "t")
    assert completion.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    assert "historyState" in completion.failureDetails.errorMessage


def test_an_item_of_no_known_kind_is_left_alone(caplog: Any) -> None:
    logger = logging.getLogger("durabletask-test")
    assert answer_to(pb.WorkItem(completionToken="t"), logger) == []
    assert "unknown kind" in caplog.text


def test_a_batch_for_what_is_no_entity_is_given_back() -> None:
    item = pb.WorkItem(completionToken="t")
    item.entityRequestV2.instanceId = "no entity"
    [answer] = answer_to(item, logging.getLogger("test"))
    assert isinstance(answer, pb.AbandonEntityTaskRequest)
    assert answer.completionToken == "t"
