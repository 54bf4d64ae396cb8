"""Who holds which item: a token per dispatch, good until the item is answered, given back or given to another."""

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Protocol

from perdure.contracts.records import PendingActivity
from perdure.execution.remote_items import EncodedPast, ItemKind, Work
from perdure.execution.remote_sessions import session_of
from perdure.execution.seldom import Seldom
from perdure.execution.worker_streams import WorkerStream

ANSWERED_REMEMBERED = 10_000

_log = logging.getLogger("perdure.workers")


class Caller(Protocol):
    """Who answers. Asked only for what is needed: a header costs more to find than a token."""

    @property
    def worker(self) -> str | None:
        """What it calls itself; None when it does not say."""
        ...

    @property
    def peer(self) -> str:
        """Its connection."""
        ...


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
        """So many of a batch's operations, or of a turn's events after its start, are in the item."""
        self.parts: list[bytes] = []
        """What has come of an answer in parts."""

    def is_of(self, caller: Caller) -> bool:
        """Whether the caller is the worker that got the item, as far as both said who they are."""
        terms = self.terms
        return caller.peer == terms.peer or not terms.names_itself or caller.worker in (None, terms.worker)


class Settling:
    """An answer on its way to the store, and who waits for it to be durable: the first answer and its repetitions."""

    __slots__ = ("_forget", "_token", "_waiters")

    def __init__(self, token: str, forget: Callable[[str, None], object]) -> None:
        self._token = token
        self._forget = forget
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Return when it is durable. Whoever waits may be cancelled, nobody else notices."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def settle(self) -> None:
        """It is durable, or does not count for good."""
        self._forget(self._token, None)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """It will not be durable."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)


class Leases:
    """All items that are with workers, and the answers that are on their way to the store."""

    def __init__(self, hub: str) -> None:
        self._heads = [f"{hub}/{kind.name.lower()}/" for kind in ItemKind]
        self._held: dict[str, Lease] = {}
        self._by_work: dict[int, Lease] = {}
        self._settling: dict[str, Settling] = {}
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._stale = Seldom()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._held.values())

    def on(self, work: Work) -> Lease | None:
        """The lease on this work, if a worker has it or had it a moment ago."""
        return self._by_work.get(id(work))

    def grant(self, work: Work, stream: WorkerStream) -> Lease:
        """The stream gets the item. The token cannot be guessed."""
        token = self._heads[work.lane.kind] + os.urandom(16).hex()
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

    def begin_settling(self, token: str) -> Settling:
        """The item is answered; ``settle`` is to be called once what came of it is durable."""
        settling = self._settling[token] = Settling(token, self._settling.pop)
        self._answered[token] = None
        if len(self._answered) > ANSWERED_REMEMBERED:
            self._answered.popitem(last=False)
        return settling

    def settling(self, token: str) -> Settling | None:
        """An earlier answer with this token that is not durable yet."""
        return self._settling.get(token)

    def fail_settling(self, error: Exception) -> None:
        """Nothing becomes durable any more."""
        for settling in self._settling.values():
            settling.fail(error)
        self._settling.clear()

    def _say_stale(self, caller: Caller) -> None:
        who = caller.worker or caller.peer
        if not self._stale.may_say(who):
            return
        _log.warning(
            "Worker '%s' answered an item that it does not hold (any more); the answer is ignored. "
            "Items go to another worker when a stream is lost for long or the item was given back.",
            who,
        )
