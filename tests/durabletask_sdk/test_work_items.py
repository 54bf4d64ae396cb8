"""Orchestrator, activity and entity work items without a wire."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durabletask import task
from durabletask.entities import EntityInstanceId
from durabletask.working.activity_items import Activities
from durabletask.working.described_failures import describer
from durabletask.working.effect_order import EffectOrder
from durabletask.working.entity_items import Entities
from durabletask.working.functions import Definitions, Functions, define
from durabletask.working.options import (
    VersionFailureStrategy,
    VersioningOptions,
    VersionMatchStrategy,
    compare_versions,
    version_mismatch,
)
from durabletask.working.orchestrator_items import Answer, Orchestrations, OrchestratorItem, Refused, Terminated
from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.registry import ActivityCall, Operation

AT = datetime(2026, 5, 1, tzinfo=UTC)
BATCH = ev.OrchestratorStarted(AT)


def started(name: str, input: str | None = None, version: str | None = None) -> list[ev.HistoryEvent]:
    return [BATCH, ev.ExecutionStarted(name, "e1", input, version)]


def defined(*functions: Any, **options: Any) -> Definitions:
    given = Functions()
    for function in functions:
        given.add_orchestrator(function)
    return define(given, **options)


def run(
    definitions: Definitions,
    past: Sequence[ev.HistoryEvent],
    new: Sequence[ev.HistoryEvent],
    versioning: VersioningOptions | None = None,
) -> Answer:
    item = OrchestratorItem("i1", past, new)
    answer = Orchestrations(definitions, versioning or VersioningOptions()).run(item)
    assert isinstance(answer, Answer)
    return answer


def chain(ctx: task.OrchestrationContext, input: Any) -> Iterator[Any]:
    ctx.set_custom_status("begun")
    first = yield ctx.call_activity("a", input=input)
    second = yield ctx.call_activity("b", input=first)
    return [first, second]


def test_a_chain_from_item_to_item() -> None:
    definitions = defined(chain)
    past: list[ev.HistoryEvent] = []
    new: list[ev.HistoryEvent] = started("chain", "1")
    answer = run(definitions, past, new)
    assert list(answer.actions) == [ac.ScheduleActivity(1, "a", "1")]
    assert answer.custom_status == '"begun"'
    past = [*new, ev.TaskScheduled(1, "a", "1")]
    new = [BATCH, ev.TaskCompleted(1, 2, "2")]
    answer = run(definitions, past, new)
    assert list(answer.actions) == [ac.ScheduleActivity(2, "b", "2")]
    assert answer.custom_status == '"begun"', "each answer tells the whole status"
    past = [*past, *new, ev.TaskScheduled(2, "b", "2")]
    answer = run(definitions, past, [BATCH, ev.TaskCompleted(2, 5, "3")])
    assert answer.ending == ac.Complete("[2, 3]")


def test_failures_carry_qualified_types_causes_and_properties() -> None:
    class Properties:
        def get_exception_properties(self, exception: BaseException) -> dict[str, Any]:
            return {"length": len(str(exception))}

    def failing(ctx: Any, input: Any) -> None:
        try:
            raise KeyError("k")
        except KeyError as error:
            raise ValueError("bad") from error

    answer = run(defined(failing, describe=describer(Properties())), [], started("failing"))
    assert isinstance(answer.ending, ac.Fail)
    failure = answer.ending.failure
    assert (failure.error_type, failure.message) == ("builtins.ValueError", "bad")
    assert failure.cause is not None
    assert failure.cause.error_type == "builtins.KeyError"
    assert (failure.properties, failure.cause.properties) == ({"length": 3}, {"length": 3})


def test_a_provider_that_fails_costs_only_the_properties(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def get_exception_properties(self, exception: BaseException) -> dict[str, Any]:
            return {"what": object()}

    assert describer(Broken())(ValueError("x")).properties is None
    assert "left out" in caplog.text


def test_an_unknown_orchestrator_is_a_failure_that_names_the_known_ones() -> None:
    answer = run(defined(chain), [], started("chian"))
    assert isinstance(answer.ending, ac.Fail)
    assert answer.ending.failure.error_type == "durabletask.worker.OrchestratorNotRegisteredError"
    assert "'chain'" in answer.ending.failure.message


def test_code_that_no_longer_fits_is_a_non_determinism() -> None:
    past = [*started("chain", "1"), ev.TaskScheduled(1, "other", "1")]
    answer = run(defined(chain), past, [BATCH, ev.TaskCompleted(1, 2, "2")])
    assert isinstance(answer.ending, ac.Fail)
    assert answer.ending.failure.error_type == "durabletask.task.NonDeterminismError"


def test_termination_ends_it_and_unlocks_what_it_holds() -> None:
    def locking(ctx: task.OrchestrationContext, input: Any) -> Iterator[Any]:
        with (yield ctx.lock_entities([EntityInstanceId("a", "1"), EntityInstanceId("b", "2")])):
            yield ctx.wait_for_external_event("never")

    definitions = defined(locking)
    first = run(definitions, [], started("locking"))
    [request] = first.actions
    assert isinstance(request, ac.LockEntities)
    requested = ev.EntityLockRequested(request.task_id, request.section_id, request.entity_ids)
    past = [*started("locking"), requested, BATCH, ev.EntityLockGranted(request.task_id, 2)]
    answer = run(definitions, past, [BATCH, ev.ExecutionTerminated('"over"')])
    assert answer.ending == Terminated('"over"')
    assert [(type(a), a.entity_id) for a in answer.actions if isinstance(a, ac.UnlockEntity)] == [
        (ac.UnlockEntity, "@a@1"),
        (ac.UnlockEntity, "@b@2"),
    ]


def test_what_comes_while_suspended_waits_for_the_resume() -> None:
    def waiting(ctx: task.OrchestrationContext, input: Any) -> Iterator[Any]:
        return (yield ctx.wait_for_external_event("go"))

    definitions = defined(waiting)
    past = [*started("waiting"), BATCH, ev.ExecutionSuspended(), ev.EventRaised("go", "1")]
    assert run(definitions, past, [BATCH, ev.EventRaised("go", "2")]).ending is None
    answer = run(definitions, past, [BATCH, ev.EventRaised("go", "2"), ev.ExecutionResumed()])
    assert answer.ending == ac.Complete("1")


def test_effect_order_holds_across_pieces() -> None:
    order = EffectOrder()
    raised = ev.EventRaised("e")
    assert order.take([ev.ExecutionSuspended(), raised]) == [ev.ExecutionSuspended()]
    assert order.take([BATCH, ev.ExecutionResumed()]) == [BATCH, ev.ExecutionResumed(), raised]
    assert order.take([raised]) == [raised]


@pytest.mark.parametrize(
    ("left", "right", "sign"),
    [("1.10", "1.9", 1), ("1.0", "1.0.0", 0), (None, "1", -1), ("", None, 0), ("b", "a", 1), ("x", "1", 1)],
)
def test_versions_are_ordered(left: str | None, right: str | None, sign: int) -> None:
    order = compare_versions(left, right)
    assert (order > 0) - (order < 0) == sign


def test_version_strategies() -> None:
    own = VersioningOptions("2.0", match_strategy=VersionMatchStrategy.CURRENT_OR_OLDER)
    assert version_mismatch(own, "1.5") is None
    assert "greater" in (version_mismatch(own, "2.1") or "")
    strict = VersioningOptions("2.0", match_strategy=VersionMatchStrategy.STRICT)
    assert version_mismatch(strict, "2") is None
    assert "does not match" in (version_mismatch(strict, None) or "")
    assert version_mismatch(VersioningOptions("2.0"), "9") is None
    assert "unknown" in (version_mismatch(VersioningOptions("1", match_strategy=7), "1") or "")  # type: ignore[arg-type]


def test_another_version_is_failed_or_left_to_others() -> None:
    strict = VersioningOptions("2", None, VersionMatchStrategy.STRICT, VersionFailureStrategy.FAIL)
    answer = run(defined(chain), [], started("chain", version="1"), strict)
    assert isinstance(answer.ending, ac.Fail)
    assert (answer.ending.failure.error_type, answer.ending.failure.is_non_retriable) == ("VersionMismatch", True)
    leaving = VersioningOptions("2", None, VersionMatchStrategy.STRICT, VersionFailureStrategy.REJECT)
    item = OrchestratorItem("i1", [], started("chain", version="1"))
    assert isinstance(Orchestrations(defined(chain), leaving).run(item), Refused)


def test_children_get_the_default_version() -> None:
    def parent(ctx: task.OrchestrationContext, input: Any) -> Iterator[Any]:
        yield task.when_all([ctx.call_sub_orchestrator("c"), ctx.call_sub_orchestrator("c", version="9")])

    answer = run(defined(parent), [], started("parent"), VersioningOptions(default_version="3"))
    assert [a.version for a in answer.actions if isinstance(a, ac.StartChild)] == ["3", "9"]


def test_timers_longer_than_allowed_go_in_hops() -> None:
    def sleeper(ctx: task.OrchestrationContext, input: Any) -> Iterator[Any]:
        yield ctx.create_timer(timedelta(days=7))

    [timer] = run(defined(sleeper, longest_timer=timedelta(days=3)), [], started("sleeper")).actions
    assert isinstance(timer, ac.CreateTimer)
    assert timer.fire_at == AT + timedelta(days=3)
    [timer] = run(defined(sleeper), [], started("sleeper")).actions
    assert isinstance(timer, ac.CreateTimer)
    assert timer.fire_at == AT + timedelta(days=7)


def activities(*functions: Callable[..., Any]) -> Activities:
    given = Functions()
    for function in functions:
        given.add_activity(function)
    return Activities(define(given))


def test_activities_of_both_kinds() -> None:
    def plain(ctx: task.ActivityContext, n: int) -> str:
        return f"{ctx.orchestration_id}/{ctx.task_id}/{n}"

    def alone(ctx: task.ActivityContext) -> str:
        return ctx.name

    async def waited(ctx: task.ActivityContext, n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    known = activities(plain, alone, waited)
    assert known.run(ActivityCall("i", 3, "plain", "1")).result == '"i/3/1"'
    assert known.run(ActivityCall("i", 3, "alone", None)).result == '"alone"'
    assert known.is_async("waited")
    assert not known.is_async("plain")
    assert asyncio.run(known.run_async(ActivityCall("i", 1, "waited", "1"))).result == "2"


def test_activity_failures() -> None:
    def failing(ctx: Any, input: Any) -> None:
        raise LookupError("")

    def unwritable(ctx: Any, input: Any) -> object:
        return object()

    known = activities(failing, unwritable)
    failure = known.run(ActivityCall("i", 1, "failing", None)).failure
    assert failure is not None
    assert failure.error_type == "builtins.LookupError"
    failure = known.run(ActivityCall("i", 1, "unwritable", None)).failure
    assert failure is not None
    assert failure.error_type == "builtins.TypeError"
    failure = known.run(ActivityCall("i", 1, "missing", None)).failure
    assert failure is not None
    assert failure.error_type == "durabletask.worker.ActivityNotRegisteredError"


def test_entity_batches() -> None:
    def counter(ctx: Any, n: int) -> int:
        if ctx.operation == "fail":
            ctx.set_state(100)
            raise ValueError("no")
        total = ctx.get_state(int, 0) + n
        ctx.set_state(total)
        return total

    given = Functions()
    given.add_entity(counter, "Counter")
    entities = Entities(define(given))
    operations = [Operation("add", "2", True), Operation("fail", "1", False), Operation("add", "3", False)]
    first, second, third = entities.run("@counter@k", None, operations)
    assert (first.state, third.state, third.result) == ("2", "5", "5")
    assert second.failure is not None
    assert (second.failure.error_type, second.state) == ("builtins.ValueError", "2")
    [outcome] = entities.run("@other@k", "1", operations[:1])
    assert outcome.failure is not None
    assert outcome.failure.error_type == "durabletask.worker.EntityNotRegisteredError"
    assert outcome.state == "1"
