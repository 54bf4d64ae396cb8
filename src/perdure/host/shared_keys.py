"""The key ring in a hub that many hosts share: one note for each key, so that two hosts that change keys at once both
succeed (architecture.md J15)."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping

from perdure.contracts.errors import StorageError
from perdure.http_api.keys import MASTER, KeyRing
from perdure.storage.notes import Notes

FRESH_SECONDS = 3.0
"""How old keys may be that a request is judged by."""
PREFIX = "key/"
logger = logging.getLogger("perdure.host")


class SharedKeys:
    """See ``key_store.KeyStore``. Belongs to one loop; until something is awaited no key is known."""

    def __init__(self, notes: Notes, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._notes = notes
        self._monotonic = monotonic
        self._ring = KeyRing()
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._on_change: list[Callable[[KeyRing], None]] = []

    def watch(self, changed: Callable[[KeyRing], None]) -> None:
        """See ``KeyStore``."""
        self._on_change.append(changed)

    def ring(self) -> KeyRing:
        """See ``KeyStore``."""
        return self._ring

    async def refresh(self) -> None:
        """See ``KeyStore``. Of many callers at once one reads."""
        if self._read_at is not None and self._monotonic() - self._read_at < FRESH_SECONDS:
            return
        if self._reading is None:
            self._reading = asyncio.create_task(self._try_to_read())
            self._reading.add_done_callback(self._have_read)
        await asyncio.shield(self._reading)

    async def read(self) -> KeyRing:
        """See ``KeyStore``."""
        await self._read()
        return self._ring

    async def complete(self, function_names: Collection[str]) -> KeyRing:
        """See ``KeyStore``. Of two hosts that start at once the first one's keys are everybody's."""
        await self._read()
        completed = self._ring.completed(tuple(sorted(function_names)))
        if completed != self._ring:
            await self._notes.add(_notes_of(completed))
            await self._read()
        return self._ring

    async def save(self, ring: KeyRing) -> None:
        """See ``KeyStore``. Only what differs from the ring as it is known is written."""
        before, after = _notes_of(self._ring), _notes_of(ring)
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        gone = before.keys() - after.keys()
        if changed:
            await self._notes.put(changed)
        if gone:
            await self._notes.remove(gone)
        await self._read()

    async def _try_to_read(self) -> None:
        try:
            await self._read()
        except StorageError as error:
            # The old ring goes on: without the store nobody can have changed it, and little can be done with it.
            self._read_at = self._monotonic()
            logger.info("The keys cannot be read again now: %s", error)

    async def _read(self) -> None:
        ring = _ring_of(await self._notes.read(PREFIX))
        self._read_at = self._monotonic()
        if ring != self._ring:
            self._ring = ring
            for changed in self._on_change:
                changed(ring)

    def _have_read(self, reading: "asyncio.Task[None]") -> None:
        self._reading = None
        if not reading.cancelled():
            # Whoever waited has it, too.
            reading.exception()


def _notes_of(ring: KeyRing) -> dict[str, str]:
    notes = {} if ring.master is None else {f"{PREFIX}{MASTER}": ring.master}
    notes.update({f"{PREFIX}host/{name}": value for name, value in ring.host.items()})
    notes.update({f"{PREFIX}system/{name}": value for name, value in ring.system.items()})
    for function, keys in ring.functions.items():
        notes.update({f"{PREFIX}function/{function}/{name}": value for name, value in keys.items()})
    return notes


def _ring_of(notes: Mapping[str, str]) -> KeyRing:
    master: str | None = None
    host: dict[str, str] = {}
    system: dict[str, str] = {}
    functions: dict[str, dict[str, str]] = {}
    for note, value in notes.items():
        match note.removeprefix(PREFIX).split("/"):
            case [name] if name == MASTER:
                master = value
            case ["host", name]:
                host[name] = value
            case ["system", name]:
                system[name] = value
            case ["function", function, name]:
                functions.setdefault(function, {})[name] = value
            case _:
                continue  # of a newer program
    return KeyRing(master, host, system, functions)
