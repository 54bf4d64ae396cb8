"""Where the SDK families differ in replay, as data.

A definition carries one of these; the core never asks which SDK it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from perdure.core.failures import FailureDetails, failure_of


class FailedKind(Enum):
    """What kind of call failed."""

    ACTIVITY = "Activity"
    CHILD = "Orchestrator"
    ENTITY = "Entity"


class ScheduleAt(Enum):
    """When a task becomes an action."""

    FIRST_YIELD = "first yield"
    """Azure Functions 1.x: only what is yielded is scheduled; ids are given depth-first (replay-protocol.md §3)."""
    CALL = "call"
    """Portable: the call schedules."""


class AllMode(Enum):
    """When a group of tasks fails."""

    FAIL_FAST = "fail fast"
    WAIT_FOR_ALL = "wait for all"


class UntakenEvents(Enum):
    """What becomes of external events that nobody took when an execution continues as new."""

    CARRIED = "carried"
    DROPPED = "dropped"


class RetryIds(Enum):
    """Which task id a later attempt gets."""

    NEW = "new"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class ReplayPolicy:
    """How one SDK family behaves.

    ``make_error`` turns a failed call (kind, name, failure) into the exception raised at the yield.
    Timers longer than ``longest_timer`` are made of hops of ``timer_hop``; None: no limit.
    """

    schedule_at: ScheduleAt
    all_mode: AllMode
    retry_ids: RetryIds
    first_task_id: int
    make_error: Callable[[FailedKind, str, FailureDetails], BaseException]
    longest_timer: timedelta | None = None
    timer_hop: timedelta | None = None
    describe: Callable[[BaseException], FailureDetails] = failure_of
    """What is kept of an exception that the code lets pass. Never raises."""
