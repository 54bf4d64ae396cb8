"""Items that fit: what is sent to a worker, in the form and size that this worker takes."""

from perdure.contracts.executor import EntityTurn, OrchestrationTurn
from perdure.core.failures import FailureDetails
from perdure.core.registry import Operation
from perdure.execution.remote_items import ItemFormat, PastForm, RemoteOptions, TurnToSend, Work
from perdure.execution.remote_leases import Lease
from perdure.execution.remote_sessions import session_of


class TooLarge(Exception):
    """No worker takes a message of this size; the text names what it is, its size and the limit."""


class NeedsPastAsked(Exception):
    """Only a worker that asks for the past can take the turn."""


class ItemWriter:
    """Encodes what a lease is about."""

    def __init__(self, item_format: ItemFormat, options: RemoteOptions) -> None:
        self._format = item_format
        self._options = options

    def write(self, lease: Lease) -> bytes:
        """The item. Raises TooLarge, NeedsPastAsked, and ValueError for what cannot be encoded."""
        subject = lease.work.subject
        if isinstance(subject, OrchestrationTurn):
            return self._turn(lease, subject)
        if isinstance(subject, EntityTurn):
            return self._batch(lease, subject)
        item = self._format.activity(lease.token, subject)
        if len(item) > self._options.item_bytes_max:
            raise TooLarge(self._excess(f"The input of activity '{subject.name}'", len(item)))
        return item

    def too_large_history(self, work: Work) -> FailureDetails:
        """How an orchestration fails that no connected worker can take any more."""
        origin = session_of(work).origin
        text = (
            f"The history of orchestration '{origin.instance_id}' has grown to {session_of(work).past().size} bytes; "
            f"workers of '{origin.name}' take {self._options.item_bytes_max} in one message and none that is "
            "connected asks for it in parts (history streaming). Continue as new before it grows so large, or keep "
            "large data outside of inputs and results."
        )
        return FailureDetails("HistoryTooLarge", text, is_non_retriable=True)

    def _turn(self, lease: Lease, turn: OrchestrationTurn) -> bytes:
        session = session_of(lease.work)
        past = session.past()
        options, asks = self._options, lease.terms.asks_past
        sent = TurnToSend(session.origin, past, turn.events, session.span)
        if not asks or past.size <= options.streamed_past_bytes:
            lease.sent = len(turn.events) - 1
            if past.size <= options.stripped_past_bytes:
                item = self._format.turn(lease.token, sent, PastForm.WHOLE)
                if len(item) <= options.item_bytes_max:
                    return item
            if (item := self._first_events(lease, sent, PastForm.STRIPPED)) is not None:
                return item
        if (item := self._first_events(lease, sent, PastForm.ASKED_FOR)) is None:
            # It is not its history that is too large, and no other worker would take it either.
            size = len(self._format.turn(lease.token, _shortened(sent, 2), PastForm.ASKED_FOR))
            raise TooLarge(self._excess(f"What arrived for orchestration '{sent.origin.instance_id}'", size))
        if not asks:
            raise NeedsPastAsked
        lease.past = past
        return item

    def _first_events(self, lease: Lease, sent: TurnToSend, form: PastForm) -> bytes | None:
        """With as many of the turn's events as fit; None when not even one does. The others come again."""
        count = len(sent.events)
        while len(item := self._format.turn(lease.token, sent, form)) > self._options.item_bytes_max:
            if count <= 2:
                return None
            count = max(2, count // 2)
            sent = _shortened(sent, count)
        lease.sent = count - 1
        return item

    def _batch(self, lease: Lease, turn: EntityTurn) -> bytes:
        operations = turn.operations[: self._fitting(turn)]
        item = self._format.batch(lease.token, turn.entity, turn.state, operations)
        while len(item) > self._options.item_bytes_max:
            if len(operations) == 1:
                text = f"Operation '{operations[0].name}' of entity '{turn.entity}', with the entity's state,"
                raise TooLarge(self._excess(text, len(item)))
            operations = operations[: len(operations) // 2]
            item = self._format.batch(lease.token, turn.entity, turn.state, operations)
        lease.sent = len(operations)
        return item

    def _fitting(self, turn: EntityTurn) -> int:
        """How many of the operations go into one item; at least one."""
        left = self._options.entity_bytes_max - len(turn.state or "")
        for count, operation in enumerate(turn.operations[: self._options.entity_operations_max]):
            left -= _size(operation)
            if left < 0:
                return max(count, 1)
        return min(len(turn.operations), self._options.entity_operations_max)

    def _excess(self, what: str, size: int) -> str:
        limit = self._options.item_bytes_max
        return (
            f"{what} makes a message of {size} bytes; workers take at most {limit}. Keep large data elsewhere, "
            "or raise the limit of every worker and of the server (perdure serve --item-mib-max)."
        )


def _shortened(sent: TurnToSend, count: int) -> TurnToSend:
    return TurnToSend(sent.origin, sent.past, sent.events[:count], sent.span)


def _size(operation: Operation) -> int:
    return len(operation.name) + len(operation.input or "") + 200
