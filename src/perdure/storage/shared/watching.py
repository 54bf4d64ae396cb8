"""Who waits in one process for the status of an instance that runs in another (architecture.md J12)."""

import asyncio
from collections.abc import Callable, Collection, Iterable

from perdure.contracts.errors import HistoryCorrupted
from perdure.core.checkpoint import Checkpoint
from perdure.core.status import RuntimeStatus
from perdure.storage.shared.hints import Hints
from perdure.storage.shared.tables import Hint, SharedTables
from perdure.storage.status_waiters import StatusWaiters

WATCHED_MAX = 100_000
"""So many instances at most are watched for others; who waits for one that is forgotten finds it by its sweep."""


class Watching:
    """Both sides: what others wait for here, and what is waited for here of others.

    ``owner_of`` tells who runs an instance: a process, ourselves too, or None when nobody does or it is not known.
    """

    def __init__(
        self,
        tables: SharedTables,
        waiters: StatusWaiters,
        hints: Hints,
        owner_of: Callable[[str], int | None],
        process: Callable[[], int | None],
    ) -> None:
        self._tables = tables
        self._waiters = waiters
        self._hints = hints
        self._owner_of = owner_of
        self._process = process
        self._watchers: dict[str, dict[int, RuntimeStatus | None]] = {}
        """Instance of ours → who watches it, and the status it was told last."""
        self._asked: dict[str, int] = {}
        """Instance of others → whom we have asked to tell us."""
        self._reading = asyncio.Lock()

    # What others wait for

    def watched(self, sender: int, instance_ids: Iterable[str]) -> None:
        """Another process wants to hear of these. It hears at once, too: it may have looked a moment too early."""
        ids = tuple(instance_ids)
        for instance_id in ids:
            if self._owner_of(instance_id) == self._process():
                self._watchers.setdefault(instance_id, {}).setdefault(sender, None)
                if len(self._watchers) > WATCHED_MAX:
                    del self._watchers[next(iter(self._watchers))]
        self._hints.tell(sender, Hint(sender=0, reached=ids))

    def committed(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Episodes came true."""
        if not self._watchers:
            return
        reached: dict[int, list[str]] = {}
        for checkpoint in checkpoints:
            instance_id, status = checkpoint.origin.instance_id, checkpoint.progress.status
            watchers = self._watchers.get(instance_id)
            if watchers is None:
                continue
            for watcher, told in watchers.items():
                if told is not status:
                    reached.setdefault(watcher, []).append(instance_id)
                    watchers[watcher] = status
            if status.is_terminal:
                del self._watchers[instance_id]
        for watcher, ids in reached.items():
            self._hints.tell(watcher, Hint(sender=0, reached=tuple(ids)))

    def keep_to(self, processes: Collection[int]) -> None:
        """Only these are there; and only what is ours is watched here."""
        for instance_id, watchers in list(self._watchers.items()):
            for watcher in [watcher for watcher in watchers if watcher not in processes]:
                del watchers[watcher]
            if not watchers or self._owner_of(instance_id) != self._process():
                del self._watchers[instance_id]

    # What is waited for here

    def begin(self, instance_id: str) -> None:
        """Somebody here waits for it now."""
        # An owner that was asked before may have told all it had to, of an instance that had the id then.
        self._asked.pop(instance_id, None)
        self._ask([instance_id])

    @property
    def is_waited_for(self) -> bool:
        """Whether anybody here waits for an instance of others."""
        return any(self._owner_of(instance_id) != self._process() for instance_id in self._waiters.instance_ids())

    async def read(self, instance_ids: Iterable[str]) -> None:
        """These may have reached what somebody here waits for. Raises Unavailable."""
        async with self._reading:
            waited = [instance_id for instance_id in instance_ids if self._waiters.is_waited_for(instance_id)]
            if not waited:
                return
            found = await self._tables.statuses_of(waited)
            wanted = [i for i, status in found.items() if self._waiters.is_wanted(i, status)]
            # Together: what is asked for at once is one question.
            await asyncio.gather(*map(self._tell, wanted))

    async def _tell(self, instance_id: str) -> None:
        try:
            record = await self._tables.get(instance_id)
        except HistoryCorrupted as error:
            # It concerns who waits for this one.
            self._waiters.refuse(instance_id, error)
            return
        if record is not None:
            self._waiters.announce(record)

    async def sweep(self) -> None:
        """Look for all that is waited for, and ask owners that are new. Raises Unavailable."""
        waited = list(self._waiters.instance_ids())
        for instance_id in self._asked.keys() - set(waited):
            del self._asked[instance_id]
        foreign = [instance_id for instance_id in waited if self._owner_of(instance_id) != self._process()]
        self._ask(foreign)
        # What has become ours since we asked may have got there under its former owner.
        ours = self._asked.keys() - set(foreign)
        await self.read([*foreign, *ours])
        for instance_id in ours:
            self._asked.pop(instance_id, None)

    def _ask(self, instance_ids: Iterable[str]) -> None:
        watched: dict[int, list[str]] = {}
        for instance_id in instance_ids:
            owner = self._owner_of(instance_id)
            if owner is not None and owner != self._process() and self._asked.get(instance_id) != owner:
                self._asked[instance_id] = owner
                watched.setdefault(owner, []).append(instance_id)
        for owner, ids in watched.items():
            self._hints.tell(owner, Hint(sender=0, watched=tuple(ids)))
