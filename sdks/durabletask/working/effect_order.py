"""Events in the order in which orchestrator code sees them: what comes while it is suspended waits for the resume."""

from collections.abc import Sequence

from perdure.core import events as ev

_ALWAYS_SEEN = (
    ev.OrchestratorStarted,
    ev.ExecutionStarted,
    ev.ExecutionTerminated,
    ev.ExecutionCompleted,
    ev.TaskScheduled,
    ev.SubOrchestrationCreated,
    ev.TimerCreated,
    ev.EventSent,
    ev.EntityCalled,
    ev.EntitySignaled,
    ev.EntityLockRequested,
    ev.EntityUnlockSent,
)


class EffectOrder:
    """Servers may hand out what an orchestration gets while it is suspended; the worker holds it back (§7.3)."""

    def __init__(self) -> None:
        self._is_suspended = False
        self._held: list[ev.HistoryEvent] = []

    def take(self, events: Sequence[ev.HistoryEvent]) -> list[ev.HistoryEvent]:
        """What the code sees because of these, in order."""
        seen: list[ev.HistoryEvent] = []
        for event in events:
            kind = type(event)
            if kind is ev.ExecutionSuspended:
                self._is_suspended = True
                seen.append(event)
            elif kind is ev.ExecutionResumed:
                self._is_suspended = False
                seen.append(event)
                held, self._held = self._held, []
                seen.extend(held)
            elif self._is_suspended and kind not in _ALWAYS_SEEN:
                self._held.append(event)
            else:
                seen.append(event)
        return seen
