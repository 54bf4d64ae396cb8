"""Large payloads of work items and answers: brought in from a payload store, and sent out to it."""

from typing import Any, Protocol

from durabletask.payload import PayloadStore, PayloadTooLarge, deexternalize_payloads, externalize_payloads
from perdure.core.failures import FailureDetails
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.failures import write_failure


class PayloadTransfer(Protocol):
    """What happens to payloads on the way. Both methods may block, and raise what the store raises."""

    moves: bool
    """Whether they do anything."""

    def brought_in(self, item: pb.WorkItem) -> pb.WorkItem:
        """The item with all payloads in it."""
        ...

    def sent_out(self, answer: Any) -> Any:
        """The answer with large payloads stored elsewhere."""
        ...


class NoTransfer:
    """Payloads stay in their messages."""

    moves = False

    def brought_in(self, item: pb.WorkItem) -> pb.WorkItem:
        """The item itself."""
        return item

    def sent_out(self, answer: Any) -> Any:
        """The answer itself."""
        return answer


class StoreTransfer:
    """Payloads beyond the store's threshold are kept there."""

    moves = True

    def __init__(self, store: PayloadStore) -> None:
        self._store = store

    def brought_in(self, item: pb.WorkItem) -> pb.WorkItem:
        """The same item; tokens of this store are replaced in it."""
        deexternalize_payloads(item, self._store)
        return item

    def sent_out(self, answer: Any) -> Any:
        """The same answer; its instance is named to the store.

        What the store does not take is the failure of its activity or orchestration. Raises PayloadTooLarge for
        entities, which only the batch can roll back.
        """
        try:
            externalize_payloads(answer, self._store, instance_id=getattr(answer, "instanceId", None) or None)
        except PayloadTooLarge as error:
            _refuse(answer, error)
        return answer


def too_large(error: Exception) -> FailureDetails:
    """The failure of what is larger than the store takes; to try it again would not help."""
    return FailureDetails("durabletask.payload.PayloadTooLarge", str(error), is_non_retriable=True)


def _refuse(answer: Any, error: Exception) -> None:
    """Make the answer one that tells the failure."""
    failure = write_failure(too_large(error))
    if isinstance(answer, pb.ActivityResponse):
        answer.ClearField("result")
        answer.failureDetails.CopyFrom(failure)
    elif isinstance(answer, pb.OrchestratorResponse):
        answer.ClearField("actions")
        answer.ClearField("customStatus")
        completion = answer.actions.add(id=-1).completeOrchestration
        completion.orchestrationStatus = pb.ORCHESTRATION_STATUS_FAILED
        completion.failureDetails.CopyFrom(failure)
    else:
        raise error
