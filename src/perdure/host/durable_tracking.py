"""What becomes of instances, as log lines of the category ``Host.Triggers.DurableTask`` (functions-host.md §12).

Failures are errors and always told of; the rest is information, and nothing is built for it unless it is shown.
"""

import logging
from collections.abc import Callable
from typing import Any

from perdure.contracts.observer import ActivityEnded, EpisodeCommitted, Fact, InstanceFailed
from perdure.core import events as ev
from perdure.core.checkpoint import Checkpoint
from perdure.core.failures import FailureDetails
from perdure.core.instance import InstanceKind
from perdure.functions.logging_setup import LogLevels
from perdure.host.settings import Settings

CATEGORY = "Host.Triggers.DurableTask"
_EXTRA = {"category": CATEGORY}

logger = logging.getLogger("perdure.durable")


def durable_tracking(settings: Settings) -> "DurableTracking":
    """The observer that the app's host.json asks for."""
    shows_payloads = settings.host.durable.tracing.trace_payloads
    return DurableTracking(settings.log_levels, settings.hub_name, shows_payloads=shows_payloads)


class DurableTracking:
    """Tells of episodes and activities when the log takes information of its category, else of failures only."""

    def __init__(self, levels: LogLevels, hub_name: str, *, shows_payloads: bool) -> None:
        self._is_detailed = levels.number_of(CATEGORY) <= logging.INFO
        self._hub_name = hub_name
        self._shown: Callable[[str | None], str] = _whole if shows_payloads else _counted
        details: set[type] = {EpisodeCommitted, ActivityEnded} if self._is_detailed else set()
        self.wants = frozenset({InstanceFailed, *details})

    def announce(self, fact: Fact) -> None:
        """See ``contracts.observer.Observer``."""
        if isinstance(fact, InstanceFailed):
            text = "Orchestration '%s' (instance '%s') failed: %s"
            logger.error(text, fact.name, fact.instance_id, _of(fact.failure), extra=_EXTRA)
        elif isinstance(fact, ActivityEnded):
            state = "Completed" if fact.failure is None else f"Failed: {_of(fact.failure)}"
            self._tell(fact.instance_id, fact.name, "Activity", state)
        elif isinstance(fact, EpisodeCommitted):
            self._tell_episode(fact.checkpoint)

    def _tell_episode(self, checkpoint: Checkpoint) -> None:
        origin = checkpoint.origin
        if origin.kind is InstanceKind.ENTITY:
            self._tell(origin.instance_id, origin.name, "Entity", f"{len(checkpoint.consumed)} messages taken")
            return
        for event in checkpoint.events:
            state = _STATES.get(type(event))
            if state is not None:
                self._tell(origin.instance_id, origin.name, "Orchestrator", state(event, self._shown))

    def _tell(self, instance_id: str, name: str, kind: str, state: str) -> None:
        text = "%s: Function '%s (%s)' %s. HubName: %s."
        logger.info(text, instance_id, name, kind, state, self._hub_name, extra=_EXTRA)


def _of(failure: FailureDetails) -> str:
    return f"{failure.error_type}: {failure.message}"


def _whole(payload: str | None) -> str:
    return "(null)" if payload is None else payload


def _counted(payload: str | None) -> str:
    return "(null)" if payload is None else f"({len(payload.encode('utf-8', 'surrogatepass'))} bytes)"


Shown = Callable[[str | None], str]


def _completed(event: Any, shown: Shown) -> str:
    output = f"Output: {shown(event.result)}" if event.failure is None else f"Reason: {_of(event.failure)}"
    return f"{event.status.name}. {output}"


_STATES: dict[type, Callable[[Any, Shown], str]] = {
    ev.ExecutionStarted: lambda event, shown: f"started. Input: {shown(event.input)}",
    ev.ExecutionCompleted: _completed,
    ev.ExecutionTerminated: lambda event, shown: f"was terminated. Reason: {event.reason}",
    ev.ExecutionSuspended: lambda event, shown: f"was suspended. Reason: {event.reason}",
    ev.ExecutionResumed: lambda event, shown: f"was resumed. Reason: {event.reason}",
    ev.TaskScheduled: lambda event, shown: f"scheduled activity '{event.name}'. Input: {shown(event.input)}",
    ev.SubOrchestrationCreated: lambda event, shown: (
        f"scheduled orchestrator '{event.name}' as '{event.instance_id}'. Input: {shown(event.input)}"
    ),
    ev.TimerCreated: lambda event, shown: f"awaits a timer until {event.fire_at.isoformat()}",
    ev.TimerFired: lambda event, shown: f"had its timer of {event.fire_at.isoformat()} expire",
    ev.EventRaised: lambda event, shown: f"received the event '{event.name}'. Input: {shown(event.input)}",
    ev.EntityCalled: lambda event, shown: f"called '{event.operation}' of entity {event.entity_id}",
    ev.EntitySignaled: lambda event, shown: f"signaled '{event.operation}' to entity {event.entity_id}",
}
"""What is told of an event; those that are not here say nothing new."""
