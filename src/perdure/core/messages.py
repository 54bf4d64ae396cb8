"""What travels to an instance, and the envelope it travels in."""

from datetime import datetime

import msgspec

from perdure.core.actions import CarriedEvent
from perdure.core.events import ParentLink
from perdure.core.failures import FailureDetails


class Message(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag=True):
    """What every message is."""


class StartExecution(Message, frozen=True):
    """Begin an execution. Taken once: by the instance whose execution id it names, while its history is empty."""

    name: str
    execution_id: str
    input: str | None = None
    version: str | None = None
    generation: int = 0
    parent: ParentLink | None = None
    scheduled_start_at: datetime | None = None
    trace_context: str | None = None
    tags: dict[str, str] | None = None
    carried: tuple[CarriedEvent, ...] = ()


class ActivityCompleted(Message, frozen=True):
    """An activity's result, for the execution that scheduled it."""

    execution_id: str
    scheduled_seq: int
    result: str | None = None


class ActivityFailed(Message, frozen=True):
    """An activity's failure, for the execution that scheduled it."""

    execution_id: str
    scheduled_seq: int
    failure: FailureDetails


class ChildCompleted(Message, frozen=True):
    """A child's output."""

    execution_id: str
    scheduled_seq: int
    result: str | None = None


class ChildFailed(Message, frozen=True):
    """A child's failure, or that it could not be started."""

    execution_id: str
    scheduled_seq: int
    failure: FailureDetails


class TimerDue(Message, frozen=True):
    """A timer of oneself; the envelope carries the due time."""

    execution_id: str
    scheduled_seq: int
    fire_at: datetime


class RaiseEvent(Message, frozen=True):
    """A named event from outside or from another orchestration."""

    name: str
    input: str | None = None


class Suspend(Message, frozen=True):
    """Hold back everything but resume and terminate."""

    reason: str | None = None


class Resume(Message, frozen=True):
    """Let the held messages through."""

    reason: str | None = None


class Terminate(Message, frozen=True):
    """End the execution; with ``recursive`` its children too.

    ``at_once``: also while its code runs, whose result means nothing then; but not while it holds entity locks.
    """

    reason: str | None = None
    recursive: bool = False
    at_once: bool = False


class Rewind(Message, frozen=True):
    """Take a failure back and go on from before it; only a failed instance does.

    With ``parent``, a parent that was rewound sends it to a child whose answer it lacks.
    """

    reason: str | None = None
    parent: ParentLink | None = None


class ReplyTo(msgspec.Struct, frozen=True, gc=False):
    """Where the answer to an entity call goes."""

    instance_id: str
    execution_id: str
    scheduled_seq: int


class OperationRequest(Message, frozen=True):
    """An entity operation; without ``reply_to`` it is a signal."""

    operation: str
    input: str | None = None
    reply_to: ReplyTo | None = None
    request_id: str | None = None
    trace_context: str | None = None
    """Of whoever sent the signal. Batches for workers have no place for it; the engine's own spans do."""


class OperationCompleted(Message, frozen=True):
    """An entity's answer."""

    execution_id: str
    scheduled_seq: int
    result: str | None = None


class OperationFailed(Message, frozen=True):
    """An entity operation's failure."""

    execution_id: str
    scheduled_seq: int
    failure: FailureDetails


class LockRequest(Message, frozen=True):
    """Lock an entity for a critical section.

    It visits ``entity_ids`` in order; ``place`` is the one it is at. Each locks itself and passes it on, the last one
    tells the holder.
    """

    holder: ReplyTo
    section_id: str
    entity_ids: tuple[str, ...]
    place: int = 0


class LockRelease(Message, frozen=True):
    """Let an entity go, if this section holds it or waits for it; then go on to ``then``, in order.

    An execution that ends sends it the way its request went, so that it finds the request wherever that is.
    """

    holder_id: str
    section_id: str
    then: tuple[str, ...] = ()


class LockGranted(Message, frozen=True):
    """All entities of a critical section are locked."""

    execution_id: str
    scheduled_seq: int


class RemoveWhenEmpty(Message, frozen=True):
    """Forget an entity that has no state, no lock and nothing to do; ``despite_state``: one that has a state too."""

    despite_state: bool = False


AnyMessage = (
    StartExecution
    | ActivityCompleted
    | ActivityFailed
    | ChildCompleted
    | ChildFailed
    | TimerDue
    | RaiseEvent
    | Suspend
    | Resume
    | Terminate
    | Rewind
    | OperationRequest
    | OperationCompleted
    | OperationFailed
    | LockRequest
    | LockRelease
    | LockGranted
    | RemoveWhenEmpty
)

ENTITY_MESSAGES = frozenset[type]({OperationRequest, LockRequest, LockRelease, RemoveWhenEmpty})
"""What means something to an entity."""


class Envelope(msgspec.Struct, eq=False):
    """A message on its way: to whom, from when on, and where it is stored.

    ``position`` is the number of its inbox row, unique in the hub and rising per sender; None while it
    has no row (architecture.md J1). ``ends_activity`` is the number of the pending activity this message
    ends: consuming or writing the message deletes that activity's row in the same transaction.
    Only a storage writes ``position``.
    """

    target: str
    message: AnyMessage
    due_at: datetime | None = None
    position: int | None = None
    ends_activity: int | None = None
