"""What orchestrator code asked for in one turn, and how the turn ended."""

from datetime import datetime

import msgspec

from perdure.core.failures import FailureDetails


class Asked(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag=True):
    """What every action and every ending is. Other versions read it: a field that is added has a default."""


class ScheduleActivity(Asked, frozen=True):
    """Run an activity."""

    task_id: int
    name: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    trace_context: str | None = None


class CreateTimer(Asked, frozen=True):
    """Wake me at ``fire_at`` (aware UTC) or after."""

    task_id: int
    fire_at: datetime


class StartChild(Asked, frozen=True):
    """Start a child orchestration; without an id it gets one that follows from the parent's."""

    task_id: int
    name: str
    input: str | None = None
    instance_id: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    trace_context: str | None = None


class CallEntity(Asked, frozen=True):
    """Run an entity operation and answer me. ``entity_id`` is ``@name@key``."""

    task_id: int
    entity_id: str
    operation: str
    input: str | None = None
    request_id: str | None = None
    """What the code knows the request by, when that is not its ``task_id``."""


class SignalEntity(Asked, frozen=True):
    """Run an entity operation; at ``due_at`` or after when given. ``entity_id`` is ``@name@key``."""

    task_id: int
    entity_id: str
    operation: str
    input: str | None = None
    due_at: datetime | None = None
    request_id: str | None = None


class SendEvent(Asked, frozen=True):
    """Raise an event to another orchestration."""

    task_id: int
    instance_id: str
    name: str
    input: str | None = None


class LockEntities(Asked, frozen=True):
    """Enter a critical section: lock these entities, then tell me. ``entity_ids`` are ``@name@key``."""

    task_id: int
    section_id: str
    entity_ids: tuple[str, ...]


class UnlockEntity(Asked, frozen=True):
    """Let go of one entity of a critical section."""

    task_id: int
    section_id: str
    entity_id: str


class TerminateInstance(Asked, frozen=True):
    """End another orchestration from outside; leaves no event."""

    task_id: int
    instance_id: str
    reason: str | None = None
    recursive: bool = False


Action = (
    ScheduleActivity
    | CreateTimer
    | StartChild
    | CallEntity
    | SignalEntity
    | SendEvent
    | LockEntities
    | UnlockEntity
    | TerminateInstance
)


class Complete(Asked, frozen=True):
    """The code returned; ``output`` is JSON text, None for no output."""

    output: str | None = None


class Fail(Asked, frozen=True):
    """The code raised, or could not be run."""

    failure: FailureDetails
    output: str | None = None
    """What the instance shows as its output; None: a text that is made of the failure."""


class CarriedEvent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An external event nobody took, on its way into the next execution."""

    name: str
    input: str | None = None


class ContinueAsNew(Asked, frozen=True):
    """Begin the next execution with this input; ``carried`` are the events nobody took, in order."""

    input: str | None = None
    version: str | None = None
    carried: tuple[CarriedEvent, ...] = ()
    tags: dict[str, str] | None = None
    """The next execution's tags; None keeps them."""


Ending = Complete | Fail | ContinueAsNew


class NewStatus(msgspec.Struct, frozen=True, gc=False):
    """The custom status was set in this turn; ``text`` is JSON text, None clears it."""

    text: str | None


class TurnResult(msgspec.Struct, frozen=True, gc=False):
    """All that one orchestrator turn brought about. ``ending`` is None while the code waits."""

    actions: tuple[Action, ...] = ()
    ending: Ending | None = None
    custom_status: NewStatus | None = None
    awaited_events: tuple[str, ...] = ()
    """Names of external events the code waits for, so that `waitingOn` can tell."""
    events_taken: int | None = None
    """The code took only so many of the turn's events after its ``OrchestratorStarted``: the rest comes again, first.
    None when it took all."""
    span: str | None = None
    """The span that all turns of this execution share, as text, when this turn was the first to tell it."""
