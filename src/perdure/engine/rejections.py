"""Instances of versions not run here: their messages stay in the inbox, and their version is asked for again."""

import asyncio
from collections.abc import Callable

from perdure.core.instance import Origin
from perdure.core.versioning import Rejected, Versioning, check

PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX = 1.0, 30.0
REMEMBERED_MAX = 10_000
"""So many instances are looked at again by themselves; those before them, with their next message."""

_Kind = tuple[str | None, str]
"""Version and orchestrator name: what the verdict depends on."""


class Rejections:
    """Who was rejected. Asking again costs no access to the store, and nothing at all while nobody is rejected."""

    def __init__(self, versioning: Versioning, wake: Callable[[], None]) -> None:
        self._versioning = versioning
        self._wake = wake
        self._known: dict[str, tuple[str, _Kind]] = {}
        """Execution id → instance id and kind. Whoever gets the instance id next is somebody else."""
        self._timers: dict[_Kind, asyncio.TimerHandle] = {}
        self.is_look_due = False
        """Some of them are not rejected any more: ``take_accepted`` tells which."""

    def __len__(self) -> int:
        return len(self._known)

    def add(self, origin: Origin) -> bool:
        """Remember an instance; answers whether it was not known."""
        if origin.execution_id in self._known:
            return False
        if len(self._known) >= REMEMBERED_MAX:
            del self._known[next(iter(self._known))]
        kind = (origin.version, origin.name)
        self._known[origin.execution_id] = (origin.instance_id, kind)
        if kind not in self._timers:
            self._arm(kind, PAUSE_SECONDS_FIRST)
        return True

    def discard(self, execution_id: str) -> None:
        """It has ended."""
        self._known.pop(execution_id, None)

    def forget(self, is_gone: Callable[[str], bool]) -> None:
        """These instances are somebody else's now."""
        self._known = {key: known for key, known in self._known.items() if not is_gone(known[0])}

    def take_if_accepted(self, execution_id: str) -> bool:
        """Whether this execution was rejected and is not any more; it is forgotten then."""
        known = self._known.get(execution_id)
        if known is None or self._rejects(known[1]):
            return False
        del self._known[execution_id]
        return True

    def take_accepted(self) -> list[str]:
        """The instances of all that are not rejected any more; they are forgotten."""
        self.is_look_due = False
        return [
            instance_id
            for execution_id, (instance_id, _) in list(self._known.items())
            if self.take_if_accepted(execution_id)
        ]

    def stop(self) -> None:
        """Ask no more. Twice-safe."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _rejects(self, kind: _Kind) -> bool:
        return isinstance(check(self._versioning, *kind), Rejected)

    def _arm(self, kind: _Kind, seconds: float) -> None:
        self._timers[kind] = asyncio.get_running_loop().call_later(seconds, self._ask_again, kind, seconds)

    def _ask_again(self, kind: _Kind, seconds: float) -> None:
        del self._timers[kind]
        if all(kind != known for _, known in self._known.values()):
            return
        if self._rejects(kind):
            self._arm(kind, min(seconds * 2, PAUSE_SECONDS_MAX))
        else:
            self.is_look_due = True
            self._wake()
