"""Transactions that a process makes as itself: fenced out when it is buried, and known to have come true or not."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import msgspec

from perdure.contracts.errors import StorageError
from perdure.storage.postgres import meanings
from perdure.storage.postgres.lines import Line, Rows
from perdure.storage.postgres.meanings import LOST_ERRORS, detail_of, is_cut, meaning, state_of
from perdure.storage.postgres.server import Server
from perdure.storage.shared.tables import IdsTaken, PartitionsLost, ProcessBuried

T = TypeVar("T")

TRIES_MAX = 6
"""Of one call whose transaction was rolled back for no fault of its own."""
PAUSE_SECONDS = 0.005
BURIED = -1
_TOKENS = 1 << 32
_read_json = msgspec.json.decode


class Fenced:
    """One call at a time, each with a token that its transaction leaves in the process's row.

    When the answer is lost, the row tells whether the transaction came true; and raising the incarnation there, which
    waits for one under way, makes sure that it never will if it has not (reliability.md D9).
    """

    def __init__(
        self, server: Server, line: Line, resolve: str, is_left_behind: Callable[[int], Awaitable[bool]]
    ) -> None:
        """``is_left_behind``: whether the store has gone back behind what this process knows; it is buried then."""
        self._server = server
        self._line = line
        self._resolve = resolve
        self._is_left_behind = is_left_behind
        self._process = 0
        self._incarnation = 0
        self._calls = 0

    def begin(self, process: int) -> None:
        """From here on this process calls; its row is new."""
        self._process = process
        self._incarnation = 0

    @property
    def process(self) -> int:
        """Who calls."""
        return self._process

    async def call(
        self,
        process: int,
        text: str,
        *arguments: Any,
        told: Callable[[Rows], T],
        kept: Callable[[str | None], T] | None = None,
    ) -> T:
        """Call a function of the schema with process, incarnation, token and these arguments.

        ``told`` reads its rows. When the answer was lost and it came true, ``kept`` reads what it left in the
        process's row; without ``kept`` it is called again with the same token, which such functions allow.
        Raises what ``SharedTables.write`` may.
        """
        async with self._line.lock:
            if process != self._process:
                raise ProcessBuried(process)
            self._calls += 1
            token = process * _TOKENS + self._calls
            tries = 0
            while True:
                try:
                    return told(await self._line.ask(text, process, self._incarnation, token, *arguments))
                except (asyncpg.PostgresError, *LOST_ERRORS, UnicodeError) as error:
                    tries += 1
                    if is_cut(error):
                        came_true, answer = await self._resolved(token)
                        if came_true and kept is not None:
                            return kept(answer)
                        if not came_true and tries >= TRIES_MAX:
                            raise meaning(error, self._server.place) from error
                    elif not self._is_tried_again(error, tries):
                        if state_of(error) == meanings.REFUSED and await self._is_left_behind(process):
                            raise ProcessBuried(process) from error
                        raise self._meaning(error) from error
                    else:
                        await asyncio.sleep(PAUSE_SECONDS * tries * random.random())

    async def _resolved(self, token: int) -> tuple[bool, str | None]:
        """Whether the transaction of this token came true, and what it left; however long finding out takes."""
        while True:
            await self._server.reachable()
            try:
                rows = await self._line.ask(self._resolve, self._process)
            except (asyncpg.PostgresError, *LOST_ERRORS) as error:
                if not is_cut(error):
                    raise meaning(error, self._server.place) from error
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            except StorageError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            incarnation, found, answer = rows[0]
            is_gone = incarnation is None or incarnation == BURIED
            if not is_gone:
                self._incarnation = incarnation
            if found == token:
                return True, answer
            if is_gone:
                raise ProcessBuried(self._process)
            return False, None

    def _is_tried_again(self, error: Exception, tries: int) -> bool:
        if tries >= TRIES_MAX or not isinstance(error, asyncpg.PostgresError):
            return False
        if state_of(error) == meanings.FENCED and (incarnation := int(detail_of(error) or BURIED)) != BURIED:
            # A call whose caller went away while its answer was looked for.
            self._incarnation = incarnation
            return True
        return state_of(error) in meanings.TRIED_AGAIN

    def _meaning(self, error: Exception) -> Exception:
        if isinstance(error, asyncpg.PostgresError):
            if state_of(error) == meanings.FENCED:
                return ProcessBuried(self._process)
            if state_of(error) == meanings.PARTITIONS_LOST:
                return PartitionsLost(frozenset(_read_json(detail_of(error) or "[]")))
            if state_of(error) == meanings.IDS_TAKEN:
                return IdsTaken(frozenset(_read_json(detail_of(error) or "[]")))
        return meaning(error, self._server.place)
