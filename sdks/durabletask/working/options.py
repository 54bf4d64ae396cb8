"""How a worker is set up: how much at once, which versions, which work (portable-sdk.md §4.1)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum

from packaging.version import InvalidVersion, Version

from durabletask.entities.instance_id import EntityInstanceId

DEFAULT_MAXIMUM_TIMER_INTERVAL = timedelta(days=3)


class OrchestratorNotRegisteredError(ValueError):
    """A work item names an orchestrator that this worker was not given."""


class ActivityNotRegisteredError(ValueError):
    """A work item names an activity that this worker was not given."""


class EntityNotRegisteredError(ValueError):
    """A work item names an entity that this worker was not given."""


class ConcurrencyOptions:
    """How much a worker does at once; None: 100 per CPU, and CPUs + 4 threads. Raises ValueError below 1."""

    def __init__(
        self,
        maximum_concurrent_activity_work_items: int | None = None,
        maximum_concurrent_orchestration_work_items: int | None = None,
        maximum_concurrent_entity_work_items: int | None = None,
        maximum_thread_pool_workers: int | None = None,
    ) -> None:
        cpus = os.cpu_count() or 1
        self.maximum_concurrent_activity_work_items = _at_least_one(
            "maximum_concurrent_activity_work_items", maximum_concurrent_activity_work_items, 100 * cpus
        )
        self.maximum_concurrent_orchestration_work_items = _at_least_one(
            "maximum_concurrent_orchestration_work_items", maximum_concurrent_orchestration_work_items, 100 * cpus
        )
        self.maximum_concurrent_entity_work_items = _at_least_one(
            "maximum_concurrent_entity_work_items", maximum_concurrent_entity_work_items, 100 * cpus
        )
        self.maximum_thread_pool_workers = _at_least_one(
            "maximum_thread_pool_workers", maximum_thread_pool_workers, cpus + 4
        )


def _at_least_one(name: str, said: int | None, default: int) -> int:
    if said is None:
        return default
    if said < 1:
        raise ValueError(f"{name} must be at least 1, not {said}.")
    return said


class VersionMatchStrategy(IntEnum):
    """Which versions of an orchestration a worker runs."""

    NONE = 1
    STRICT = 2
    CURRENT_OR_OLDER = 3


class VersionFailureStrategy(IntEnum):
    """What a worker does with an orchestration of a version that it does not run."""

    REJECT = 1
    """It is left to another worker."""
    FAIL = 2
    """It fails."""


@dataclass
class VersioningOptions:
    """A worker's version. ``default_version`` is given to sub-orchestrations that are started without one."""

    version: str | None = None
    default_version: str | None = None
    match_strategy: VersionMatchStrategy | None = None
    failure_strategy: VersionFailureStrategy | None = None


def version_mismatch(options: VersioningOptions, version: str | None) -> str | None:
    """Why a worker with these options does not run that version; None when it does."""
    strategy = options.match_strategy
    if strategy is None or strategy == VersionMatchStrategy.NONE:
        return None
    own = options.version or ""
    asked = version or ""
    if strategy == VersionMatchStrategy.STRICT:
        if compare_versions(asked, own) == 0:
            return None
        return f"The orchestration version '{asked}' does not match the worker version '{own}'."
    if strategy == VersionMatchStrategy.CURRENT_OR_OLDER:
        if compare_versions(asked, own) <= 0:
            return None
        return f"The orchestration version '{asked}' is greater than the worker version '{own}'."
    return f"The version match strategy '{strategy}' is unknown; the orchestration is not run."


def compare_versions(left: str | None, right: str | None) -> int:
    """Negative, zero or positive: as PEP 440 orders both, else as text; empty before anything."""
    if not left or not right:
        return bool(left) - bool(right)
    try:
        first, second = Version(left), Version(right)
    except InvalidVersion:
        return (left > right) - (left < right)
    return (first > second) - (first < second)


@dataclass(frozen=True)
class OrchestrationWorkItemFilter:
    """Orchestrations of one name, and of these versions if any are given."""

    name: str
    versions: Sequence[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class ActivityWorkItemFilter:
    """Activities of one name, and of these versions if any are given."""

    name: str
    versions: Sequence[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class EntityWorkItemFilter:
    """Entities of one name. Raises ValueError for a name that no entity can have."""

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", EntityInstanceId(self.name, "key").entity)


@dataclass(frozen=True)
class WorkItemFilters:
    """All that a worker takes; nothing of a kind whose list is empty."""

    orchestrations: Sequence[OrchestrationWorkItemFilter] = field(default_factory=list[OrchestrationWorkItemFilter])
    activities: Sequence[ActivityWorkItemFilter] = field(default_factory=list[ActivityWorkItemFilter])
    entities: Sequence[EntityWorkItemFilter] = field(default_factory=list[EntityWorkItemFilter])


for _public in (
    OrchestratorNotRegisteredError,
    ActivityNotRegisteredError,
    EntityNotRegisteredError,
    ConcurrencyOptions,
    VersionMatchStrategy,
    VersionFailureStrategy,
    VersioningOptions,
    OrchestrationWorkItemFilter,
    ActivityWorkItemFilter,
    EntityWorkItemFilter,
    WorkItemFilters,
):
    _public.__module__ = "durabletask.worker"  # where users import it from, and what failures name
