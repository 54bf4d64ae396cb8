"""How much work there is, by kind and name. What waits for remote workers costs only as much as there are names."""

from collections import Counter
from collections.abc import Iterable

from perdure.contracts.executor import ServedKind
from perdure.contracts.records import PendingActivity
from perdure.contracts.work_load import WorkLoad
from perdure.execution.remote_items import ItemKind, Work

_KINDS = {
    ItemKind.ORCHESTRATION: ServedKind.ORCHESTRATOR,
    ItemKind.ACTIVITY: ServedKind.ACTIVITY,
    ItemKind.ENTITY: ServedKind.ENTITY,
}
Name = tuple[ItemKind, str]


class LoadCount:
    """Adds up; versions of one name count together."""

    def __init__(self) -> None:
        self._pending: Counter[Name] = Counter()
        self._active: Counter[Name] = Counter()
        self._oldest: dict[Name, float] = {}

    def add_pending(self, kind: ItemKind, name: str, number: int, oldest: float) -> None:
        """So many wait, the oldest since then on the loop's clock."""
        if not number:
            self._pending.setdefault((kind, name), 0)
            return
        self._pending[kind, name] += number
        self._oldest[kind, name] = min(oldest, self._oldest.get((kind, name), oldest))

    def add_waiting(self, works: Iterable[Work]) -> None:
        """These wait outside of any lane."""
        for work in works:
            self.add_pending(work.lane.kind, work.lane.name, 1, work.since)

    def add_active(self, works: Iterable[Work]) -> None:
        """Workers have these."""
        for work in works:
            self._active[work.lane.kind, work.lane.name] += 1

    def loads(self, now: float) -> list[WorkLoad]:
        """All of it, by kind and name."""
        return [
            WorkLoad(
                _KINDS[kind],
                name,
                self._pending[kind, name],
                self._active[kind, name],
                max(now - self._oldest[kind, name], 0.0) if (kind, name) in self._oldest else 0.0,
            )
            for kind, name in sorted(self._pending.keys() | self._active.keys())
        ]


def loads_here(waiting: Iterable[PendingActivity], running: Iterable[PendingActivity]) -> list[WorkLoad]:
    """Activities of this process, by name. Nobody notes since when they wait."""
    pending = Counter(activity.name for activity in waiting)
    active = Counter(activity.name for activity in running)
    return [
        WorkLoad(ServedKind.ACTIVITY, name, pending[name], active[name], None if pending[name] else 0.0)
        for name in sorted(pending.keys() | active.keys())
    ]
