"""One process at a time on a store: a file beside it, locked by the operating system, that names its holder.

The lock ends with the process, however it ends. The file itself stays: to remove it would let two processes
each hold a lock on a file of that name.
"""

import asyncio
import json
import os
import sys
import time
import weakref
from typing import Any

from perdure.contracts.errors import StoreInUse, StoreUnusable

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # beyond the text, which others must be able to read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_held: "weakref.WeakSet[LockFile]" = weakref.WeakSet()


def _forget_all() -> None:
    # A child that is forked off and outlives its parent must not keep the store locked.
    for lock in list(_held):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class LockFile:
    """Held from ``hold`` to ``release``."""

    def __init__(self, path: str, store: str) -> None:
        self._path = path
        self._store = store
        self._descriptor: int | None = None
        self._holder: dict[str, Any] = {}

    async def hold(self, seconds_max: float, since: str) -> None:
        """Take the lock. Raises StoreInUse when another process still has it after ``seconds_max``."""
        descriptor = self._open()
        deadline = time.monotonic() + seconds_max
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                holder = read_holder(self._path)
                os.close(descriptor)
                raise _in_use(self._store, holder)
            await asyncio.sleep(0.05)
        self._descriptor = descriptor
        _held.add(self)
        self._holder = {"pid": os.getpid(), "since": since}
        self._write(self._holder)

    def name_url(self, url: str) -> None:
        """Tell others where the holder can be reached."""
        if self._descriptor is not None:
            self._holder["url"] = url
            self._write(self._holder)

    def release(self) -> None:
        """Twice-safe."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            self.forget()

    def forget(self) -> None:
        """Close our end without a word in the file."""
        _held.discard(self)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            raise StoreUnusable(f"The lock file {self._path} cannot be opened: {error.strerror}.") from error

    def _write(self, holder: dict[str, Any]) -> None:
        assert self._descriptor is not None
        text = json.dumps(holder).encode() + b"\n"
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text)


def read_holder(path: str) -> dict[str, Any]:
    """What a lock file says of its holder; empty when it says nothing."""
    try:
        with open(path, encoding="utf-8") as file:
            holder = json.load(file)
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _in_use(store: str, holder: dict[str, Any]) -> StoreInUse:
    pid, url = holder.get("pid"), holder.get("url")
    who = f"process {pid}" if isinstance(pid, int) else "another process"
    where = f", reachable at {url}" if isinstance(url, str) else ""
    return StoreInUse(
        f"The store {store} is in use by {who}{where}. Stop it, or name another store with --store.",
        pid if isinstance(pid, int) else None,
        url if isinstance(url, str) else None,
    )
