"""Who holds which item: a token per dispatch, good until the item is answered, given back or given to another."""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from perdure.contracts.records import PendingActivity
from perdure.execution.remote_items import EncodedPast, ItemKind, Work
from perdure.execution.remote_sessions import session_of
from perdure.execution.worker_streams import WorkerStream

ANSWERED_REMEMBERED = 10_000
WORKERS_REMEMBERED = 1_000
SAID_AGAIN_AFTER_SECONDS = 60.0

_log = logging.getLogger("perdure.workers")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who answers: what it calls itself, if anything, and its connection."""

    worker: str | None
    peer: str


class Lease:
    """One dispatch of one item. ``stream`` is None once the worker's stream is lost."""

    __slots__ = ("parts", "past", "sent", "stream", "terms", "token", "work")

    def __init__(self, token: str, work: Work, stream: WorkerStream) -> None:
        self.token = token
        self.work = work
        self.stream: WorkerStream | None = stream
        self.terms = stream.terms
        self.past: EncodedPast | None = None
        """What the worker may ask for, when its item came without the past."""
        self.sent = 0
        """Of a batch, so many operations are in the item."""
        self.parts: list[bytes] = []
        """What has come of an answer in parts."""

    def is_of(self, caller: Caller) -> bool:
        """Whether the caller is the worker that got the item, as far as both said who they are."""
        return caller.worker is None or not self.terms.names_itself or caller.worker == self.terms.worker


class Leases:
    """All items that are with workers, and the answers that are on their way to the store."""

    def __init__(self, hub: str) -> None:
        self._hub = hub
        self._held: dict[str, Lease] = {}
        self._by_work: dict[int, Lease] = {}
        self._settling: dict[str, asyncio.Future[None]] = {}
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._said: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._held.values())

    def on(self, work: Work) -> Lease | None:
        """The lease on this work, if a worker has it or had it a moment ago."""
        return self._by_work.get(id(work))

    def grant(self, work: Work, stream: WorkerStream) -> Lease:
        """The stream gets the item. The token cannot be guessed."""
        token = f"{self._hub}/{work.lane.kind.name.lower()}/{secrets.token_hex(16)}"
        lease = self._held[token] = self._by_work[id(work)] = Lease(token, work, stream)
        return lease

    def end(self, lease: Lease) -> None:
        """The token is worth nothing from here on."""
        self._held.pop(lease.token, None)
        self._by_work.pop(id(lease.work), None)

    def of(self, stream: WorkerStream) -> list[Lease]:
        """What the stream holds."""
        return [lease for lease in self._held.values() if lease.stream is stream]

    def with_token(self, token: str, caller: Caller) -> Lease | None:
        """The item that the token was given for, unless the caller is known to be another worker."""
        lease = self._held.get(token)
        if lease is not None and lease.is_of(caller):
            return lease
        if token not in self._answered:
            self._say_stale(caller)
        return None

    def without_token(
        self, caller: Caller, kind: ItemKind, instance_id: str, task_id: int | None = None
    ) -> Lease | None:
        """For workers of a time before tokens: what the connection holds of that instance."""
        for lease in self._held.values():
            work = lease.work
            if lease.terms.peer != caller.peer or work.lane.kind is not kind or work.instance_id != instance_id:
                continue
            if task_id is None or (isinstance(work.subject, PendingActivity) and work.subject.task_id == task_id):
                return lease
        self._say_stale(caller)
        return None

    def past_of(self, instance_id: str, execution_id: str | None) -> EncodedPast | None:
        """The past of the turn that a worker holds without it; None when there is no such turn."""
        for lease in self._held.values():
            if lease.past is None or lease.work.instance_id != instance_id:
                continue
            if execution_id is None or session_of(lease.work).origin.execution_id == execution_id:
                return lease.past
        return None

    def begin_settling(self, token: str) -> tuple[asyncio.Future[None], Callable[[], None]]:
        """The item is answered: what its answer waits for, and what is to be called once it is durable."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settling[token] = settled
        self._answered[token] = None
        if len(self._answered) > ANSWERED_REMEMBERED:
            self._answered.popitem(last=False)

        def settle() -> None:
            self._settling.pop(token, None)
            if not settled.done():
                settled.set_result(None)

        return settled, settle

    def settling(self, token: str) -> asyncio.Future[None] | None:
        """An earlier answer with this token that is not durable yet."""
        return self._settling.get(token)

    def fail_settling(self, error: Exception) -> None:
        """Nothing becomes durable any more."""
        settling, self._settling = self._settling, {}
        for settled in settling.values():
            if not settled.done():
                settled.set_exception(error)
                # Whoever waits is told; nobody may wait any more.
                settled.exception()

    def _say_stale(self, caller: Caller) -> None:
        who = caller.worker or caller.peer
        now = asyncio.get_running_loop().time()
        last = self._said.get(who)
        if last is not None and now - last < SAID_AGAIN_AFTER_SECONDS:
            return
        self._said[who] = now
        self._said.move_to_end(who)
        if len(self._said) > WORKERS_REMEMBERED:
            self._said.popitem(last=False)
        _log.warning(
            "Worker '%s' answered an item that it does not hold (any more); the answer is ignored. "
            "Items go to another worker when a stream is lost for long or the item was given back.",
            who,
        )
