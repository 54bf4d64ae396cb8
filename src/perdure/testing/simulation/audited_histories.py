"""What the audit knows of one history: what is open in it, and that nothing is completed twice or too early."""

from collections.abc import Sequence

from perdure.core import events as ev
from perdure.testing.simulation.audited_locks import Require
from perdure.testing.simulation.shadow import ShadowInstance

_OPENING = (ev.TaskScheduled, ev.TimerCreated, ev.SubOrchestrationCreated, ev.EntityCalled, ev.EntityLockRequested)
_CLOSED_BY: dict[type, type] = {
    ev.TaskCompleted: ev.TaskScheduled,
    ev.TaskFailed: ev.TaskScheduled,
    ev.TimerFired: ev.TimerCreated,
    ev.SubOrchestrationCompleted: ev.SubOrchestrationCreated,
    ev.SubOrchestrationFailed: ev.SubOrchestrationCreated,
    ev.EntityOperationCompleted: ev.EntityCalled,
    ev.EntityOperationFailed: ev.EntityCalled,
    ev.EntityLockGranted: ev.EntityLockRequested,
}


def check_history(now: ShadowInstance, require: Require) -> None:
    """I1, I7, and that time does not go back."""
    instance_id, history = now.origin.instance_id, now.history
    opened: dict[int, ev.HistoryEvent] = {}
    at = None
    for seq, event in enumerate(history):
        if isinstance(event, ev.OrchestratorStarted):
            require(at is None or event.at >= at, f"the time of '{instance_id}' went back at event {seq}")
            at = event.at
        elif isinstance(event, _OPENING):
            opened[seq] = event
        elif isinstance(event, ev.ExecutionRewound):
            opened.update((regain.seq, history[regain.seq]) for regain in event.regains)
        elif (wanted := _CLOSED_BY.get(type(event))) is not None:
            scheduled = opened.pop(event.scheduled_seq, None)  # type: ignore[union-attr]
            require(
                type(scheduled) is wanted and scheduled.task_id == event.task_id,  # type: ignore[union-attr]
                f"I1: event {seq} of '{instance_id}' completes what is not open: {event}",
            )
            early = isinstance(event, ev.TimerFired) and (at is None or event.fire_at > at)
            require(not early, f"I7: event {seq} of '{instance_id}' is early: {event} at {at}")


def open_work(history: Sequence[ev.HistoryEvent]) -> set[int]:
    """Seqs of what was asked for and has no answer in it."""
    opened: set[int] = set()
    for seq, event in enumerate(history):
        if isinstance(event, _OPENING):
            opened.add(seq)
        elif type(event) in _CLOSED_BY:
            opened.discard(event.scheduled_seq)  # type: ignore[union-attr]
    return opened
