"""One orchestrator work item → its answer: the past is replayed, the new events advance the code (grpc.md §6)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from durabletask.working.effect_order import EffectOrder
from durabletask.working.functions import Definitions
from durabletask.working.options import (
    OrchestratorNotRegisteredError,
    VersionFailureStrategy,
    VersioningOptions,
    version_mismatch,
)
from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.instance import fold_open_work
from perdure.core.registry import not_registered_text
from perdure.core.replay.matching import ERROR_TYPE
from perdure.core.replay.replayer import Replayer

logger = logging.getLogger("durabletask-worker")

NON_DETERMINISM = "durabletask.task.NonDeterminismError"


@dataclass(frozen=True, slots=True)
class OrchestratorItem:
    """An execution's past, and what is new to it."""

    instance_id: str
    past: Sequence[ev.HistoryEvent]
    new: Sequence[ev.HistoryEvent]


@dataclass(frozen=True, slots=True)
class Terminated:
    """The execution was ended from outside; ``output`` is its output."""

    output: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the worker tells the server. ``ending`` None: the code waits."""

    actions: Sequence[ac.Action]
    ending: ac.Ending | Terminated | None = None
    custom_status: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Another worker is to have it; ``why`` is for the log."""

    why: str


@dataclass(frozen=True)
class Orchestrations:
    """Runs work items with these definitions; safe to use from several threads."""

    definitions: Definitions
    versioning: VersioningOptions = field(default_factory=VersioningOptions)

    def run(self, item: OrchestratorItem) -> Answer | Refused:
        """Replay and advance. What user code raises is the answer's failure."""
        started = _started(item)
        if started is None:
            return _failed("durabletask.task.OrchestrationStateError", f"'{item.instance_id}' was never started.")
        if (why := version_mismatch(self.versioning, started.version)) is not None:
            if self.versioning.failure_strategy == VersionFailureStrategy.FAIL:
                return _failed("VersionMismatch", why, is_non_retriable=True)
            return Refused(why)
        definition = self.definitions.orchestrators.get(started.name)
        if definition is None:
            known = list(self.definitions.orchestrators)
            return _failed(_NOT_REGISTERED, not_registered_text("orchestrator", started.name, known))
        replayer = Replayer(definition, item.instance_id)
        order = EffectOrder()
        try:
            past = order.take(item.past)
            if past:
                replayer.replay(past)
            new = order.take(item.new)
            terminated = next((e for e in new if isinstance(e, ev.ExecutionTerminated)), None)
            if terminated is not None:
                return self._answered(item, (), Terminated(terminated.reason), replayer)
            result = replayer.advance(new)
            return self._answered(item, result.actions, result.ending, replayer)
        finally:
            replayer.close()

    def _answered(
        self,
        item: OrchestratorItem,
        actions: Sequence[ac.Action],
        ending: ac.Ending | Terminated | None,
        replayer: Replayer,
    ) -> Answer:
        done = [self._stamped(action) for action in actions]
        if ending is not None:
            done += _unlocks(item, done, replayer)
        return Answer(done, _renamed(ending), replayer.custom_status)

    def _stamped(self, action: ac.Action) -> ac.Action:
        version = self.versioning.default_version
        if version is not None and type(action) is ac.StartChild and action.version is None:
            return msgspec.structs.replace(action, version=version)
        return action


_NOT_REGISTERED = f"{OrchestratorNotRegisteredError.__module__}.{OrchestratorNotRegisteredError.__name__}"


def _started(item: OrchestratorItem) -> ev.ExecutionStarted | None:
    for events in (item.past, item.new):
        for event in events:
            if type(event) is ev.ExecutionStarted:
                return event
    return None


def _failed(error_type: str, message: str, *, is_non_retriable: bool = False) -> Answer:
    return Answer((), ac.Fail(FailureDetails(error_type, message, is_non_retriable=is_non_retriable)))


def _renamed(ending: ac.Ending | Terminated | None) -> ac.Ending | Terminated | None:
    if isinstance(ending, ac.Fail) and ending.failure.error_type == ERROR_TYPE:
        return ac.Fail(msgspec.structs.replace(ending.failure, error_type=NON_DETERMINISM))
    return ending


def _unlocks(item: OrchestratorItem, actions: Sequence[ac.Action], replayer: Replayer) -> list[ac.Action]:
    """What lets go of every entity that the execution has asked to lock and still has: servers wait for it (§11.3)."""
    sections: dict[str, tuple[str, ...]] = {}
    fold_open_work({}, [*item.past, *item.new], 0, sections)
    for action in actions:
        if type(action) is ac.LockEntities:
            sections[action.section_id] = tuple(action.entity_ids)
        elif type(action) is ac.UnlockEntity:
            left = tuple(e for e in sections.pop(action.section_id, ()) if e != action.entity_id)
            sections.update({action.section_id: left} if left else {})
    held = [(section_id, entity_id) for section_id, entity_ids in sections.items() for entity_id in entity_ids]
    first = replayer.next_task_id
    return [ac.UnlockEntity(first + n, section_id, entity_id) for n, (section_id, entity_id) in enumerate(held)]
