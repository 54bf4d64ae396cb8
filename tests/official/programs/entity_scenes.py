"""Entities: called, signalled, locked, starting others."""

from datetime import UTC, datetime, timedelta
from typing import Any

from stage import Stage, entity, orchestrator, scenario, until

from durabletask import entities, task
from durabletask.client import EntityQuery

Id = entities.EntityInstanceId


@entity
class Counter(entities.DurableEntity):
    """Counts, and asks others to do things."""

    def add(self, n: int) -> int:
        total = self.get_state(int, 0) + n
        self.set_state(total)
        return total

    def get(self, _: Any = None) -> int:
        return self.get_state(int, 0)

    def fail(self, n: int) -> None:
        self.set_state(1_000_000)
        raise ValueError(f"not {n}")

    def pass_on(self, at: list[Any]) -> None:
        key, n = at
        self.signal_entity(Id("counter", key), "add", n)

    def begin(self, instance_id: str) -> str:
        return self.schedule_new_orchestration("in_sequence", input=self.get_state(int, 0), instance_id=instance_id)


@entity
def noted(ctx: entities.EntityContext, word: str) -> Any:
    """A function, with the operations written out."""
    words = ctx.get_state(list, [])
    if ctx.operation == "note":
        ctx.set_state([*words, word])
        return len(words) + 1
    if ctx.operation == "read":
        return words
    raise NotImplementedError(ctx.operation)


@orchestrator
def counting(ctx: task.OrchestrationContext, key: str) -> Any:
    place = Id("counter", key)
    ctx.signal_entity(place, "add", 1)
    first = yield ctx.call_entity(place, "add", 2)
    yield ctx.call_entity(Id("noted", key), "note", "seen")
    words = yield ctx.call_entity(Id("noted", key), "read")
    return [first, words]


@scenario
def entity_calls_and_signals(stage: Stage) -> Any:
    place = Id("counter", "called")
    output = stage.run(counting, "called")
    stage.client.signal_entity(place, "add", 10)
    until(lambda: state_of(stage, place) == 13, "the signal arrived")
    return [output, state_of(stage, place)]


def state_of(stage: Stage, place: Id) -> Any:
    found = stage.client.get_entity(place)
    return None if found is None else found.get_state(int)


@orchestrator
def asking_to_fail(ctx: task.OrchestrationContext, key: str) -> Any:
    place = Id("counter", key)
    yield ctx.call_entity(place, "add", 5)
    try:
        yield ctx.call_entity(place, "fail", 3)
    except Exception as error:
        details = getattr(error, "failure_details", None) or getattr(error, "details", None)
        kept = yield ctx.call_entity(place, "get")
        return [type(error).__name__, kept, message_of(details)]


def message_of(details: Any) -> str:
    return getattr(details, "message", None) or getattr(details, "errorMessage", "")


@scenario
def entity_failures(stage: Stage) -> Any:
    """A failed operation leaves the state as it was."""
    return stage.run(asking_to_fail, "failing")


@orchestrator
def moving(ctx: task.OrchestrationContext, n: int) -> Any:
    source, target = Id("counter", "source"), Id("counter", "target")
    with (yield ctx.lock_entities([source, target])):
        has = yield ctx.call_entity(source, "get")
        if has < n:
            return False
        yield task.when_all([ctx.call_entity(source, "add", -n)])
        yield task.when_all([ctx.call_entity(target, "add", n)])
    return True


@scenario
def entity_locks(stage: Stage) -> Any:
    """Ten moves at once of 10 each out of 55: five find enough."""
    source, target = Id("counter", "source"), Id("counter", "target")
    stage.client.signal_entity(source, "add", 55)
    until(lambda: state_of(stage, source) == 55, "the source is filled")
    moves = [stage.start(moving, 10) for _ in range(10)]
    done = sorted(stage.output(move) for move in moves)
    until(lambda: state_of(stage, target) == 50, "the target is filled")
    until(lambda: not any(is_locked(stage, place) for place in (source, target)), "both are unlocked")
    return [done, state_of(stage, source), state_of(stage, target)]


def is_locked(stage: Stage, place: Id) -> bool:
    found = stage.client.get_entity(place)
    try:
        return found is not None and found.get_locked_by() is not None
    except ValueError:
        # The official package takes the owner for an entity, and its id for a wrong one.
        return True


@scenario
def delayed_signal(stage: Stage) -> Any:
    place = Id("counter", "late")
    at = datetime.now(UTC) + timedelta(milliseconds=500)
    stage.client.signal_entity(place, "add", 7, signal_time=at)
    before = state_of(stage, place)
    until(lambda: state_of(stage, place) == 7, "the delayed signal arrived")
    return [before, datetime.now(UTC) >= at]


@scenario
def entity_starts_an_orchestration(stage: Stage) -> Any:
    place = Id("counter", "starter")
    stage.client.signal_entity(place, "add", 3)
    stage.client.signal_entity(place, "begin", "begun-by-entity")
    until(lambda: stage.status("begun-by-entity") is not None, "the entity started it")
    return stage.output("begun-by-entity")


@scenario
def entity_signals_an_entity(stage: Stage) -> Any:
    stage.client.signal_entity(Id("counter", "first"), "pass_on", ["second", 4])
    until(lambda: state_of(stage, Id("counter", "second")) == 4, "the second heard of it")
    return state_of(stage, Id("counter", "second"))


@scenario
def entity_queries(stage: Stage) -> Any:
    places = [Id("counter", f"asked-{n}") for n in range(5)]
    for n, place in enumerate(places):
        stage.client.signal_entity(place, "add", n + 1)
    query = EntityQuery(instance_id_starts_with="@counter@asked-", page_size=2)
    until(lambda: len(stage.client.get_all_entities(query)) == 5, "five are found")
    found = sorted((str(one.id), one.get_state(int)) for one in stage.client.get_all_entities(query))
    stage.client.signal_entity(places[0], "delete")
    until(lambda: stage.client.get_entity(places[0]) is None, "one is deleted")
    cleaned = stage.client.clean_entity_storage()
    return [found, len(stage.client.get_all_entities(query)), cleaned.orphaned_locks_released]
