"""The history of a failed execution → the one it goes on from (semantics.md §13).

Out go the failures that ended it, with what they failed, and its end. A failure that the code got over stays: without
it the rest of the history would not fit the code.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from perdure.core import events as ev
from perdure.core.failures import FailureDetails

_CALLS = (ev.TaskScheduled, ev.SubOrchestrationCreated, ev.EntityCalled)
_RETRIED = (ev.TaskScheduled, ev.SubOrchestrationCreated)
_SUCCESSES = (ev.TaskCompleted, ev.SubOrchestrationCompleted, ev.EntityOperationCompleted)
_FAILURES = (ev.TaskFailed, ev.SubOrchestrationFailed, ev.EntityOperationFailed)
_SCHEDULED = (
    *_CALLS,
    ev.TimerCreated,
    ev.EventSent,
    ev.EntitySignaled,
    ev.EntityLockRequested,
    ev.EntityUnlockSent,
)


class RewoundHistory(msgspec.Struct, eq=False):
    """``events`` is what is kept; ``former_seqs[seq]`` is where its event was before."""

    events: list[ev.HistoryEvent]
    former_seqs: list[int]


def rewound_history(
    history: Sequence[ev.HistoryEvent], execution_id: str, parent: ev.ParentLink | None
) -> RewoundHistory:
    """What the execution ``execution_id`` begins with. ``parent`` is whom it answers. Pure."""
    past = _Past(history)
    chains = list(_chains(past))
    explained = {seq for chain in chains for seq in (*chain.timers, *chain.attempts[1:])}
    culprits = [chain for chain in chains if _ended_it(past, chain, explained)]
    whole = {id(chain) for chain in culprits if _is_clean(past, chain, explained)}
    if any(_must_keep_its_number(past, event, culprits, whole) for event in history):
        whole = set[int]()
    dropped = {seq for seq, event in enumerate(history) if isinstance(event, ev.ExecutionCompleted)}
    vanished: set[int] = set()
    for chain in culprits:
        dropped |= _dropped_of(past, chain, whole=id(chain) in whole)
        if id(chain) in whole:
            vanished |= _vanished_of(past, chain)
        dropped |= _with_firings(past, (seq for seq in _tail(past, chain, explained)))
    if culprits:
        # What the code asked for while it failed is asked for again when it comes there.
        dropped.update(past.scheduled_in.get(past.last_episode, ()))
    return _rewritten(past, dropped, vanished, execution_id, parent)


class _Past:
    """A history, indexed."""

    def __init__(self, history: Sequence[ev.HistoryEvent]) -> None:
        self.history = history
        self.episode_of: list[int] = []
        self.scheduled_in: dict[int, list[int]] = {}
        """Episode → seqs of what the code asked for in it."""
        self.fired_in: dict[int, list[int]] = {}
        """Episode → seqs of the timers that fired in it."""
        self.answers: dict[int, int] = {}
        """Seq of a scheduled event → seq of its completion."""
        self.end: FailureDetails | None = None
        episode = 0
        for seq, event in enumerate(history):
            if isinstance(event, ev.OrchestratorStarted):
                episode = seq
            self.episode_of.append(episode)
            if isinstance(event, _SCHEDULED):
                self.scheduled_in.setdefault(episode, []).append(seq)
            elif isinstance(event, ev.TimerFired):
                self.fired_in.setdefault(episode, []).append(event.scheduled_seq)
                self.answers[event.scheduled_seq] = seq
            elif isinstance(event, (*_SUCCESSES, *_FAILURES)):
                self.answers[event.scheduled_seq] = seq
            elif isinstance(event, ev.ExecutionCompleted):
                self.end = event.failure
        self.last_episode = episode

    def failure_of(self, scheduled_seq: int) -> Any:
        """The event that failed this call, or None."""
        answer = self.answers.get(scheduled_seq)
        event = None if answer is None else self.history[answer]
        return event if isinstance(event, _FAILURES) else None

    def task_id(self, seq: int) -> int:
        event = self.history[seq]
        assert isinstance(event, _SCHEDULED), f"event {seq} is no scheduled one"
        return event.task_id


class _Chain(msgspec.Struct, eq=False):
    """A call and its repetitions: seqs of its attempts, and of the timers between them."""

    attempts: list[int]
    timers: list[int] = []

    @property
    def last(self) -> int:
        return self.attempts[-1]


def _chains(past: _Past) -> Iterator[_Chain]:
    """Every call. A call repeats a failed one of the same name and input when a timer of that failure led to it."""
    chains: list[_Chain] = []
    used: set[int] = set()
    for seq, event in enumerate(past.history):
        if not isinstance(event, _CALLS):
            continue
        for chain in chains if isinstance(event, _RETRIED) else ():
            if past.failure_of(chain.last) is None or not _same(past.history[chain.last], event):
                continue
            failed_in = past.episode_of[past.answers[chain.last]]
            timers = _timers_between(past, failed_in, past.episode_of[seq], used)
            if timers:
                chain.attempts.append(seq)
                chain.timers.extend(timers)
                used.update(timers)
                break
        else:
            chains.append(_Chain([seq]))
    yield from chains


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one.name == other.name and one.input == other.input


def _timers_between(past: _Past, failed_in: int, episode: int, used: Collection[int]) -> list[int]:
    """A timer made where the call failed that fired in ``episode``, with its hops, if it was a long one."""
    for timer in past.fired_in.get(episode, ()):
        if timer in used:
            continue
        made_in = past.episode_of[timer]
        if made_in == failed_in:
            return [timer]
        if made_in > failed_in and (before := _timers_between(past, failed_in, made_in, used)):
            return [*before, timer]
    return []


def _ended_it(past: _Past, chain: _Chain, explained: Collection[int]) -> bool:
    """Whether the call's last failure is one of those that ended the execution."""
    failed = past.failure_of(chain.last)
    if failed is None:
        return False
    episode = past.episode_of[past.answers[chain.last]]
    if episode == past.last_episode:
        return True
    if _asked_in(past, episode, explained):
        # The code's answer to it; a timer alone may be one that follows the last attempt.
        return bool(_tail(past, chain, explained)) and _blames(past.end, failed.failure)
    goes_on = any(_asked_in(past, later, explained) for later in past.scheduled_in if later > episode)
    return not goes_on or _blames(past.end, failed.failure)


def _asked_in(past: _Past, episode: int, explained: Collection[int]) -> list[int]:
    if episode == past.last_episode:
        return []
    return [seq for seq in past.scheduled_in.get(episode, ()) if seq not in explained]


def _tail(past: _Past, chain: _Chain, explained: Collection[int]) -> list[int]:
    """The timers that follow the chain's last failure, if the code asked for nothing else then."""
    asked = _asked_in(past, past.episode_of[past.answers[chain.last]], explained)
    return asked if all(isinstance(past.history[seq], ev.TimerCreated) for seq in asked) else []


def _blames(end: FailureDetails | None, failure: FailureDetails) -> bool:
    while end is not None:
        if failure.message and failure.message in end.message:
            return True
        end = end.cause
    return False


def _is_clean(past: _Past, chain: _Chain, explained: Collection[int]) -> bool:
    """Whether nothing but the chain's own timers answered its earlier failures, so that it can begin anew."""
    return all(
        not _asked_in(past, past.episode_of[past.answers[attempt]], explained) for attempt in chain.attempts[:-1]
    )


def _must_keep_its_number(
    past: _Past, event: ev.HistoryEvent, culprits: Sequence[_Chain], whole: Collection[int]
) -> bool:
    """Whether a child that stays would get a lower task id: ids of children to come are made of theirs."""
    if not isinstance(event, ev.SubOrchestrationCreated):
        return False
    vanished = {task_id for chain in culprits if id(chain) in whole for task_id in _vanished_of(past, chain)}
    return event.task_id not in vanished and any(task_id < event.task_id for task_id in vanished)


def _vanished_of(past: _Past, chain: _Chain) -> set[int]:
    """The task ids that the code will not have taken when it asks for the call's first attempt again."""
    taken = {past.task_id(seq) for seq in (*chain.attempts[1:], *chain.timers)}
    return taken - {past.task_id(chain.attempts[0])}


def _dropped_of(past: _Past, chain: _Chain, *, whole: bool) -> set[int]:
    attempts = chain.attempts if whole else chain.attempts[-1:]
    dropped = {past.answers[attempt] for attempt in attempts}
    dropped.update(attempts)
    if isinstance(past.history[attempts[0]], ev.SubOrchestrationCreated):
        # The child is rewound, not started.
        dropped.discard(attempts[0])
    return dropped | (_with_firings(past, chain.timers) if whole else set[int]())


def _with_firings(past: _Past, timers: Iterator[int] | Sequence[int]) -> set[int]:
    dropped: set[int] = set()
    for timer in timers:
        dropped.add(timer)
        if timer in past.answers:
            dropped.add(past.answers[timer])
    return dropped


def _rewritten(
    past: _Past, dropped: Collection[int], vanished: Collection[int], execution_id: str, parent: ev.ParentLink | None
) -> RewoundHistory:
    former_seqs = [seq for seq in range(len(past.history)) if seq not in dropped]
    seqs = {former: seq for seq, former in enumerate(former_seqs)}
    started = next(event for event in past.history if isinstance(event, ev.ExecutionStarted))
    sections: dict[str, str] = {}
    events: list[ev.HistoryEvent] = []
    for former in former_seqs:
        event = past.history[former]
        changes: dict[str, Any] = {}
        if (task_id := getattr(event, "task_id", None)) is not None:
            changes["task_id"] = task_id - sum(1 for gone in vanished if gone < task_id)
        if (scheduled_seq := getattr(event, "scheduled_seq", None)) is not None:
            changes["scheduled_seq"] = seqs[scheduled_seq]
        if isinstance(event, ev.ExecutionStarted):
            changes = {"execution_id": execution_id, "parent": parent}
        elif isinstance(event, ev.ExecutionRewound):
            # They are of the execution that it began; the newest one says what holds now.
            changes = {"links": (), "regains": ()}
        elif isinstance(event, ev.EntityLockRequested):
            if event.section_id == f"{started.execution_id}:{event.task_id}":
                sections[event.section_id] = f"{execution_id}:{changes['task_id']}"
            changes["section_id"] = sections.get(event.section_id, event.section_id)
        elif isinstance(event, ev.EntityUnlockSent):
            changes["section_id"] = sections.get(event.section_id, event.section_id)
        events.append(msgspec.structs.replace(event, **changes) if changes else event)
    return RewoundHistory(events, former_seqs)
