"""Hints to other processes: what is worth telling within a millisecond goes together."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from msgspec.structs import replace

from perdure.storage.shared.tables import Hint, SharedTables

PAUSE_SECONDS = 0.001
"""How long at least between two hints to one process."""
IDS_BYTES_MAX = 6_000
"""How much text of ids goes into one hint; a longer id is not told, the sweep finds it."""


class Hints:
    """Tells other processes, at most once in ``PAUSE_SECONDS`` each. A hint may be lost: nobody waits for it."""

    def __init__(self, tables: SharedTables, sender: Callable[[], int | None]) -> None:
        self._tables = tables
        self._sender = sender
        self._pending: dict[int, Hint] = {}
        self._told_at: dict[int, float] = {}
        self._sending: dict[int, asyncio.Task[None]] = {}
        """What is under way, one to each process; the next one waits for it, and takes in what comes meanwhile."""

    def tell(self, process: int, hint: Hint) -> None:
        """Soon; its sender is filled in."""
        if (pending := self._pending.get(process)) is not None:
            self._pending[process] = _joined(pending, hint)
            return
        self._pending[process] = hint
        if process not in self._sending:
            self._tell_soon(process)

    def _tell_soon(self, process: int) -> None:
        loop = asyncio.get_running_loop()
        wait = self._told_at.get(process, 0.0) + PAUSE_SECONDS - loop.time()
        if wait > 0:
            loop.call_later(wait, self._flush, process)
        else:
            loop.call_soon(self._flush, process)

    def stop(self) -> None:
        """What was not told is not told any more."""
        self._pending.clear()
        for task in self._sending.values():
            task.cancel()

    def keep_to(self, processes: Iterable[int]) -> None:
        """Only these are there; forget the others."""
        there = set(processes)
        self._told_at = {process: at for process, at in self._told_at.items() if process in there}

    def _flush(self, process: int) -> None:
        sender = self._sender()
        if process in self._sending:
            return
        hint = self._pending.pop(process, None)
        if hint is None or sender is None:
            return
        self._told_at[process] = asyncio.get_running_loop().time()
        task = asyncio.create_task(self._send(process, replace(hint, sender=sender)))
        self._sending[process] = task
        task.add_done_callback(partial(self._sent, process))

    def _sent(self, process: int, _: object) -> None:
        del self._sending[process]
        if process in self._pending:
            self._tell_soon(process)

    async def _send(self, process: int, hint: Hint) -> None:
        for part in _parts(hint):
            await self._tables.hint(process, part)


def _joined(one: Hint, other: Hint) -> Hint:
    return Hint(
        sender=one.sender,
        has_arrivals=one.has_arrivals or other.has_arrivals,
        has_offers=one.has_offers or other.has_offers,
        has_errands=one.has_errands or other.has_errands,
        has_partitions=one.has_partitions or other.has_partitions,
        watched=tuple(dict.fromkeys(one.watched + other.watched)),
        reached=tuple(dict.fromkeys(one.reached + other.reached)),
    )


def _parts(hint: Hint) -> Iterator[Hint]:
    """One hint, or several where it names too many ids for one."""
    watched, reached = list(_pieces(hint.watched)), list(_pieces(hint.reached))
    yield replace(hint, watched=watched[0] if watched else (), reached=() if watched or not reached else reached.pop(0))
    for piece in watched[1:]:
        yield Hint(sender=hint.sender, watched=piece)
    for piece in reached:
        yield Hint(sender=hint.sender, reached=piece)


def _pieces(instance_ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    piece: list[str] = []
    size = 0
    for instance_id in instance_ids:
        # Quotes and a comma, and an escape for what JSON does not hold as it is.
        length = 3 + 2 * len(instance_id.encode(errors="surrogatepass"))
        if length > IDS_BYTES_MAX:
            continue
        if size + length > IDS_BYTES_MAX:
            yield tuple(piece)
            piece, size = [], 0
        piece.append(instance_id)
        size += length
    if piece:
        yield tuple(piece)
