"""Large payloads of work items and answers: brought in from a payload store, and sent out to it."""

from typing import TYPE_CHECKING, Any, Protocol

from perdure.formats.protobuf import messages as pb

if TYPE_CHECKING:
    from durabletask.payload import PayloadStore


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

    def __init__(self, store: "PayloadStore") -> None:
        self._store = store

    def brought_in(self, item: pb.WorkItem) -> pb.WorkItem:
        """The same item; tokens of this store are replaced in it."""
        from durabletask.payload import deexternalize_payloads

        deexternalize_payloads(item, self._store)
        return item

    def sent_out(self, answer: Any) -> Any:
        """The same answer; its instance is named to the store."""
        from durabletask.payload import externalize_payloads

        externalize_payloads(answer, self._store, instance_id=getattr(answer, "instanceId", None) or None)
        return answer
