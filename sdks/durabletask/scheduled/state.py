"""What the schedule entity keeps, in the format that the SDKs of other languages read as well."""

import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from durabletask.scheduled.options import (
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduleStatus,
    ScheduleUpdateOptions,
    aware,
    check_span,
    read_time,
)
from durabletask.serialization import DEFAULT_DATA_CONVERTER

_ORDINALS = {ScheduleStatus.UNINITIALIZED: 0, ScheduleStatus.ACTIVE: 1, ScheduleStatus.PAUSED: 2}
_STATUSES = {ordinal: status for status, ordinal in _ORDINALS.items()}
_SPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)(?:\.(?P<ticks>\d{1,7}))?")


def new_token() -> str:
    """Names one plan of a schedule; a run that was planned under an older one does nothing."""
    return uuid.uuid4().hex


@dataclass
class ScheduleConfiguration:
    """What is started, when. The input is JSON text."""

    schedule_id: str
    orchestration_name: str
    interval: timedelta
    orchestration_input: str | None = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    start_immediately_if_late: bool = False

    @classmethod
    def created(cls, options: ScheduleCreationOptions) -> "ScheduleConfiguration":
        """As the options say."""
        return cls(
            options.schedule_id,
            options.orchestration_name,
            options.interval,
            DEFAULT_DATA_CONVERTER.serialize(options.orchestration_input),
            options.orchestration_instance_id,
            None if options.start_at is None else aware(options.start_at),
            None if options.end_at is None else aware(options.end_at),
            options.start_immediately_if_late,
        )

    def update(self, options: ScheduleUpdateOptions) -> None:
        """Change what the options name. Raises ValueError for a schedule that would end before it starts."""
        if options.orchestration_name:
            self.orchestration_name = options.orchestration_name
        if options.orchestration_input is not None:
            self.orchestration_input = DEFAULT_DATA_CONVERTER.serialize(options.orchestration_input)
        if options.orchestration_instance_id is not None:
            self.orchestration_instance_id = options.orchestration_instance_id
        if options.interval is not None:
            self.interval = options.interval
        if options.start_at is not None:
            self.start_at = aware(options.start_at)
        if options.end_at is not None:
            self.end_at = aware(options.end_at)
        if options.start_immediately_if_late is not None:
            self.start_immediately_if_late = options.start_immediately_if_late
        check_span(self.start_at, self.end_at)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "ScheduleId": self.schedule_id,
            "OrchestrationName": self.orchestration_name,
            "Interval": write_span(self.interval),
            "OrchestrationInput": self.orchestration_input,
            "OrchestrationInstanceId": self.orchestration_instance_id,
            "StartAt": _written(self.start_at),
            "EndAt": _written(self.end_at),
            "StartImmediatelyIfLate": self.start_immediately_if_late,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ScheduleConfiguration":
        """Read what was kept."""
        return cls(
            data["ScheduleId"],
            data["OrchestrationName"],
            read_span(data["Interval"]),
            data.get("OrchestrationInput"),
            data.get("OrchestrationInstanceId"),
            read_time(data.get("StartAt")),
            read_time(data.get("EndAt")),
            bool(data.get("StartImmediatelyIfLate")),
        )


@dataclass
class ScheduleState:
    """The whole state of one schedule."""

    status: ScheduleStatus = ScheduleStatus.UNINITIALIZED
    execution_token: str = field(default_factory=new_token)
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    configuration: ScheduleConfiguration | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "Status": _ORDINALS[self.status],
            "ExecutionToken": self.execution_token,
            "LastRunAt": _written(self.last_run_at),
            "NextRunAt": _written(self.next_run_at),
            "ScheduleCreatedAt": _written(self.created_at),
            "ScheduleLastModifiedAt": _written(self.modified_at),
            "ScheduleConfiguration": None if self.configuration is None else self.configuration.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ScheduleState":
        """Read what was kept, here or by another SDK."""
        configuration = data.get("ScheduleConfiguration")
        status = data.get("Status", 0)
        return cls(
            _STATUSES[status] if isinstance(status, int) else ScheduleStatus(status),
            data.get("ExecutionToken") or "",
            read_time(data.get("LastRunAt")),
            read_time(data.get("NextRunAt")),
            read_time(data.get("ScheduleCreatedAt")),
            read_time(data.get("ScheduleLastModifiedAt")),
            None if configuration is None else ScheduleConfiguration.from_json(configuration),
        )

    def describe(self, schedule_id: str) -> ScheduleDescription:
        """The state as users are told it."""
        description = ScheduleDescription(
            schedule_id,
            status=self.status,
            execution_token=self.execution_token,
            last_run_at=self.last_run_at,
            next_run_at=self.next_run_at,
        )
        if self.configuration is not None:
            description.orchestration_name = self.configuration.orchestration_name
            description.orchestration_input = DEFAULT_DATA_CONVERTER.deserialize(self.configuration.orchestration_input)
            description.orchestration_instance_id = self.configuration.orchestration_instance_id
            description.start_at = self.configuration.start_at
            description.end_at = self.configuration.end_at
            description.interval = self.configuration.interval
            description.start_immediately_if_late = self.configuration.start_immediately_if_late
        return description


def write_span(span: timedelta) -> str:
    """A span of time as ``[d.]hh:mm:ss[.fffffff]``."""
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{span.days}." if span.days else ""
    fraction = f".{span.microseconds * 10:07d}" if span.microseconds else ""
    return f"{days}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"


def read_span(text: str) -> timedelta:
    """Read such a span. Raises ValueError for anything else."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no span of time; expected [d.]hh:mm:ss[.fffffff].")
    ticks = int((match["ticks"] or "0").ljust(7, "0"))
    return timedelta(
        days=int(match["days"] or 0),
        hours=int(match["hours"]),
        minutes=int(match["minutes"]),
        seconds=int(match["seconds"]),
        microseconds=ticks // 10,
    )


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else aware(moment).isoformat()
