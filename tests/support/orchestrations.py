"""Builders: an orchestration in a given state, and envelopes for it."""

from datetime import UTC, datetime, timedelta

from perdure.core import messages as ms
from perdure.core.actions import TurnResult
from perdure.core.checkpoint import Checkpoint, HistoryChange
from perdure.core.decisions import DecisionLimits, decide
from perdure.core.events import ParentLink
from perdure.core.instance import Instance, InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.receiving import receive
from perdure.core.status import RuntimeStatus

T0 = datetime(2026, 1, 1, tzinfo=UTC)
EXECUTION = "9a528a9e-926f-4b46-b7d3-deaa134b7e8a"
LIMITS = DecisionLimits()


def after(seconds: float) -> datetime:
    """T0 and so many seconds."""
    return T0 + timedelta(seconds=seconds)


def pending(instance_id: str = "order-1", parent: ParentLink | None = None) -> Instance:
    """An orchestration that was accepted and has not begun."""
    origin = Origin(instance_id, InstanceKind.ORCHESTRATION, "ship_order", EXECUTION, T0, input="1", parent=parent)
    return Instance.loaded(InstanceRecord(origin, Progress(RuntimeStatus.Pending, T0)), ())


def envelope(message: ms.AnyMessage, target: str = "order-1") -> ms.Envelope:
    """A message on its way."""
    return ms.Envelope(target, message)


def start_of(instance: Instance) -> ms.Envelope:
    """The message that begins the instance."""
    origin = instance.origin
    start = ms.StartExecution(origin.name, origin.execution_id, origin.input, origin.version, parent=origin.parent)
    return ms.Envelope(origin.instance_id, start)


def apply(instance: Instance, checkpoint: Checkpoint) -> Checkpoint:
    """Make the checkpoint true in memory, as the engine does after a commit."""
    if checkpoint.history is HistoryChange.REPLACE:
        renewed = Instance.loaded(InstanceRecord(checkpoint.origin, checkpoint.progress), ())
        instance.origin, instance.open_work, instance.started = renewed.origin, {}, False
    else:
        instance.fold(checkpoint.events, instance.progress.last_seq + 1)
    instance.progress = checkpoint.progress
    return checkpoint


def episode(
    instance: Instance,
    envelopes: list[ms.Envelope],
    result: TurnResult | None = None,
    seconds: float = 0,
    limits: DecisionLimits = LIMITS,
) -> Checkpoint:
    """One whole episode: receive, decide, apply."""
    intake = receive(instance, envelopes, after(seconds))
    return apply(instance, decide(instance, intake, result if intake.runs_code else None, limits))


def running(result: TurnResult | None = None, parent: ParentLink | None = None) -> Instance:
    """An orchestration after its first episode."""
    instance = pending(parent=parent)
    episode(instance, [start_of(instance)], result or TurnResult())
    return instance
