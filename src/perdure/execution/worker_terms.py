"""What a connected worker takes: how much, of which kinds, names and versions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from perdure.execution.remote_items import ItemKind, LaneKey

Versions = frozenset[str] | None
"""The versions a worker runs of a name; None for all."""


@dataclass(frozen=True, slots=True)
class WorkFilters:
    """The names a worker takes; a kind without names takes nothing of that kind (grpc.md §5.6)."""

    orchestrations: Mapping[str, Versions]
    activities: Mapping[str, Versions]
    entities: frozenset[str]
    """In lower case, as entity ids have them."""

    def take(self, lane: LaneKey) -> bool:
        """Whether items of this lane are for the worker. Names are compared exactly."""
        if lane.kind is ItemKind.ENTITY:
            return lane.name in self.entities
        names = self.orchestrations if lane.kind is ItemKind.ORCHESTRATION else self.activities
        if lane.name not in names:
            return False
        versions = names[lane.name]
        return versions is None or lane.version in versions


def united(entries: Iterable[tuple[str, Iterable[str]]]) -> dict[str, Versions]:
    """Entries of one kind by name: several for one name are taken together; no versions mean all."""
    found: dict[str, Versions] = {}
    for name, versions in entries:
        more = frozenset(versions)
        known = found.get(name, frozenset())
        found[name] = None if known is None or not more else known | more
    return found


@dataclass(frozen=True, slots=True)
class WorkerTerms:
    """What a worker said when it connected. A limit of 0 means that it stated none."""

    worker: str
    """Who it is, as far as that can be told: the same for all its streams and calls."""
    peer: str = ""
    """Its connection."""
    names_itself: bool = False
    """It sends who it is with every call."""
    agent: str = ""
    limits: tuple[int, int, int] = (0, 0, 0)
    """By ``ItemKind``."""
    filters: WorkFilters | None = None
    """None: it takes everything."""
    asks_past: bool = False
    """It can ask for a long past instead of getting it with the item."""

    def take(self, lane: LaneKey) -> bool:
        """Whether items of this lane are for the worker."""
        if lane.asks_past and not self.asks_past:
            return False
        return self.filters is None or self.filters.take(lane)
