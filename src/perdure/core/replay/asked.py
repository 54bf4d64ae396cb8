"""What code that keeps nothing between turns asks for, each time from its beginning (replay-protocol.md §5).

Groups are no values here: their members are scheduled one by one, in order, whatever the code waits for.
"""

from dataclasses import dataclass
from datetime import datetime

from perdure.core.failures import FailureDetails
from perdure.core.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class AskedActivity:
    """Run an activity; with ``retry`` the host tries it again by itself."""

    name: str
    input: str | None
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class AskedChild:
    """Run a child orchestration; with ``retry`` the host tries it again by itself."""

    name: str
    input: str | None
    instance_id: str | None
    version: str | None
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class AskedTimer:
    """Wake me at ``fire_at``, aware UTC, unless it ``is_cancelled``."""

    fire_at: datetime
    is_cancelled: bool


@dataclass(frozen=True, slots=True)
class AskedEvent:
    """Wait for an external event. Takes no task id."""

    name: str


@dataclass(frozen=True, slots=True)
class AskedCall:
    """Run an entity's operation and answer me."""

    entity_id: str
    operation: str
    input: str | None


@dataclass(frozen=True, slots=True)
class AskedSignal:
    """Run an entity's operation, at ``due_at`` when given."""

    entity_id: str
    operation: str
    input: str | None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AskedHttp:
    """Make an HTTP request durably; ``request`` is its JSON text."""

    request: str


@dataclass(frozen=True, slots=True)
class AskedContinuation:
    """Begin the next execution with this input."""

    input: str | None


AskedAction = (
    AskedActivity
    | AskedChild
    | AskedTimer
    | AskedEvent
    | AskedCall
    | AskedSignal
    | AskedHttp
    | AskedContinuation
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer: all actions since the execution began, in order, and how far the code is.

    ``custom_status`` is the JSON text last set, None for none. ``is_done`` without a ``failure`` means that the code
    returned ``output``.
    """

    actions: tuple[AskedAction, ...]
    is_done: bool = False
    output: str | None = None
    failure: FailureDetails | None = None
    custom_status: str | None = None
