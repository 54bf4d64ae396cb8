"""Messages on their way to the engine of this process, before and after they have a row (architecture.md J1)."""

import asyncio
from collections.abc import Iterable

from perdure.contracts.errors import LeaseLost, Overloaded
from perdure.contracts.records import Hold, PartitionLease
from perdure.core.checkpoint import Creation
from perdure.core.messages import Envelope
from perdure.storage.claims import Claims


class Arrival:
    """A message without a row, and its sender's await."""

    __slots__ = ("creation", "envelope", "saved", "size")

    def __init__(self, envelope: Envelope, creation: Creation | None, saved: asyncio.Future[None]) -> None:
        self.envelope = envelope
        self.creation = creation
        self.saved = saved
        self.size = payload_size(envelope)


def payload_size(envelope: Envelope) -> int:
    """About how many characters of payload a message holds."""
    payload = getattr(envelope.message, "input", None)
    return 0 if payload is None else len(payload)


class Arrivals:
    """The queue behind ``receive`` and the senders that wait for what it handed out."""

    def __init__(self, waiting_max: int, waiting_bytes_max: int) -> None:
        self.lease: PartitionLease | None = None
        self.unsaved: dict[int, Creation] = {}
        """Identity of a start envelope → the creation that has no row yet."""
        self.claims = Claims()
        self._waiting_max = waiting_max
        self._waiting_bytes_max = waiting_bytes_max
        self._waiting_bytes = 0
        self._queue: list[Envelope] = []
        self._arrivals: dict[int, Arrival] = {}
        self._created: dict[int, Creation] = {}
        self._wake: asyncio.Future[None] | None = None
        self._let_go: asyncio.Future[None] | None = None

    def check(self, hold: Hold) -> None:
        """Raise LeaseLost unless its only lease is the one in force."""
        leases, held = hold.leases, self.lease
        if held is None or leases.get(0) != held or len(leases) != 1:
            raise _lost(hold)

    def check_leases(self, leases: Iterable[PartitionLease]) -> None:
        """Raise LeaseLost unless they are in force."""
        for lease in leases:
            if lease != self.lease:
                raise _lost(Hold.of(lease))

    def hold(self, lease: PartitionLease) -> None:
        """From here on messages are handed out."""
        self.lease = lease

    def let_go(self) -> None:
        """Hand out nothing more; who waits in ``receive`` gets LeaseLost. Messages without a row stay known."""
        self.lease = None
        self._queue.clear()
        self._created.clear()
        self._wake_receiver()
        if self._let_go is not None:
            self._let_go.set_result(None)
            self._let_go = None

    async def until_let_go(self, hold: Hold) -> None:
        """Wait until this is not what is in force."""
        self.check(hold)
        if self._let_go is None:
            self._let_go = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._let_go)

    def admit(self, envelope: Envelope, creation: Creation | None) -> asyncio.Future[None]:
        """Queue a message without a row; the future ends when it is durable or consumed. Raises Overloaded."""
        if len(self._arrivals) >= self._waiting_max or self._waiting_bytes >= self._waiting_bytes_max:
            raise Overloaded(
                f"{len(self._arrivals)} messages with {self._waiting_bytes} characters wait to be stored; try again."
            )
        arrival = Arrival(envelope, creation, asyncio.get_running_loop().create_future())
        self._waiting_bytes += arrival.size
        self._arrivals[id(envelope)] = arrival
        if creation is not None:
            self.unsaved[id(envelope)] = creation
        self._queue.append(envelope)
        self._wake_receiver()
        return arrival.saved

    def deliver(self, envelopes: Iterable[Envelope]) -> None:
        """Queue messages that have a row, in this order."""
        self._queue.extend(envelopes)
        self._wake_receiver()

    def remember(self, creation: Creation) -> None:
        """Keep a committed creation until its start is consumed."""
        self._created[id(creation.start)] = creation

    def creation_of(self, start: Envelope) -> Creation | None:
        """The creation of this start, until it is consumed."""
        made = self.unsaved.get(id(start))
        return self._created.get(id(start)) if made is None else made

    def take(self, hold: Hold) -> list[Envelope]:
        """All that is queued. Raises LeaseLost."""
        self.check(hold)
        queue = self._queue
        if queue:
            self._queue = []
        return queue

    async def wait(self, hold: Hold) -> list[Envelope]:
        """As ``take``, at least one."""
        while not (taken := self.take(hold)):
            wake = self._wake = asyncio.get_running_loop().create_future()
            await wake
        return taken

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
                    arrival.saved.set_result(None)
            elif created:
                created.pop(key, None)

    def undecided(self) -> list[Arrival]:
        """Messages without a row, queued or handed out, in the order in which they came."""
        return list(self._arrivals.values())

    def fail(self, error: BaseException) -> None:
        """End all senders' awaits with this error."""
        self.claims.fail(error)
        for key, arrival in list(self._arrivals.items()):
            del self._arrivals[key]
            self._forget(key, arrival, made=False)
            if not arrival.saved.done():
                arrival.saved.set_exception(error)

    def _forget(self, key: int, arrival: Arrival, *, made: bool) -> None:
        self._waiting_bytes -= arrival.size
        if arrival.creation is not None:
            del self.unsaved[key]
            self.claims.release(arrival.envelope.target, made=made)

    def _wake_receiver(self) -> None:
        wake = self._wake
        if wake is not None:
            self._wake = None
            if not wake.done():
                wake.set_result(None)


def _lost(hold: Hold) -> LeaseLost:
    leases = list(hold.leases.values())
    if not leases:
        return LeaseLost("The partition is not held here.")
    what = ", ".join(f"Partition {lease.partition} (owner '{lease.owner}', epoch {lease.epoch})" for lease in leases)
    return LeaseLost(f"{what} is no longer held.", frozenset(hold.partitions))
