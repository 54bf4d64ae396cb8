"""Starts that replace a living instance: only the owner of its partition can do that, and it may be another process."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

import msgspec

from perdure.contracts.errors import CheckpointRefused, StorageError, Unavailable
from perdure.contracts.records import CreateOutcome, Replaceable, ReusePolicy
from perdure.core.checkpoint import Creation
from perdure.core.instance import Origin
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Numbers
from perdure.storage.shared.hints import Hints
from perdure.storage.shared.tables import Errand, Hint, SharedTables

LOOK_SECONDS = 1.0
"""How often who waits looks whether there is an owner."""
ANSWER_SECONDS_MAX = 30.0
"""How long an answer is waited for, whoever owns the partition meanwhile."""


class _Body(msgspec.Struct):
    """What an errand says. ``statuses`` when exactly instances in these may be replaced."""

    creation: Creation
    policy: ReusePolicy | None = None
    statuses: frozenset[RuntimeStatus] | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Body).decode


class Errands:
    """Leaves errands for owners and does those of others. ``create_here`` gives None when we are no owner now."""

    def __init__(
        self,
        tables: SharedTables,
        numbers: Numbers,
        hints: Hints,
        create_here: Callable[[Creation, Replaceable], Awaitable[CreateOutcome | None]],
        owner_of: Callable[[int], int | None],
    ) -> None:
        self._tables = tables
        self._numbers = numbers
        self._hints = hints
        self._create_here = create_here
        self._owner_of = owner_of
        self._awaited: dict[int, asyncio.Future[CreateOutcome]] = {}
        self._doing: set[int] = set()
        self._left_behind: set[int] = set()
        """Nobody waits for them any more, and the store could not be told."""
        self._answered: set[int] = set()
        """Those that a reading under way may tell of once more."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_awaited(self) -> bool:
        """Whether anybody here waits for an answer."""
        return bool(self._awaited)

    # Asking

    async def ask(
        self, creation: Creation, reuse: Replaceable, *, process: int, partition: int, owner: int
    ) -> CreateOutcome | None:
        """Let the owner do it, also the one that follows it; what it answers.

        None when nobody owns the partition any more: then nobody does it. Raises Unavailable, also when no answer
        comes in time; whether it was done is to be read then.
        """
        body = _Body(creation, reuse) if isinstance(reuse, ReusePolicy) else _Body(creation, statuses=reuse)
        try:
            text = _encode(body).decode()
        except UnicodeEncodeError as error:
            raise CheckpointRefused(f"UnicodeEncodeError: {error}") from error
        errand = Errand(number=self._numbers.take(), asker=process, partition=partition, body=text)
        answer = self._awaited[errand.number] = asyncio.get_running_loop().create_future()
        try:
            await self._tables.leave_errand(errand)
            self._hints.tell(owner, Hint(sender=0, has_errands=True))
            return await self._answer_of(errand, creation, answer)
        finally:
            del self._awaited[errand.number]
            if not answer.done() or answer.cancelled():
                self._spawn(self._drop(errand.number))
            else:
                # Leaving it may have failed for the same reason; then nobody has awaited this.
                answer.exception()

    async def _answer_of(
        self, errand: Errand, creation: Creation, answer: asyncio.Future[CreateOutcome]
    ) -> CreateOutcome | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + ANSWER_SECONDS_MAX
        while not answer.done():
            await asyncio.wait([answer], timeout=LOOK_SECONDS)
            if answer.done():
                break
            if loop.time() >= until:
                raise Unavailable(
                    f"The process that runs '{creation.record.origin.instance_id}' has not answered for "
                    f"{ANSWER_SECONDS_MAX:.0f} s; whether it has replaced the instance is to be read."
                )
            if self._owner_of(errand.partition) is None:
                # Nobody begins it from here on; who had it has either done it or never will.
                await self._tables.drop_errand(errand.number)
                return CreateOutcome.REPLACED if await self._is_done(creation) else None
        return answer.result()

    async def _is_done(self, creation: Creation) -> bool:
        origin = creation.record.origin
        record = await self._tables.get(origin.instance_id)
        return record is not None and _is_of(record.origin, origin)

    async def collect(self, process: int) -> None:
        """Take the answers that are there, and take back what nobody waits for any more. Raises Unavailable."""
        for number in list(self._left_behind):
            await self._tables.drop_errand(number)
            self._left_behind.discard(number)
        if self._awaited:
            for number, body in (await self._tables.collect_errands(process)).items():
                answer = self._awaited.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(CreateOutcome(body))

    def fail(self, error: BaseException) -> None:
        """No answer will come any more."""
        for answer in self._awaited.values():
            if not answer.done():
                answer.set_exception(error)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    # Doing

    async def serve(self, partitions: Collection[int]) -> None:
        """Begin what was left for these partitions. Raises Unavailable."""
        found = await self._tables.errands(partitions)
        self._answered.intersection_update([errand.number for errand in found])
        for errand in found:
            if errand.number not in self._doing and errand.number not in self._answered:
                self._doing.add(errand.number)
                self._spawn(self._do(errand))

    async def _do(self, errand: Errand) -> None:
        try:
            creation, reuse = _read(errand.body)
            if await self._is_done(creation):
                # An owner before us did it and could not say so.
                outcome = CreateOutcome.REPLACED
            else:
                outcome = await self._create_here(creation, reuse)
            if outcome is not None:
                await self._tables.answer_errand(errand.number, outcome.value)
                self._answered.add(errand.number)
                self._hints.tell(errand.asker, Hint(sender=0, has_errands=True))
        except StorageError:
            # It stays where it is: the next look begins it again, here or at a new owner.
            return
        finally:
            self._doing.discard(errand.number)

    async def _drop(self, number: int) -> None:
        try:
            await self._tables.drop_errand(number)
        except StorageError:
            # Asked for again when there is something to collect; at the latest it goes with this process's row.
            self._left_behind.add(number)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_of(present: Origin, made: Origin) -> bool:
    """Whether what has the id is what was to be made; since then it may have continued as new."""
    if present.generation == made.generation:
        return present.execution_id == made.execution_id
    return (present.created_at, present.name) == (made.created_at, made.name)


def _read(text: str) -> tuple[Creation, Replaceable]:
    body = _decode(text)
    if body.policy is not None:
        return body.creation, body.policy
    return body.creation, frozenset() if body.statuses is None else body.statuses
