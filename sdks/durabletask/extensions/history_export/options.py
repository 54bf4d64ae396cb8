"""What an export job is told: which histories, in which form, and where to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from durabletask.extensions.history_export.times import text_of, time_of
from durabletask.states import OrchestrationStatus

TERMINAL = (OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED)
BATCH_MAX = 1000


class ExportMode(Enum):
    """Whether a job ends by itself."""

    BATCH = "Batch"
    """It exports what has ended in a window of time, and ends."""
    CONTINUOUS = "Continuous"
    """It goes on with whatever ends, until it is deleted."""


class ExportFormatKind(Enum):
    """What a document is."""

    JSON = "Json"
    """One JSON object."""
    JSONL_GZIP = "JsonlGzip"
    """Compressed lines: one about the instance, then one for each event."""


@dataclass
class ExportFormat:
    """How histories are written."""

    kind: ExportFormatKind = ExportFormatKind.JSONL_GZIP
    schema_version: str = "1.0"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"kind": self.kind.value, "schema_version": self.schema_version}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ExportFormat":
        """The inverse of ``to_dict``."""
        return cls(ExportFormatKind(data["kind"]), data.get("schema_version", "1.0"))


@dataclass
class ExportDestination:
    """Where to: a container, and what all names in it begin with. Raises ValueError without a container."""

    container: str
    prefix: str | None = None

    def __post_init__(self) -> None:
        if not self.container:
            raise ValueError("An ExportDestination needs a container.")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"container": self.container, "prefix": self.prefix}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ExportDestination":
        """The inverse of ``to_dict``."""
        return cls(data["container"], data.get("prefix"))


@dataclass
class ExportFilter:
    """Which instances: those that ended from one time on and before another, with one of these statuses."""

    completed_time_from: datetime
    completed_time_to: datetime | None = None
    runtime_status: list[OrchestrationStatus] | None = None

    def effective_runtime_status(self) -> list[OrchestrationStatus]:
        """The statuses, where none are given all that an end can have."""
        return list(TERMINAL if self.runtime_status is None else self.runtime_status)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; statuses by their numbers."""
        statuses = self.runtime_status
        return {
            "completed_time_from": text_of(self.completed_time_from),
            "completed_time_to": text_of(self.completed_time_to),
            "runtime_status": None if statuses is None else [status.value for status in statuses],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ExportFilter":
        """The inverse of ``to_dict``; statuses may be names, too."""
        begin = time_of(data.get("completed_time_from"))
        if begin is None:
            raise ValueError("An ExportFilter needs completed_time_from.")
        statuses = data.get("runtime_status")
        return cls(
            begin,
            time_of(data.get("completed_time_to")),
            None if statuses is None else [_status(status) for status in statuses],
        )


@dataclass
class ExportJobConfiguration:
    """All that a running job goes by. Raises ValueError for what cannot be."""

    mode: ExportMode
    filter: ExportFilter
    destination: ExportDestination
    format: ExportFormat = field(default_factory=ExportFormat)
    max_instances_per_batch: int = 100
    max_parallel_exports: int = 32

    def __post_init__(self) -> None:
        if not 1 <= self.max_instances_per_batch <= BATCH_MAX:
            raise ValueError(f"max_instances_per_batch is 1 to {BATCH_MAX}, not {self.max_instances_per_batch}.")
        if self.max_parallel_exports < 1:
            raise ValueError(f"max_parallel_exports must be at least 1, not {self.max_parallel_exports}.")
        begin, end = self.filter.completed_time_from, self.filter.completed_time_to
        if self.mode is ExportMode.BATCH and end is None:
            raise ValueError("A job of mode BATCH needs completed_time_to: without an end it would never end.")
        if self.mode is ExportMode.CONTINUOUS and end is not None:
            raise ValueError("A job of mode CONTINUOUS has no completed_time_to: it goes on until it is deleted.")
        if end is not None and end <= begin:
            raise ValueError("completed_time_to must lie after completed_time_from.")
        if wrong := [status.name for status in self.filter.runtime_status or () if status not in TERMINAL]:
            raise ValueError(f"runtime_status holds {', '.join(wrong)}; only ends can be exported: {_NAMES}.")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "mode": self.mode.value,
            "filter": self.filter.to_dict(),
            "destination": self.destination.to_dict(),
            "format": self.format.to_dict(),
            "max_instances_per_batch": self.max_instances_per_batch,
            "max_parallel_exports": self.max_parallel_exports,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ExportJobConfiguration":
        """The inverse of ``to_dict``."""
        form = data.get("format")
        return cls(
            ExportMode(data["mode"]),
            ExportFilter.from_dict(data["filter"]),
            ExportDestination.from_dict(data["destination"]),
            ExportFormat() if form is None else ExportFormat.from_dict(form),
            int(data.get("max_instances_per_batch", 100)),
            int(data.get("max_parallel_exports", 32)),
        )


@dataclass
class ExportJobCreationOptions:
    """A job to be created."""

    mode: ExportMode
    completed_time_from: datetime
    destination: ExportDestination
    completed_time_to: datetime | None = None
    runtime_status: list[OrchestrationStatus] | None = None
    format: ExportFormat = field(default_factory=ExportFormat)
    max_instances_per_batch: int = 100
    max_parallel_exports: int = 32

    def to_configuration(self) -> ExportJobConfiguration:
        """What the job goes by. Raises ValueError for what cannot be."""
        return ExportJobConfiguration(
            self.mode,
            ExportFilter(self.completed_time_from, self.completed_time_to, self.runtime_status),
            self.destination,
            self.format,
            self.max_instances_per_batch,
            self.max_parallel_exports,
        )


@dataclass
class ExportJobQuery:
    """Which jobs; None means no condition."""

    status: "list[Any] | None" = None
    last_modified_from: datetime | None = None
    last_modified_to: datetime | None = None
    page_size: int | None = None


_NAMES = ", ".join(status.name for status in TERMINAL)


def _status(value: Any) -> OrchestrationStatus:
    """A status by its number, or by its name."""
    if isinstance(value, str) and not value.isdigit():
        return OrchestrationStatus[value]
    return OrchestrationStatus(int(value))
