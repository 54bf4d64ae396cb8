"""What one measuring process is asked to do, and what it answers."""

import json
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

Figures = dict[str, float]
"""What one run measured, by the figure's name."""


class Workload(Enum):
    """The workloads (benchmarks/README.md)."""

    SEQUENCE = "A"
    FAN_OUT = "B"
    LATENCY = "C"
    RESIDENT = "D"
    SIXTY = "D2"
    LONG = "E"
    WAITING = "F"
    CRASH = "crash"


class Part(Enum):
    """Of a crash: what comes before the kill, and what after it. Everything else is whole."""

    WHOLE = "whole"
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Job:
    """One workload, once, in one process."""

    engine: str
    workload: Workload
    size: int
    folder: Path
    part: Part = Part.WHOLE
    rest_seconds: float = 0.0
    """F: how long the instances wait before memory is read and processor time is counted."""
    profile: Path | None = None
    """Write a profile of the loop's thread here."""

    def to_text(self) -> str:
        """As one argument."""
        return json.dumps(asdict(self), default=_plain)


def read_job(text: str) -> Job:
    """The job of ``to_text``."""
    values = json.loads(text)
    return Job(
        engine=values["engine"],
        workload=Workload(values["workload"]),
        size=values["size"],
        folder=Path(values["folder"]),
        part=Part(values["part"]),
        rest_seconds=values["rest_seconds"],
        profile=None if values["profile"] is None else Path(values["profile"]),
    )


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    assert isinstance(value, Path)
    return str(value)
