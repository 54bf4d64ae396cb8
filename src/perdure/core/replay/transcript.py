"""Transcript: a recorder that also writes down each step of its code, for a host that must be told all of them anew.

A step is what one yield, or one call that waits for nothing, asked for (replay-protocol.md §4, §5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NoReturn

from perdure.core.actions import Action, CreateTimer
from perdure.core.replay import asked
from perdure.core.replay.policy import ReplayPolicy, ScheduleAt, UntakenEvents
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.repeating_tasks import LongTimerTask, Poll
from perdure.core.replay.task_types import TaskTypes
from perdure.core.replay.tasks import AnyTask, Asker, Decode, GroupTask, Tags, Task, TimerTask
from perdure.core.retry import RetryPolicy


class GroupKind(Enum):
    """What a group of actions waits for."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One action; ``is_new`` where it stands for the first time."""

    action: asked.AskedAction
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Actions that are waited for together."""

    kind: GroupKind
    members: "tuple[Step, ...]"


Step = Leaf | Group


class Transcript(Recorder):
    """A recorder with the list of its code's steps.

    ``policy`` may schedule at the call: then each call is a step. The list ends where the code does: what ``finally``
    blocks do while the code is let go is not in it.
    """

    __slots__ = ("_final_steps", "_notes_at_call", "_shapes", "_steps")

    def __init__(self, instance_id: str, policy: ReplayPolicy, tasks: TaskTypes) -> None:
        super().__init__(instance_id, policy, tasks)
        # A call must have its shape before it is scheduled, so this class does that, and not its base.
        self._notes_at_call = policy.schedule_at is ScheduleAt.CALL
        self._schedules_at_call = False
        self._shapes: dict[Task, _Shape] = {}
        self._steps: list[_Draft] = []
        self._final_steps: tuple[Step, ...] | None = None

    def steps(self) -> tuple[Step, ...]:
        """All steps so far; a timer that was cancelled since is so at its old place."""
        if self._final_steps is not None:
            return self._final_steps
        return tuple(_finished(draft) for draft in self._steps)

    def call_activity(self, name: str, input: str | None, decode: Decode, tags: Tags = None) -> Task:
        """As in ``Recorder``. The protocol has no place for tags."""
        return self._noted(super().call_activity(name, input, decode, tags), asked.AskedActivity(name, input))

    def call_activity_with_retry(
        self, name: str, input: str | None, decode: Decode, retry: RetryPolicy, tags: Tags = None
    ) -> Task:
        """As in ``Recorder``. The protocol has no place for tags."""
        task = super().call_activity_with_retry(name, input, decode, retry, tags)
        return self._noted(task, asked.AskedActivity(name, input, retry))

    def call_child(
        self,
        name: str,
        input: str | None,
        instance_id: str | None,
        version: str | None,
        decode: Decode,
        tags: Tags = None,
    ) -> Task:
        """As in ``Recorder``. The protocol has no place for tags."""
        task = super().call_child(name, input, instance_id, version, decode, tags)
        return self._noted(task, asked.AskedChild(name, input, instance_id, version))

    def call_child_with_retry(
        self,
        name: str,
        input: str | None,
        instance_id: str | None,
        version: str | None,
        decode: Decode,
        retry: RetryPolicy,
        tags: Tags = None,
    ) -> Task:
        """As in ``Recorder``. The protocol has no place for tags."""
        task = super().call_child_with_retry(name, input, instance_id, version, decode, retry, tags)
        return self._noted(task, asked.AskedChild(name, input, instance_id, version, retry))

    def call_http(self, request: str, decode: Decode, poll: Poll) -> Task:
        """As in ``Recorder``. The host polls by itself; the ids of that are counted here too."""
        return self._noted(super().call_http(request, decode, poll), asked.AskedHttp(request))

    def create_timer(self, fire_at: datetime) -> TimerTask:
        """As in ``Recorder``."""
        timer = super().create_timer(fire_at)
        self._noted(timer, _TimerShape(timer))
        return timer

    def wait_for_event(self, name: str, decode: Decode) -> Task:
        """As in ``Recorder``."""
        return self._noted(super().wait_for_event(name, decode), asked.AskedEvent(name))

    def call_entity(self, entity_id: str, operation: str, input: str | None, decode: Decode) -> Task:
        """As in ``Recorder``."""
        task = super().call_entity(entity_id, operation, input, decode)
        return self._noted(task, asked.AskedCall(entity_id, operation, input))

    def signal_entity(self, entity_id: str, operation: str, input: str | None, due_at: datetime | None = None) -> Task:
        """As in ``Recorder``."""
        self._add_step(_DraftLeaf(asked.AskedSignal(entity_id, operation, input, due_at)))
        return super().signal_entity(entity_id, operation, input, due_at)

    def continue_as_new(
        self, input: str | None, version: str | None = None, untaken: UntakenEvents = UntakenEvents.CARRIED
    ) -> None:
        """As in ``Recorder``. The protocol has no word for another version, nor for dropping events."""
        self._add_step(_DraftLeaf(asked.AskedContinuation(input)))
        super().continue_as_new(input, version, untaken)

    def lock_entities(self, entity_ids: Sequence[str]) -> NoReturn:
        """Raise RuntimeError: the protocol has no word for locks."""
        raise RuntimeError("Entities cannot be locked where another host runs this function; `perdure start` can.")

    def send_event(self, instance_id: str, name: str, input: str | None) -> NoReturn:
        """Raise RuntimeError: the protocol has no word for events that orchestrators send."""
        raise RuntimeError(
            "An orchestrator cannot raise events where another host runs this function; `perdure start` can. "
            "Let an activity raise it with a client."
        )

    def schedule(self, task: Task) -> None:
        """As in ``Recorder``; what is new of it becomes a step."""
        if not task.is_scheduled and not self._is_sealed:
            draft = self._draft_of(task, set())
            if draft is not None and _has_news(draft):
                self._steps.append(draft)
        super().schedule(task)

    def open_timer(self, task: TimerTask, action: Action) -> None:
        """As in ``Recorder``; a further hop of a long timer is a step of its own."""
        super().open_timer(task, action)
        hop = self._shapes.get(task)
        if not isinstance(hop, _TimerShape) or not isinstance(task, LongTimerTask):
            return
        if hop.is_open:
            hop.is_past = True
            self._shapes[task] = hop = _TimerShape(task)
            self._add_step(_DraftLeaf(hop))
        assert isinstance(action, CreateTimer)
        hop.fire_at = action.fire_at
        hop.is_open = True

    def set_custom_status(self, text: str | None) -> None:
        """As in ``Recorder``, until the code has ended."""
        if self._final_steps is None:
            super().set_custom_status(text)

    def seal(self) -> None:
        """As in ``Recorder``; no step comes after it, and no timer is cancelled."""
        self._final_steps = self.steps()
        super().seal()

    def _noted(self, task: Task, shape: "_Shape") -> Task:
        self._shapes[task] = shape
        if self._notes_at_call:
            self.schedule(task)
        return task

    def _add_step(self, draft: "_Draft") -> None:
        if not self._is_sealed:
            self._steps.append(draft)

    def _draft_of(self, task: Task, met: set[Task]) -> "_Draft | None":
        """The task as a step; each task in it once. None for what asks for nothing."""
        if task in met:
            return None
        met.add(task)
        if isinstance(task, GroupTask):
            drafts = (self._draft_of(child, met) for child in task.children)
            kind = GroupKind.ANY if isinstance(task, AnyTask) else GroupKind.ALL
            return _DraftGroup(kind, tuple(draft for draft in drafts if draft is not None))
        shape = self._shapes.get(task)
        if shape is None:
            return None
        leaf = _DraftLeaf(shape, is_new=not task.is_scheduled)
        return _DraftGroup(GroupKind.ALL, (leaf,)) if isinstance(task, LongTimerTask) else leaf


class LongTimerFromCreation(LongTimerTask):
    """A long timer whose first hop counts from its creation, as the official package has it."""

    __slots__ = ("_created_at",)

    def __init__(self, asker: Asker, fire_at: datetime, longest: timedelta, hop: timedelta) -> None:
        super().__init__(asker, fire_at, longest, hop)
        self._created_at = asker.now

    def open(self, asker: Asker) -> Sequence[Task]:
        self.ask(self._created_at + self._hop)
        return ()


class _TimerShape:
    """The action of a timer, or of one hop of a long one, which its task may still cancel."""

    __slots__ = ("fire_at", "is_open", "is_past", "task")

    def __init__(self, task: TimerTask) -> None:
        self.task = task
        self.fire_at = task.fire_at
        self.is_open = False
        self.is_past = False

    def asked(self) -> asked.AskedTimer:
        return asked.AskedTimer(self.fire_at, self.task.is_cancelled and not self.is_past)


_Shape = asked.AskedAction | _TimerShape


@dataclass(frozen=True, slots=True)
class _DraftLeaf:
    shape: _Shape
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class _DraftGroup:
    kind: GroupKind
    members: "tuple[_Draft, ...]"


_Draft = _DraftLeaf | _DraftGroup


def _has_news(draft: _Draft) -> bool:
    return draft.is_new if isinstance(draft, _DraftLeaf) else any(map(_has_news, draft.members))


def _finished(draft: _Draft) -> Step:
    if isinstance(draft, _DraftGroup):
        return Group(draft.kind, tuple(map(_finished, draft.members)))
    shape = draft.shape
    return Leaf(shape.asked() if isinstance(shape, _TimerShape) else shape, draft.is_new)
