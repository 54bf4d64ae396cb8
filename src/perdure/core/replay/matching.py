"""Code against history: does the action issued under a task id fit what is recorded under it?"""

from collections.abc import Callable
from typing import Any

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.errors import NonDeterminism

ERROR_TYPE = "NonDeterministicOrchestrationException"


def find_divergence(event: ev.ScheduledEvent, seq: int, action: ac.Action | None) -> NonDeterminism | None:
    """Compare a scheduled event with the action issued under its task id; None when they fit (semantics.md §12).

    Times of timers, inputs and child ids are not compared. Names are compared as lookups do: without case.
    """
    if action is not None:
        action_type, fits = _RULES[type(event)]
        if type(action) is action_type and fits(event, action):
            return None
    recorded = _PICTURES[type(event)](event)
    found = "nothing" if action is None else _PICTURES[type(action)](action)
    return NonDeterminism(
        f"Non-Deterministic orchestrator: event {seq} of the history says that task {event.task_id} is {recorded}; "
        f"the code, run again over the same history, asks for {found} under that number. "
        "Either the orchestrator's code was changed while this instance was under way, or it depends on something "
        "that differs from run to run (time, random numbers, environment, I/O, the order of a set)."
    )


def _same_name(event: Any, action: Any) -> bool:
    return event.name == action.name or event.name.lower() == action.name.lower()


def _same_event(event: ev.EventSent, action: ac.SendEvent) -> bool:
    return event.instance_id == action.instance_id and _same_name(event, action)


def _same_operation(event: Any, action: Any) -> bool:
    return event.operation == action.operation and event.entity_id == action.entity_id


def _same_entities(event: ev.EntityLockRequested, action: ac.LockEntities) -> bool:
    return event.entity_ids == action.entity_ids


def _same_entity(event: ev.EntityUnlockSent, action: ac.UnlockEntity) -> bool:
    return event.entity_id == action.entity_id


def _always(event: Any, action: Any) -> bool:
    return True


_RULES: dict[type, tuple[type, Callable[[Any, Any], bool]]] = {
    ev.TaskScheduled: (ac.ScheduleActivity, _same_name),
    ev.SubOrchestrationCreated: (ac.StartChild, _same_name),
    ev.TimerCreated: (ac.CreateTimer, _always),
    ev.EventSent: (ac.SendEvent, _same_event),
    ev.EntityCalled: (ac.CallEntity, _same_operation),
    ev.EntitySignaled: (ac.SignalEntity, _same_operation),
    ev.EntityLockRequested: (ac.LockEntities, _same_entities),
    ev.EntityUnlockSent: (ac.UnlockEntity, _same_entity),
}


def _activity(asked: Any) -> str:
    return f"activity '{asked.name}'"


def _child(asked: Any) -> str:
    return f"child orchestration '{asked.name}'"


def _timer(asked: Any) -> str:
    return "a timer"


def _event(asked: Any) -> str:
    return f"event '{asked.name}' sent to instance '{asked.instance_id}'"


def _call(asked: Any) -> str:
    return f"a call of operation '{asked.operation}' of entity '{asked.entity_id}'"


def _signal(asked: Any) -> str:
    return f"a signal of operation '{asked.operation}' to entity '{asked.entity_id}'"


def _lock(asked: Any) -> str:
    return f"a lock of {', '.join(repr(entity_id) for entity_id in asked.entity_ids)}"


def _unlock(asked: Any) -> str:
    return f"the release of the lock of entity '{asked.entity_id}'"


_PICTURES: dict[type, Callable[[Any], str]] = {
    ev.TaskScheduled: _activity,
    ac.ScheduleActivity: _activity,
    ev.SubOrchestrationCreated: _child,
    ac.StartChild: _child,
    ev.TimerCreated: _timer,
    ac.CreateTimer: _timer,
    ev.EventSent: _event,
    ac.SendEvent: _event,
    ev.EntityCalled: _call,
    ac.CallEntity: _call,
    ev.EntitySignaled: _signal,
    ac.SignalEntity: _signal,
    ev.EntityLockRequested: _lock,
    ac.LockEntities: _lock,
    ev.EntityUnlockSent: _unlock,
    ac.UnlockEntity: _unlock,
}
