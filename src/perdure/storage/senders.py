"""Who waits for a message without a row to be durable or consumed, and what is just being created."""

import asyncio
from collections.abc import Collection, Iterable

from perdure.contracts.errors import Overloaded
from perdure.core.checkpoint import Creation
from perdure.core.messages import Envelope
from perdure.storage.claims import Claims


class Arrival:
    """A message without a row, and its sender's await: whether it came true, which for a creation may be no."""

    __slots__ = ("creation", "envelope", "saved", "size")

    def __init__(self, envelope: Envelope, creation: Creation | None, saved: asyncio.Future[bool]) -> None:
        self.envelope = envelope
        self.creation = creation
        self.saved = saved
        self.size = payload_size(envelope)


def payload_size(envelope: Envelope) -> int:
    """About how many characters of payload a message holds."""
    payload = getattr(envelope.message, "input", None)
    return 0 if payload is None else len(payload)


class Senders:
    """Messages of this process without a row, bounded in number and size; and creations not consumed yet."""

    def __init__(self, waiting_max: int, waiting_bytes_max: int) -> None:
        self.unsaved: dict[int, Creation] = {}
        """Identity of a start envelope → the creation that has no row yet."""
        self.claims = Claims()
        self._waiting_max = waiting_max
        self._waiting_bytes_max = waiting_bytes_max
        self._waiting_bytes = 0
        self._arrivals: dict[int, Arrival] = {}
        self._created: dict[int, Creation] = {}

    def await_saving(self, envelope: Envelope, creation: Creation | None) -> asyncio.Future[bool]:
        """Note a message without a row; the future ends when it is durable or consumed. Raises Overloaded."""
        if len(self._arrivals) >= self._waiting_max or self._waiting_bytes >= self._waiting_bytes_max:
            raise Overloaded(
                f"{len(self._arrivals)} messages with {self._waiting_bytes} characters wait to be stored; try again."
            )
        arrival = Arrival(envelope, creation, asyncio.get_running_loop().create_future())
        self._waiting_bytes += arrival.size
        self._arrivals[id(envelope)] = arrival
        if creation is not None:
            self.unsaved[id(envelope)] = creation
        return arrival.saved

    def remember(self, creation: Creation) -> None:
        """Keep a committed creation until its start is consumed."""
        self._created[id(creation.start)] = creation

    def forget_created(self) -> None:
        """Nobody here will consume the starts of committed creations."""
        self._created.clear()

    def creation_of(self, start: Envelope) -> Creation | None:
        """The creation of this start, until it is consumed."""
        made = self.unsaved.get(id(start))
        return self._created.get(id(start)) if made is None else made

    def settle(self, envelopes: Iterable[Envelope]) -> None:
        """These are durable or consumed: end their senders' awaits."""
        arrivals = self._arrivals
        created = self._created
        if not arrivals and not created:
            return
        for envelope in envelopes:
            key = id(envelope)
            if (arrival := arrivals.pop(key, None)) is not None:
                self._forget(key, arrival, made=True)
                if not arrival.saved.done():
                    arrival.saved.set_result(True)
            elif created:
                created.pop(key, None)

    def refuse(self, instance_ids: Collection[str]) -> None:
        """Creations of these ids did not come true: others have them."""
        refused = [key for key, made in self.unsaved.items() if made.start.target in instance_ids]
        for key in refused:
            arrival = self._arrivals.pop(key)
            self._forget(key, arrival, made=False)
            if not arrival.saved.done():
                arrival.saved.set_result(False)

    def undecided(self) -> list[Arrival]:
        """Messages without a row, queued or handed out, in the order in which they came."""
        return list(self._arrivals.values())

    def is_undecided(self, arrival: Arrival) -> bool:
        """Whether it is neither durable nor consumed nor refused."""
        return self._arrivals.get(id(arrival.envelope)) is arrival

    def fail(self, error: BaseException) -> None:
        """End all senders' awaits with this error."""
        self.claims.fail(error)
        self.fail_these(self.undecided(), error)

    def fail_these(self, arrivals: Iterable[Arrival], error: BaseException) -> None:
        """End the awaits of these senders, those that are not ended yet, with this error."""
        for arrival in arrivals:
            if self.is_undecided(arrival):
                key = id(arrival.envelope)
                del self._arrivals[key]
                self._forget(key, arrival, made=False)
                if not arrival.saved.done():
                    arrival.saved.set_exception(error)

    def _forget(self, key: int, arrival: Arrival, *, made: bool) -> None:
        self._waiting_bytes -= arrival.size
        if arrival.creation is not None:
            del self.unsaved[key]
            self.claims.release(arrival.envelope.target, made=made)
