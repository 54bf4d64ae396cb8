"""The commuting square (reliability.md X6): the checkpoint that is decided anew from the committed history alone."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from perdure.core.actions import Fail, TurnResult
from perdure.core.checkpoint import Checkpoint
from perdure.core.control import answer_rewind, completed_regain, completed_rewind, regained, rewind
from perdure.core.decisions import DecisionLimits, decide
from perdure.core.entities.batch import run_batch
from perdure.core.entities.decisions import decide_batch
from perdure.core.entities.scheduling import next_batch
from perdure.core.errors import NotRegistered
from perdure.core.events import HistoryEvent, OrchestratorStarted
from perdure.core.failures import failure_of
from perdure.core.identifiers import read_entity_id
from perdure.core.instance import Instance, InstanceKind, InstanceRecord, is_regaining
from perdure.core.messages import Envelope, LockRelease, LockRequest, RaiseEvent, Rewind, StartExecution
from perdure.core.partial_intake import take_only
from perdure.core.receiving import receive
from perdure.core.registry import OutsideDefinition, Registry
from perdure.core.replay.replayer import Replayer


def decided_anew(
    registry: Registry,
    limits: DecisionLimits,
    before: InstanceRecord,
    history: Sequence[HistoryEvent],
    made: Checkpoint,
) -> Checkpoint:
    """What the messages that ``made`` consumed lead to, for an instance that is loaded and replayed just now."""
    if before.origin.kind is InstanceKind.ENTITY:
        return _entity(registry, before, made)
    if any(isinstance(envelope.message, Rewind) for envelope in made.consumed):
        return _rewound(registry, limits, before, history, made)
    instance = Instance.loaded(InstanceRecord(msgspec.structs.replace(before.origin), before.progress), history)
    at = made.progress.episode_at
    assert at is not None, "an episode has a time"
    intake = receive(instance, made.consumed, at)
    assert not intake.held, f"consumed, but to be held back: {intake.held}"
    assert not intake.dropped, f"consumed, but without effect: {intake.dropped}"
    result = None
    again = _sent_again(made)
    if again:
        intake = take_only(instance, intake, len(intake.events) - len(again)).intake
    if intake.runs_code:
        result = _turn(registry, before, history, [OrchestratorStarted(intake.at), *intake.events])
    anew = decide(instance, intake, result, limits)
    anew.outbox = [*anew.outbox, *again]
    if is_regaining(history) and intake.runs_code:
        return completed_regain(regained(before, history, intake), anew)
    return anew


def _sent_again(made: Checkpoint) -> list[Envelope]:
    """Events that came with the start and that the code did not take: they follow at the outbox's end."""
    starts = (envelope.message for envelope in made.consumed if isinstance(envelope.message, StartExecution))
    carried = [(event.name, event.input) for start in starts for event in start.carried]
    again: list[Envelope] = []
    for envelope in reversed(made.outbox) if carried else ():
        message = envelope.message
        if not isinstance(message, RaiseEvent) or envelope.target != made.origin.instance_id:
            break
        if (message.name, message.input) not in carried:
            break
        again.insert(0, envelope)
    return again


def _rewound(
    registry: Registry,
    limits: DecisionLimits,
    before: InstanceRecord,
    history: Sequence[HistoryEvent],
    made: Checkpoint,
) -> Checkpoint:
    [envelope] = made.consumed
    at = made.progress.episode_at or made.progress.updated_at
    rewound = rewind(before, history, envelope, at)
    if rewound is None:
        return answer_rewind(before, envelope, at)
    instance, intake = rewound.instance, rewound.intake
    result = None
    if intake.runs_code:
        record = InstanceRecord(instance.origin, instance.progress)
        result = _turn(registry, record, rewound.history, [OrchestratorStarted(intake.at), *intake.events])
    return completed_rewind(rewound, decide(instance, intake, result, limits))


def begun_without_code(
    limits: DecisionLimits, before: InstanceRecord, history: Sequence[HistoryEvent], made: Checkpoint
) -> Checkpoint | None:
    """A rewind, or what regained its locks, whose first turn was recalled because an end came; None for all else."""
    at = made.progress.episode_at or made.progress.updated_at
    if any(isinstance(envelope.message, Rewind) for envelope in made.consumed):
        rewound = rewind(before, history, made.consumed[0], at)
        if rewound is None:
            return None
        return completed_rewind(rewound, decide(rewound.instance, rewound.intake, None, limits))
    if before.origin.kind is InstanceKind.ENTITY or not is_regaining(history):
        return None
    instance = Instance.loaded(InstanceRecord(msgspec.structs.replace(before.origin), before.progress), history)
    intake = receive(instance, made.consumed, at)
    return completed_regain(regained(before, history, intake), decide(instance, intake, None, limits))


def _turn(
    registry: Registry, before: InstanceRecord, history: Sequence[HistoryEvent], events: list[HistoryEvent]
) -> TurnResult:
    try:
        definition = registry.orchestrator(before.origin.name)
    except NotRegistered as error:
        return TurnResult(ending=Fail(failure_of(error)))
    assert not isinstance(definition, OutsideDefinition), "simulated programs are live ones"
    replayer = Replayer(definition, before.origin.instance_id)
    if history:
        replayer.replay(history)
    result = replayer.advance(events)
    replayer.close()
    return result


def _entity(registry: Registry, before: InstanceRecord, made: Checkpoint) -> Checkpoint:
    entity, state = read_entity_id(before.origin.instance_id), before.progress.state
    taken_back = _taken_back(made)
    queue = [envelope for envelope in made.consumed if id(envelope) not in taken_back]
    batch = next_batch(queue, before.progress.locked_by, len(queue))
    assert not batch.held, f"consumed, but to wait: {batch.held}"
    assert not batch.dropped, f"consumed, but without effect: {batch.dropped}"
    outcomes = run_batch(registry.entity(entity.name).open(entity, state), state, batch.operations)
    return decide_batch(before.origin, before.progress, batch, outcomes, made.progress.updated_at)


def _taken_back(made: Checkpoint) -> set[int]:
    """Lock requests whose release found them waiting, and that release.

    They stood behind operations that the batch had no room for, and those are not among what it consumed.
    """
    sent = [envelope.message for envelope in made.outbox]
    found: set[int] = set()
    for request, release in pairwise(made.consumed):
        wish, end = request.message, release.message
        if (
            isinstance(wish, LockRequest)
            and isinstance(end, LockRelease)
            and (wish.holder.instance_id, wish.section_id) == (end.holder_id, end.section_id)
            and next_batch([request], None, 0).outbox[0].message not in sent
        ):
            found |= {id(request), id(release)}
    return found


def difference(made: Checkpoint, anew: Checkpoint) -> str | None:
    """Where two checkpoints differ; the stacks of failures may."""
    for what in ("expected_last_seq", "events", "history", "progress", "activities", "outbox", "children"):
        ours, theirs = getattr(made, what), getattr(anew, what)
        if ours != theirs and (left := _picture(what, ours)) != (right := _picture(what, theirs)):
            return f"{what}: committed {left}, from the history alone {right}"
    return None


def _picture(what: str, value: Any) -> Any:
    if what == "outbox":
        return [(e.target, e.due_at, _plain(e.message)) for e in value]
    if what == "children":
        return [(_plain(c.record.progress), c.start.target, _plain(c.start.message)) for c in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, msgspec.Struct):
        fields = {name: _plain(getattr(value, name)) for name in value.__struct_fields__ if name != "stack_trace"}
        return (type(value).__name__, fields)
    return value
