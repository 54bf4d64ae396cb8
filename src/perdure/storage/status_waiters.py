"""Who waits for an instance to reach a status; woken by commits."""

import asyncio
from collections.abc import Iterator, KeysView
from contextlib import contextmanager

from perdure.core.instance import InstanceRecord
from perdure.core.status import RuntimeStatus


class StatusWaiters:
    """Waiters by instance id; one that is gone leaves nothing behind."""

    def __init__(self) -> None:
        self._waiters: dict[str, list[tuple[frozenset[RuntimeStatus], asyncio.Future[InstanceRecord]]]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def instance_ids(self) -> KeysView[str]:
        """Whose statuses are waited for."""
        return self._waiters.keys()

    def is_waited_for(self, instance_id: str) -> bool:
        """Whether anybody waits for this instance."""
        return instance_id in self._waiters

    def is_wanted(self, instance_id: str, status: RuntimeStatus) -> bool:
        """Whether anybody waits for this instance to be in this status."""
        return any(status in wanted for wanted, _ in self._waiters.get(instance_id, ()))

    @contextmanager
    def waiting(self, instance_id: str, wanted: frozenset[RuntimeStatus]) -> Iterator[asyncio.Future[InstanceRecord]]:
        """The next announcement of one of the statuses, from here on."""
        waiter = (wanted, asyncio.get_running_loop().create_future())
        self._waiters.setdefault(instance_id, []).append(waiter)
        try:
            yield waiter[1]
        finally:
            waiting = self._waiters[instance_id]
            waiting.remove(waiter)
            if not waiting:
                del self._waiters[instance_id]
            if not waiter[1].cancel() and not waiter[1].cancelled():
                waiter[1].exception()

    def announce(self, record: InstanceRecord) -> None:
        """A commit made this record true."""
        for wanted, future in self._waiters.get(record.origin.instance_id, ()):
            if record.progress.status in wanted and not future.done():
                future.set_result(record)

    def refuse(self, instance_id: str, error: BaseException) -> None:
        """End the waits for this instance with this error."""
        for _, future in self._waiters.get(instance_id, ()):
            if not future.done():
                future.set_exception(error)

    def fail(self, error: BaseException) -> None:
        """End all waits with this error."""
        for waiting in self._waiters.values():
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
