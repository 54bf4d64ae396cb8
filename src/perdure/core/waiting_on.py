"""Why an instance is not moving, told from its record and history alone (architecture.md §6, J6)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum

import msgspec

from perdure.core import events as ev
from perdure.core.identifiers import read_entity_id
from perdure.core.instance import InstanceKind, InstanceRecord, OpenWork, WorkKind, fold_open_work, is_regaining
from perdure.core.status import RuntimeStatus


class WaitKind(Enum):
    """What kind of thing an instance waits for."""

    ACTIVITY = "activity"
    TIMER = "timer"
    EVENT = "event"
    CHILD = "child"
    ENTITY = "entity"
    SUSPENDED = "suspended"
    SCHEDULED_START = "scheduledStart"
    LOCK = "lock"
    VERSION = "version"
    """It is left to a process that runs its version."""
    TURN = "turn"
    """Nothing outstanding: its next episode has not run yet, or runs now."""


IsServed = Callable[[WaitKind, str, str | None], bool]
"""Whether somebody is there who has this activity, entity or orchestrator (TURN), by name and version."""


class WaitingOn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason. ``attempt`` counts from 1.

    ``name``: activity, event, child, entity; the entities that are to be locked, or of a locked one the holder.
    """

    kind: WaitKind
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    attempt: int | None = None
    reason: str | None = None


def waiting_on(
    record: InstanceRecord,
    history: Sequence[ev.HistoryEvent],
    now: datetime,
    is_served: IsServed | None = None,
) -> list[WaitingOn]:
    """Every reason, suspension first; empty for a finished instance and an idle entity.

    ``is_served`` None: whatever is asked for is there, or fails.
    """
    origin, progress = record.origin, record.progress
    if progress.status.is_terminal:
        return []
    if origin.kind is InstanceKind.ENTITY:
        holder = progress.locked_by
        return [] if holder is None else [WaitingOn(WaitKind.LOCK, holder.instance_id, progress.updated_at)]
    reasons = _suspension(progress.status, progress.updated_at, history)
    start_at = origin.scheduled_start_at
    if start_at is not None and start_at > now and not any(isinstance(e, ev.ExecutionStarted) for e in history):
        return [*reasons, WaitingOn(WaitKind.SCHEDULED_START, since=origin.created_at, until=start_at)]
    outstanding = _outstanding(history, is_served)
    outstanding += [WaitingOn(WaitKind.EVENT, name, progress.episode_at) for name in progress.awaited_events]
    if not outstanding and not reasons:
        outstanding = [WaitingOn(WaitKind.TURN, since=progress.updated_at)]
    return reasons + outstanding


def _suspension(status: RuntimeStatus, updated_at: datetime, history: Sequence[ev.HistoryEvent]) -> list[WaitingOn]:
    if status is not RuntimeStatus.Suspended:
        return []
    for seq in range(len(history) - 1, -1, -1):
        event = history[seq]
        if isinstance(event, ev.ExecutionSuspended):
            return [WaitingOn(WaitKind.SUSPENDED, since=_time_of(history, seq), reason=event.reason)]
    return [WaitingOn(WaitKind.SUSPENDED, since=updated_at)]


def _time_of(history: Sequence[ev.HistoryEvent], seq: int) -> datetime | None:
    for earlier in range(seq, -1, -1):
        event = history[earlier]
        if isinstance(event, ev.OrchestratorStarted):
            return event.at
    return None


def _outstanding(history: Sequence[ev.HistoryEvent], is_served: IsServed | None) -> list[WaitingOn]:
    open_work: dict[int, OpenWork] = {}
    fold_open_work(open_work, history, 0, {})
    if not open_work:
        return []
    if is_regaining(history):
        open_work = {seq: work for seq, work in open_work.items() if work.kind is WorkKind.LOCK}
    attempts = _attempts(history)
    return [_reason(history, seq, work, attempts.get(seq, 1), is_served) for seq, work in open_work.items()]


_KINDS = {
    WorkKind.ACTIVITY: WaitKind.ACTIVITY,
    WorkKind.TIMER: WaitKind.TIMER,
    WorkKind.CHILD: WaitKind.CHILD,
    WorkKind.ENTITY: WaitKind.ENTITY,
    WorkKind.LOCK: WaitKind.LOCK,
}


def _reason(
    history: Sequence[ev.HistoryEvent], seq: int, work: OpenWork, attempt: int, is_served: IsServed | None
) -> WaitingOn:
    since = _time_of(history, seq)
    match history[seq]:
        case ev.TimerCreated() as timer:
            return WaitingOn(WaitKind.TIMER, since=since, until=timer.fire_at)
        case ev.TaskScheduled() as task:
            missing = missing_worker(is_served, WaitKind.ACTIVITY, task.name, task.version)
            return WaitingOn(WaitKind.ACTIVITY, work.name, since, attempt=attempt, reason=missing)
        case ev.EntityCalled() as call:
            missing = missing_worker(is_served, WaitKind.ENTITY, read_entity_id(call.entity_id).name, None)
            return WaitingOn(WaitKind.ENTITY, work.name, since, reason=missing)
        case _:
            return WaitingOn(_KINDS[work.kind], work.name, since)


def missing_worker(is_served: IsServed | None, kind: WaitKind, name: str, version: str | None) -> str | None:
    """Whom it takes, when nobody is there; None when somebody is."""
    if is_served is None or is_served(kind, name, version):
        return None
    what = "orchestrator" if kind is WaitKind.TURN else kind.value
    return f"no connected worker has {what} '{name}'" + (f" in version '{version}'" if version else "")


def _attempts(history: Sequence[ev.HistoryEvent]) -> dict[int, int]:
    """Scheduled seq → which attempt it is, for activities.

    A call repeats an earlier one when that failed, has the same name and input, and a timer created
    in the episode of the failure fired in the episode of the call: the shape of every retry policy.
    """
    attempts: dict[int, int] = {}
    failed: dict[tuple[str, str | None], list[tuple[int, int]]] = {}
    """Name and input → (seq, episode of the failure) of attempts that nothing has followed yet."""
    timer_episodes: dict[int, int] = {}
    awoken_from: set[int] = set()
    """Episodes that created the timers that fired in this one."""
    episode = 0
    for seq, event in enumerate(history):
        match event:
            case ev.OrchestratorStarted():
                episode = seq
                awoken_from = set()
            case ev.TimerCreated():
                timer_episodes[seq] = episode
            case ev.TimerFired():
                awoken_from.add(timer_episodes.get(event.scheduled_seq, -1))
            case ev.TaskScheduled():
                attempts[seq] = 1 + _followed(failed.get((event.name, event.input), []), awoken_from, attempts)
            case ev.TaskFailed():
                scheduled = history[event.scheduled_seq]
                if isinstance(scheduled, ev.TaskScheduled):
                    failed.setdefault((scheduled.name, scheduled.input), []).append((event.scheduled_seq, episode))
            case _:
                pass
    return attempts


def _followed(candidates: list[tuple[int, int]], awoken_from: set[int], attempts: dict[int, int]) -> int:
    for place, (seq, failed_in) in enumerate(candidates):
        if failed_in in awoken_from:
            del candidates[place]
            return attempts[seq]
    return 0
