"""What is in user code now, for whoever starts after a crash (architecture.md J14).

A small memory-mapped file outlives the process, SIGKILL included, without a sync: one slot per thread (or coroutine)
names the turn or activity that is in user code. At the next start on this machine what it names is counted; what was
there at five ends of the process in a row is not run again. A box from before a reboot says nothing.
"""

import json
import logging
import mmap
import os
import threading
from pathlib import Path
from typing import Protocol

logger = logging.getLogger("perdure.execution")

TRIES_MAX = 5
_MAGIC = b"perdure-box-1\n"
_HEADER_BYTES = 128
_SLOT_BYTES = 1088
_SLOTS = 256


class Box(Protocol):
    """Told around every piece of user code. Keys: ``turn_key``, ``activity_key``."""

    def enter(self, key: str) -> None:
        """This thread is about to run user code for ``key``."""
        ...

    def leave(self, key: str) -> None:
        """User code for ``key`` has returned or raised: whatever it was suspected of is forgotten."""
        ...

    def leave_given_up(self, key: str) -> None:
        """As ``leave``, for user code that took too long: it stays suspected."""
        ...

    def suspect(self, key: str) -> None:
        """User code for ``key`` has taken longer than it may: that counts as a death of the process."""
        ...

    def enter_shared(self, key: str) -> int | None:
        """As ``enter`` for one of many coroutines of a thread; give the answer to ``leave_shared``."""
        ...

    def leave_shared(self, slot: int | None, key: str) -> None:
        """As ``leave``."""
        ...

    def is_poisoned(self, key: str) -> bool:
        """Whether it was in user code too often when the process died or it took too long."""
        ...

    @property
    def has_suspects(self) -> bool:
        """Whether anything is suspected at all."""
        ...

    def suspicion(self, key: str) -> int:
        """How often in a row it was in user code when the process died or it took too long."""
        ...


def turn_key(instance_id: str, execution_id: str = "") -> str:
    """A turn of an orchestration's execution, or of an entity, which has none."""
    return f"T{execution_id} {instance_id}"


def activity_key(number: int) -> str:
    """A run of a pending activity."""
    return f"A{number}"


def said(key: str) -> str:
    """The key in words."""
    return f"activity number {key[1:]}" if key.startswith("A") else f"instance '{key.partition(' ')[2]}'"


class NoBox:
    """For stores that do not outlive the process, and for simulation: only what took too long is suspected."""

    def __init__(self) -> None:
        self._suspects: dict[str, int] = {}

    def enter(self, key: str) -> None:
        """Nothing is noted."""

    def leave(self, key: str) -> None:
        """See ``Box``."""
        if self._suspects and not self.is_poisoned(key):
            self._suspects.pop(key, None)

    def leave_given_up(self, key: str) -> None:
        """Nothing was noted."""

    def suspect(self, key: str) -> None:
        """See ``Box``."""
        self._suspects[key] = self._suspects.get(key, 0) + 1

    def enter_shared(self, key: str) -> int | None:
        """Nothing is noted."""
        return None

    def leave_shared(self, slot: int | None, key: str) -> None:
        """Nothing was noted."""

    def is_poisoned(self, key: str) -> bool:
        """See ``Box``."""
        return 0 < TRIES_MAX <= self._suspects.get(key, 0)

    @property
    def has_suspects(self) -> bool:
        """See ``Box``."""
        return bool(self._suspects)

    def suspicion(self, key: str) -> int:
        """See ``Box``."""
        return self._suspects.get(key, 0)


class BlackBox:
    """The box of one store on this machine: ``PATH.box``, and the counts in ``PATH.suspects``."""

    def __init__(self, store: Path, tries_max: int = TRIES_MAX) -> None:
        self.move_to(store)
        self._tries_max = tries_max
        self._lock = threading.Lock()
        self._local = threading.local()
        self._free = list(range(_SLOTS))
        self._suspects: dict[str, int] = {}
        self._map: mmap.mmap | None = None

    def move_to(self, store: Path) -> None:
        """Be the box of this store instead; before ``open``."""
        self._box_path = store.with_name(store.name + ".box")
        self._counts_path = store.with_name(store.name + ".suspects")

    def open(self) -> list[str]:
        """Count what the last process left in the box, then begin a new one; returns the keys counted.

        Call it only while holding the store's lock.
        """
        named = _read_box(self._box_path)
        self._suspects = _read_counts(self._counts_path)
        for key in named:
            self._suspects[key] = self._suspects.get(key, 0) + 1
        if named:
            self._write_counts()
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self._box_path, flags, 0o600)
        try:
            os.ftruncate(descriptor, _HEADER_BYTES + _SLOTS * _SLOT_BYTES)
            self._map = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        header = _MAGIC + _boot_id()
        self._map[: len(header)] = header
        return named

    def close(self) -> None:
        """End orderly: what still runs is cut off by us, not by itself. Twice-safe."""
        box, self._map = self._map, None
        if box is not None:
            box.close()
            self._box_path.unlink(missing_ok=True)

    def enter(self, key: str) -> None:
        """See ``Box``."""
        slot: int | None = getattr(self._local, "slot", -1)
        if slot == -1:
            slot = self._local.slot = self._take_slot()
        self._write(slot, key)

    def leave(self, key: str) -> None:
        """See ``Box``."""
        self._erase(self._local.slot)
        if self._suspects:
            self._forget(key)

    def leave_given_up(self, key: str) -> None:
        """See ``Box``."""
        self._erase(self._local.slot)

    def suspect(self, key: str) -> None:
        """See ``Box``."""
        with self._lock:
            self._suspects[key] = self._suspects.get(key, 0) + 1
            try:
                self._write_counts()
            except OSError as error:
                # It is counted all the same, in this process.
                logger.warning("What user code is suspected of cannot be written: %s", error)

    def enter_shared(self, key: str) -> int | None:
        """See ``Box``."""
        slot = self._take_slot()
        self._write(slot, key)
        return slot

    def leave_shared(self, slot: int | None, key: str) -> None:
        """See ``Box``."""
        self._erase(slot)
        if slot is not None:
            with self._lock:
                self._free.append(slot)
        if self._suspects:
            self._forget(key)

    def is_poisoned(self, key: str) -> bool:
        """See ``Box``."""
        return 0 < self._tries_max <= self._suspects.get(key, 0)

    @property
    def has_suspects(self) -> bool:
        """See ``Box``."""
        return bool(self._suspects)

    def suspicion(self, key: str) -> int:
        """See ``Box``."""
        return self._suspects.get(key, 0)

    def _take_slot(self) -> int | None:
        # Beyond the last slot nothing is noted: a suspect the fewer, never an innocent the more.
        with self._lock:
            return self._free.pop() if self._free else None

    def _write(self, slot: int | None, key: str) -> None:
        box = self._map
        if slot is None or box is None:
            return
        text = key.encode("utf-8", "surrogatepass")[: _SLOT_BYTES - 2]
        at = _HEADER_BYTES + slot * _SLOT_BYTES
        box[at + 2 : at + 2 + len(text)] = text
        # The length comes last: a half-written name is no name.
        box[at : at + 2] = len(text).to_bytes(2, "little")

    def _erase(self, slot: int | None) -> None:
        box = self._map
        if slot is not None and box is not None:
            at = _HEADER_BYTES + slot * _SLOT_BYTES
            box[at : at + 2] = b"\0\0"

    def _forget(self, key: str) -> None:
        if self.is_poisoned(key):
            return
        with self._lock:
            if self._suspects.pop(key, None) is None:
                return
            try:
                self._write_counts()
            except OSError as error:
                # The disk may be full. An old suspicion that stays is milder than a thread that ends here.
                logger.warning("What user code is suspected of cannot be written: %s", error)

    def _write_counts(self) -> None:
        if not self._suspects:
            self._counts_path.unlink(missing_ok=True)
            return
        new = self._counts_path.with_name(self._counts_path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(new, flags, 0o600), "w", encoding="utf-8", errors="surrogatepass") as file:
            json.dump(self._suspects, file)
        new.replace(self._counts_path)


def _read_box(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except OSError:
        return []
    header = _MAGIC + _boot_id()
    if not content.startswith(header) or len(content) != _HEADER_BYTES + _SLOTS * _SLOT_BYTES:
        return []
    named: list[str] = []
    for at in range(_HEADER_BYTES, len(content), _SLOT_BYTES):
        length = int.from_bytes(content[at : at + 2], "little")
        if length:
            named.append(content[at + 2 : at + 2 + length].decode("utf-8", "replace"))
    return named


def _read_counts(path: Path) -> dict[str, int]:
    try:
        counts = json.loads(path.read_text("utf-8", "surrogatepass"))
    except (OSError, ValueError):
        return {}
    if not isinstance(counts, dict):
        return {}
    return {k: v for k, v in counts.items() if isinstance(k, str) and isinstance(v, int)}


def _boot_id() -> bytes:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes()[:64]
    except OSError:
        return b""
