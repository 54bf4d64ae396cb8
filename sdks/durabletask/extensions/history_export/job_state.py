"""What a job's entity keeps, and what users see of it. The kept form names no class of this package."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from durabletask.extensions.history_export.options import ExportJobConfiguration
from durabletask.extensions.history_export.times import text_of, time_of

STATE_SCHEMA_VERSION = "1.0"


class ExportJobStatus(Enum):
    """How far a job is."""

    ACTIVE = "Active"
    COMPLETED = "Completed"
    FAILED = "Failed"


@dataclass
class ExportCheckpoint:
    """Where a job goes on: the token of the page it reads next. None: at the beginning."""

    last_instance_key: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"last_instance_key": self.last_instance_key}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ExportCheckpoint":
        """The inverse of ``to_dict``."""
        return cls(data.get("last_instance_key"))


@dataclass
class ExportFailure:
    """An instance that could not be exported."""

    instance_id: str
    reason: str
    attempt_count: int
    last_attempt: datetime

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "instance_id": self.instance_id,
            "reason": self.reason,
            "attempt_count": self.attempt_count,
            "last_attempt": text_of(self.last_attempt),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ExportFailure":
        """The inverse of ``to_dict``."""
        at = _needed(data, "last_attempt")
        return cls(data["instance_id"], data["reason"], int(data["attempt_count"]), at)


@dataclass
class ExportJobState:
    """The state of a job's entity."""

    status: ExportJobStatus
    config: ExportJobConfiguration
    created_at: datetime
    last_modified_at: datetime
    orchestrator_instance_id: str | None = None
    checkpoint: ExportCheckpoint = field(default_factory=ExportCheckpoint)
    last_checkpoint_time: datetime | None = None
    last_error: str | None = None
    scanned_instances: int = 0
    exported_instances: int = 0
    failed_instances: int = 0
    failures: list[ExportFailure] = field(default_factory=list[ExportFailure])

    @classmethod
    def new(
        cls, config: ExportJobConfiguration, *, created_at: datetime, orchestrator_instance_id: str | None = None
    ) -> "ExportJobState":
        """A job that begins."""
        return cls(ExportJobStatus.ACTIVE, config, created_at, created_at, orchestrator_instance_id)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "schema_version": STATE_SCHEMA_VERSION,
            "status": self.status.value,
            "config": self.config.to_dict(),
            "checkpoint": self.checkpoint.to_dict(),
            "created_at": text_of(self.created_at),
            "last_modified_at": text_of(self.last_modified_at),
            "last_checkpoint_time": text_of(self.last_checkpoint_time),
            "last_error": self.last_error,
            "scanned_instances": self.scanned_instances,
            "exported_instances": self.exported_instances,
            "failed_instances": self.failed_instances,
            "orchestrator_instance_id": self.orchestrator_instance_id,
            "failures": [failure.to_dict() for failure in self.failures],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ExportJobState":
        """The inverse of ``to_dict``. Raises ValueError for a state of another version, or an incomplete one."""
        version = data.get("schema_version", STATE_SCHEMA_VERSION)
        if version != STATE_SCHEMA_VERSION:
            raise ValueError(
                f"The export job's state is of version {version}; this package reads {STATE_SCHEMA_VERSION}."
            )
        if not data.get("config"):
            raise ValueError("The export job's state has no config.")
        return cls(
            status=ExportJobStatus(data["status"]),
            config=ExportJobConfiguration.from_dict(data["config"]),
            created_at=_needed(data, "created_at"),
            last_modified_at=_needed(data, "last_modified_at"),
            orchestrator_instance_id=data.get("orchestrator_instance_id"),
            checkpoint=ExportCheckpoint.from_dict(data.get("checkpoint") or {}),
            last_checkpoint_time=time_of(data.get("last_checkpoint_time")),
            last_error=data.get("last_error"),
            scanned_instances=int(data.get("scanned_instances", 0)),
            exported_instances=int(data.get("exported_instances", 0)),
            failed_instances=int(data.get("failed_instances", 0)),
            failures=[ExportFailure.from_dict(failure) for failure in data.get("failures") or ()],
        )


@dataclass
class ExportJobDescription:
    """A job as users see it."""

    job_id: str
    status: ExportJobStatus
    created_at: datetime | None
    last_modified_at: datetime | None
    config: ExportJobConfiguration | None
    orchestrator_instance_id: str | None
    scanned_instances: int
    exported_instances: int
    failed_instances: int
    last_error: str | None
    checkpoint: ExportCheckpoint | None
    last_checkpoint_time: datetime | None
    failures: list[ExportFailure] = field(default_factory=list[ExportFailure])

    @classmethod
    def from_state(cls, job_id: str, state: ExportJobState) -> "ExportJobDescription":
        """What a state says."""
        return cls(job_id=job_id, **{**vars(state), "failures": list(state.failures)})

    @classmethod
    def from_state_dict(cls, job_id: str, state: Mapping[str, Any]) -> "ExportJobDescription":
        """What a kept state says. Raises as ``ExportJobState.from_dict``."""
        return cls.from_state(job_id, ExportJobState.from_dict(state))


def _needed(data: Mapping[str, Any], name: str) -> datetime:
    at = time_of(data.get(name))
    if at is None:
        raise ValueError(f"The export job's state has no {name}.")
    return at
