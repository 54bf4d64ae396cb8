"""Figures of task hubs, as Prometheus reads them (text format 0.0.4) and as sums that a scaler reads.

The text format is a few lines, so no package writes it for us.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from perdure.contracts.executor import ServedKind
from perdure.contracts.observer import ActivityEnded, EpisodeCommitted, Fact
from perdure.contracts.work_load import WorkLoad
from perdure.core.instance import InstanceKind

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NAMES_MAX = 10_000
"""So many names are counted apart; what comes after them is counted together, without a name."""

KIND_NAMES = {
    ServedKind.ORCHESTRATOR: "orchestration",
    ServedKind.ACTIVITY: "activity",
    ServedKind.ENTITY: "entity",
}
Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]


class WorkCounts:
    """Counts what becomes durable, from the moment on when it begins to observe."""

    wants: frozenset[type] = frozenset({EpisodeCommitted, ActivityEnded})

    def __init__(self) -> None:
        self.episodes: Counter[str] = Counter()
        """By kind of instance."""
        self.started: Counter[str] = Counter()
        """Orchestrations whose first episode is committed, by name."""
        self.ended: Counter[tuple[str, str]] = Counter()
        """Orchestrations, by name and status."""
        self.activities: Counter[tuple[str, str]] = Counter()
        """By name and outcome."""

    def announce(self, fact: Fact) -> None:
        """See ``contracts.observer.Observer``."""
        if isinstance(fact, EpisodeCommitted):
            origin, progress = fact.checkpoint.origin, fact.checkpoint.progress
            if origin.kind is InstanceKind.ENTITY:
                self.episodes["entity"] += 1
                return
            self.episodes["orchestration"] += 1
            name = origin.name
            if fact.checkpoint.expected_last_seq < 0:
                self.started[name if name in self.started or len(self.started) < NAMES_MAX else ""] += 1
            if progress.status.is_terminal:
                _add(self.ended, name, progress.status.name)
        elif isinstance(fact, ActivityEnded):
            _add(self.activities, fact.name, "completed" if fact.failure is None else "failed")


def _add(counts: Counter[tuple[str, str]], name: str, outcome: str) -> None:
    key = name, outcome
    counts[key if key in counts or len(counts) < NAMES_MAX else ("", outcome)] += 1


class HubFigures(msgspec.Struct, frozen=True):
    """What a hub's figures are now. ``workers`` None: it has no door for workers of other processes."""

    task_hub: str
    loads: Sequence[WorkLoad]
    live_instances: int
    counts: WorkCounts
    workers: int | None = None


class Load(msgspec.Struct, frozen=True, rename="camel"):
    """A sum. ``total``: what a scaler divides among workers."""

    pending: int
    active: int
    total: int
    oldest_age_in_seconds: int | None


def load_of(loads: Iterable[WorkLoad], kind: ServedKind | None = None, name: str | None = None) -> Load:
    """All of it, or of a kind or a name; names of entities are compared without case."""
    chosen = [load for load in loads if (kind is None or load.kind is kind) and (name is None or _is_named(load, name))]
    pending, active = sum(load.pending for load in chosen), sum(load.active for load in chosen)
    ages = [load.oldest_seconds for load in chosen if load.oldest_seconds is not None]
    oldest = int(max(ages)) if ages else None if any(load.pending for load in chosen) else 0
    return Load(pending, active, pending + active, oldest)


def _is_named(load: WorkLoad, name: str) -> bool:
    return load.name == name or (load.kind is ServedKind.ENTITY and load.name.lower() == name.lower())


def metrics_text(hubs: Sequence[HubFigures], version: str) -> bytes:
    """The whole page."""
    lines: list[str] = []
    for name, kind, meaning, samples_of in _METRICS:
        lines += [f"# HELP perdure_{name} {meaning}", f"# TYPE perdure_{name} {kind}"]
        for hub in hubs:
            first = ("task_hub", hub.task_hub)
            lines += [f"perdure_{name}{{{_labels((first, *labels))}}} {value}" for labels, value in samples_of(hub)]
    lines += [
        "# HELP perdure_info The version that runs.",
        "# TYPE perdure_info gauge",
        f"perdure_info{{{_labels((('version', version),))}}} 1",
        "",
    ]
    return "\n".join(lines).encode("utf-8", "replace")


def _labels(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _of_loads(value: Callable[[WorkLoad], float | None]) -> Callable[[HubFigures], Iterator[Sample]]:
    def samples(hub: HubFigures) -> Iterator[Sample]:
        for load in hub.loads:
            if (figure := value(load)) is not None:
                yield (("kind", KIND_NAMES[load.kind]), ("name", load.name)), figure

    return samples


def _workers(hub: HubFigures) -> Iterator[Sample]:
    if hub.workers is not None:
        yield (), hub.workers


def _live(hub: HubFigures) -> Iterator[Sample]:
    yield (), hub.live_instances


def _episodes(hub: HubFigures) -> Iterator[Sample]:
    for kind, count in sorted(hub.counts.episodes.items()):
        yield (("kind", kind),), count


def _started(hub: HubFigures) -> Iterator[Sample]:
    for name, count in sorted(hub.counts.started.items()):
        yield (("name", name),), count


def _ended(hub: HubFigures) -> Iterator[Sample]:
    for (name, status), count in sorted(hub.counts.ended.items()):
        yield (("name", name), ("status", status)), count


def _activities(hub: HubFigures) -> Iterator[Sample]:
    for (name, outcome), count in sorted(hub.counts.activities.items()):
        yield (("name", name), ("outcome", outcome)), count


_METRICS: tuple[tuple[str, str, str, Callable[[HubFigures], Iterator[Sample]]], ...] = (
    ("work_items_pending", "gauge", "Work that waits for somebody who runs it.", _of_loads(lambda load: load.pending)),
    ("work_items_active", "gauge", "Work that is with a worker or in user code.", _of_loads(lambda load: load.active)),
    (
        "work_items_oldest_age_seconds", "gauge", "How long the oldest pending work has waited in this process.",
        _of_loads(lambda load: load.oldest_seconds if load.oldest_seconds is None else round(load.oldest_seconds, 3)),
    ),
    ("connected_workers", "gauge", "Workers of other processes that have a stream open.", _workers),
    ("live_instances", "gauge", "Instances in memory.", _live),
    ("episodes_committed_total", "counter", "Episodes made durable since figures were first asked for.", _episodes),
    ("orchestrations_started_total", "counter", "Orchestrations whose first episode is durable.", _started),
    ("orchestrations_ended_total", "counter", "Orchestrations that have ended, by status.", _ended),
    ("activities_ended_total", "counter", "Activities that have ended, each try for itself.", _activities),
)  # fmt: skip
"""Name, type, meaning, and what a hub has of it."""
