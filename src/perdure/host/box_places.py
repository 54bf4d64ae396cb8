"""Where a process's black box lies (architecture.md J14): beside a file, or in a folder of this machine."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from perdure.contracts.errors import StoreInUse, StoreUnusable
from perdure.execution.black_box import BlackBox
from perdure.storage.places import FilePlace, MemoryPlace, ServerPlace, StorePlace
from perdure.storage.sqlite.connections import prepare_file
from perdure.storage.sqlite.lock_file import LockFile

PROCESSES_MAX = 64
"""So many processes of one hub on one machine have a box; those beyond go without."""
logger = logging.getLogger("perdure.host")


class BoxPlace(Protocol):
    """A box, and the right to it."""

    box: BlackBox

    async def open(self) -> list[str]:
        """Begin; gives what the process before was in when it died. Raises OSError."""
        ...

    def close(self) -> None:
        """End orderly. Twice-safe."""
        ...


class BesideFile:
    """The box of a store that this process holds."""

    def __init__(self, path: Path) -> None:
        self.box = BlackBox(path)

    async def open(self) -> list[str]:
        """See ``BoxPlace``."""
        return self.box.open()

    def close(self) -> None:
        """See ``BoxPlace``."""
        self.box.close()


class OnMachine:
    """One of the places that processes of a shared hub have on this machine: the first that no living process has.

    So a process that is started in the place of one that died finds what that one was in. Each place counts for itself.
    """

    def __init__(self, folder: Path, hub: str) -> None:
        self._folder = folder / "boxes"
        self._hub = hub.lower()
        self.box = BlackBox(self._path(0))
        self._lock: LockFile | None = None

    async def open(self) -> list[str]:
        """See ``BoxPlace``. Where nothing can be written there is no box, and that is said."""
        try:
            # The folder above keeps itself out of git.
            prepare_file(str(self._folder.parent / "boxes.lock"))
            prepare_file(f"{self._path(0)}.lock")
            for number in range(PROCESSES_MAX):
                if await self._take(number):
                    self.box.move_to(self._path(number))
                    return self.box.open()
        except StoreUnusable as error:
            logger.warning("Code that kills the process is not recognized as such: %s", error)
        return []

    async def _take(self, number: int) -> bool:
        lock = LockFile(f"{self._path(number)}.lock", str(self._path(number)))
        try:
            await lock.hold(0, datetime.now(UTC).isoformat())
        except StoreInUse:
            return False
        self._lock = lock
        return True

    def close(self) -> None:
        """See ``BoxPlace``."""
        self.box.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._hub}.{number}"


def box_place(place: StorePlace, folder: Path, hub: str) -> BoxPlace | None:
    """The box for a store; None for one that does not outlive the process. ``folder`` is the app's own on this
    machine."""
    match place:
        case FilePlace(path):
            return BesideFile(path)
        case ServerPlace():
            return OnMachine(folder, hub)
        case MemoryPlace():
            return None
