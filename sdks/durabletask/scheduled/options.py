"""What users say of a schedule, ask for, and are told."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

INTERVAL_MIN = timedelta(seconds=1)
PAGE_SIZE_DEFAULT = 100


class ScheduleStatus(str, Enum):  # noqa: UP042 - its str() names the class, as published
    """What a schedule is doing."""

    UNINITIALIZED = "Uninitialized"
    ACTIVE = "Active"
    PAUSED = "Paused"


@dataclass
class ScheduleCreationOptions:
    """A schedule to be made. Raises ValueError for one that could never run. Times without a zone are UTC."""

    schedule_id: str
    orchestration_name: str
    interval: timedelta
    orchestration_input: Any | None = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    start_immediately_if_late: bool = False

    def __post_init__(self) -> None:
        if not self.schedule_id:
            raise ValueError("schedule_id cannot be empty.")
        if not self.orchestration_name:
            raise ValueError("orchestration_name cannot be empty.")
        check_interval(self.interval)
        check_span(self.start_at, self.end_at)

    def to_json(self) -> dict[str, Any]:
        """The options as they travel."""
        return {
            "schedule_id": self.schedule_id,
            "orchestration_name": self.orchestration_name,
            "interval_seconds": self.interval.total_seconds(),
            "orchestration_input": self.orchestration_input,
            "orchestration_instance_id": self.orchestration_instance_id,
            "start_at": _written(self.start_at),
            "end_at": _written(self.end_at),
            "start_immediately_if_late": self.start_immediately_if_late,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ScheduleCreationOptions":
        """Read options that travelled."""
        return cls(
            schedule_id=data["schedule_id"],
            orchestration_name=data["orchestration_name"],
            interval=timedelta(seconds=data["interval_seconds"]),
            orchestration_input=data.get("orchestration_input"),
            orchestration_instance_id=data.get("orchestration_instance_id"),
            start_at=read_time(data.get("start_at")),
            end_at=read_time(data.get("end_at")),
            start_immediately_if_late=bool(data.get("start_immediately_if_late")),
        )


@dataclass
class ScheduleUpdateOptions:
    """What is to change; what is None stays. Raises ValueError as the creation does."""

    orchestration_name: str | None = None
    orchestration_input: Any | None = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    interval: timedelta | None = None
    start_immediately_if_late: bool | None = None

    def __post_init__(self) -> None:
        if self.interval is not None:
            check_interval(self.interval)
        check_span(self.start_at, self.end_at)

    def to_json(self) -> dict[str, Any]:
        """The options as they travel."""
        return {
            "orchestration_name": self.orchestration_name,
            "orchestration_input": self.orchestration_input,
            "orchestration_instance_id": self.orchestration_instance_id,
            "start_at": _written(self.start_at),
            "end_at": _written(self.end_at),
            "interval_seconds": None if self.interval is None else self.interval.total_seconds(),
            "start_immediately_if_late": self.start_immediately_if_late,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ScheduleUpdateOptions":
        """Read options that travelled."""
        seconds = data.get("interval_seconds")
        return cls(
            orchestration_name=data.get("orchestration_name"),
            orchestration_input=data.get("orchestration_input"),
            orchestration_instance_id=data.get("orchestration_instance_id"),
            start_at=read_time(data.get("start_at")),
            end_at=read_time(data.get("end_at")),
            interval=None if seconds is None else timedelta(seconds=seconds),
            start_immediately_if_late=data.get("start_immediately_if_late"),
        )


@dataclass
class ScheduleQuery:
    """Which schedules; None means no condition. The bounds are not within."""

    status: ScheduleStatus | None = None
    schedule_id_prefix: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    page_size: int | None = None


@dataclass
class ScheduleDescription:
    """A schedule as it is."""

    schedule_id: str
    orchestration_name: str | None = None
    orchestration_input: Any | None = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    interval: timedelta | None = None
    start_immediately_if_late: bool | None = None
    status: ScheduleStatus = ScheduleStatus.UNINITIALIZED
    execution_token: str = ""
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None


def check_interval(interval: timedelta) -> None:
    """Raise ValueError for an interval that no schedule may have."""
    if interval <= timedelta():
        raise ValueError("Interval must be positive.")
    if interval < INTERVAL_MIN:
        raise ValueError("Interval must be at least 1 second.")


def check_span(start_at: datetime | None, end_at: datetime | None) -> None:
    """Raise ValueError for a schedule that would end before it starts."""
    if start_at is not None and end_at is not None and aware(start_at) > aware(end_at):
        raise ValueError("start_at cannot be later than end_at.")


def aware(moment: datetime) -> datetime:
    """The moment in UTC; without a zone it is UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_time(text: str | None) -> datetime | None:
    """A moment that was written."""
    return None if text is None else aware(datetime.fromisoformat(text))


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else aware(moment).isoformat()
