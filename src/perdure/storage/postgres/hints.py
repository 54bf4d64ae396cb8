"""Hints between processes by LISTEN and NOTIFY: quick, and no matter when they are lost (architecture.md J12)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import msgspec

from perdure.contracts.errors import StorageError
from perdure.storage.postgres.lines import Line
from perdure.storage.postgres.meanings import LOST_ERRORS
from perdure.storage.postgres.server import Connection, Server
from perdure.storage.shared.tables import Hint

PAYLOAD_BYTES_MAX = 7_900
"""PostgreSQL takes less than 8,000."""
STATEMENT_SECONDS = 2.0
SILENCE_SECONDS = 30.0
"""How long the connection is taken to be alive without an answer: a network that vanished tells nobody."""
ANSWER_SECONDS = 5.0
"""How long it may take to answer when it is asked."""
PAUSE_SECONDS = 0.2
SWEEP_SECONDS = 0.1
"""How often a process looks by itself where it can hear nothing."""
WATCH_SECONDS = 30.0
"""So long after asking to be told of an instance, each look there is a whole one: its status is looked at, too."""

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Hint).decode

Heard = Callable[[Hint], None]


class Hints:
    """One connection that listens, and tells. Behind a pooler in transaction mode nothing can be heard: there
    it looks itself, ten times a second.

    A connection that does not answer is made anew, and whoever listens looks at everything then.
    """

    def __init__(self, server: Server, schema: str, *, notify: str, look: str) -> None:
        """``notify`` and ``look``: the statements that tell, and that look where nothing can be heard."""
        self._server = server
        self._schema = schema
        self._notify = notify
        self._look = look
        self._watches_until = 0.0
        self._telling = asyncio.Lock()
        self._connection: Connection | None = None
        self._listening: asyncio.Task[None] | None = None

    def listen(self, process: int, heard: Heard) -> None:
        """From now on; what was listened to before is not any more."""
        if self._listening is not None:
            self._listening.cancel()
        listen = self._sweep if self._server.is_pooled else self._listen
        self._listening = asyncio.get_running_loop().create_task(listen(process, heard))

    async def tell(self, process: int, hint: Hint) -> None:
        """Or lose it."""
        if hint.watched:
            self._watches_until = asyncio.get_running_loop().time() + WATCH_SECONDS
        connection = self._connection
        if connection is None or connection.is_closed():
            return
        for payload in payloads(hint):
            with suppress(asyncpg.PostgresError, *LOST_ERRORS):
                await self._ask(connection, STATEMENT_SECONDS, self._notify, self._channel(process), payload)

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            self._listening = None

    async def _listen(self, process: int, heard: Heard) -> None:
        def hear(connection: object, pid: int, channel: str, payload: object) -> None:
            if isinstance(payload, str):
                with suppress(msgspec.MsgspecError):
                    heard(_decode(payload))

        while True:
            connection: Connection | None = None
            try:
                await self._server.reachable()
                connection = await self._server.connection(STATEMENT_SECONDS)
                over = asyncio.Event()
                connection.add_termination_listener(lambda _, over=over: over.set())
                async with asyncio.timeout(ANSWER_SECONDS):
                    await connection.add_listener(self._channel(process), hear)
                self._connection = connection
                # Whatever was told while nobody listened.
                heard(_look_at_everything(process))
                await self._until_over(connection, over)
            except (StorageError, asyncpg.PostgresError, *LOST_ERRORS):
                await asyncio.sleep(PAUSE_SECONDS)
            finally:
                self._connection = None
                if connection is not None:
                    connection.terminate()

    async def _until_over(self, connection: Connection, over: asyncio.Event) -> None:
        """Until it ends. Raises what tells that it is of no use any more."""
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await over.wait()
                    return
            except TimeoutError:
                await self._ask(connection, ANSWER_SECONDS, "select 1")

    async def _ask(self, connection: Connection, seconds: float, text: str, *arguments: str) -> None:
        """One thing at a time. What is not answered in time ends the connection."""
        async with self._telling:
            try:
                # Not the driver's own limit: that leaves out the wait for a call that was given up before.
                async with asyncio.timeout(seconds):
                    await connection.fetch(text, *arguments)
            except TimeoutError:
                connection.terminate()
                raise

    async def _sweep(self, process: int, heard: Heard) -> None:
        """One small question each time, instead of all that a hint may be about."""
        line = Line(self._server, STATEMENT_SECONDS)
        holders: str | None = None
        try:
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                try:
                    [found] = await line.ask_twice(self._look, process)
                except StorageError:
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                is_watching = asyncio.get_running_loop().time() < self._watches_until
                hint = Hint(
                    sender=process,
                    has_arrivals=found["has_arrivals"],
                    has_offers=found["has_offers"],
                    has_errands=found["has_errands"],
                    has_partitions=is_watching or found["holders"] != holders,
                )
                holders = found["holders"]
                if hint != Hint(sender=process):
                    heard(hint)
        finally:
            line.drop()

    def _channel(self, process: int) -> str:
        return f"{self._schema}_{process}"


def payloads(hint: Hint) -> list[str]:
    """A hint as JSON texts that are short enough; ids that are too long for one are left to the sweep."""
    text = _encode(hint)
    if len(text) <= PAYLOAD_BYTES_MAX:
        return [text.decode()]
    if len(hint.watched) + len(hint.reached) <= 1:
        return payloads(msgspec.structs.replace(hint, watched=(), reached=()))
    if hint.watched and hint.reached:
        halves = (msgspec.structs.replace(hint, reached=()), msgspec.structs.replace(hint, watched=()))
    else:
        halves = tuple(
            msgspec.structs.replace(hint, watched=hint.watched[part], reached=hint.reached[part])
            for middle in [(len(hint.watched) + len(hint.reached)) // 2]
            for part in (slice(middle), slice(middle, None))
        )
    return [payload for half in halves for payload in payloads(half)]


def _look_at_everything(process: int) -> Hint:
    return Hint(sender=process, has_arrivals=True, has_offers=True, has_errands=True, has_partitions=True)
