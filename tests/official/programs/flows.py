"""Sequences, fan-outs, timers, children, retries, failures and new beginnings."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from stage import SHORT, Stage, activity, alone, failure, orchestrator, policy, scenario

from durabletask import task

TRIES: Counter[str] = Counter()
"""How often something was tried in this process."""


@activity
def plus_one(ctx: task.ActivityContext, n: int) -> int:
    return n + 1


@activity
def fails_until(ctx: task.ActivityContext, at: list[Any]) -> int:
    key, tries = at
    TRIES[key] += 1
    if TRIES[key] < tries:
        raise ConnectionError(f"try {TRIES[key]}")
    return TRIES[key]


@activity
def fails_deep(ctx: task.ActivityContext, n: int) -> None:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("outer") from error


@orchestrator
def in_sequence(ctx: task.OrchestrationContext, n: int) -> Any:
    seen = []
    for _ in range(3):
        n = yield ctx.call_activity(plus_one, input=n)
        seen.append(n)
    return seen


@scenario
def sequence(stage: Stage) -> Any:
    return stage.run(in_sequence, 0)


@orchestrator
def fanning_out(ctx: task.OrchestrationContext, n: int) -> Any:
    results = yield task.when_all([ctx.call_activity(plus_one, input=i) for i in range(n)])
    return [len(results), sum(results), results[:3]]


@scenario
def fan_out(stage: Stage) -> Any:
    return stage.run(fanning_out, 100)


@orchestrator
def fanning_out_children(ctx: task.OrchestrationContext, n: int) -> Any:
    return (yield task.when_all([ctx.call_sub_orchestrator(in_sequence, input=i) for i in range(n)]))


@scenario
def fan_out_children(stage: Stage) -> Any:
    return stage.run(fanning_out_children, 5)


@orchestrator
def sleeping(ctx: task.OrchestrationContext, milliseconds: int) -> Any:
    before = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(milliseconds=milliseconds))
    return ctx.current_utc_datetime - before >= timedelta(milliseconds=milliseconds)


@scenario
def timer(stage: Stage) -> Any:
    return stage.run(sleeping, 200)


@alone
def timer_in_hops(stage: Stage) -> Any:
    """A timer longer than the worker's longest one."""
    with stage.worker(orchestrators=[sleeping], maximum_timer_interval=timedelta(milliseconds=100)):
        instance_id = stage.start(sleeping, 350)
        slept = stage.output(instance_id)
    return [slept, kinds(stage, instance_id).count("TimerFiredEvent") >= 4]


def kinds(stage: Stage, instance_id: str) -> list[str]:
    return [type(event).__name__ for event in stage.client.get_orchestration_history(instance_id)]


@orchestrator
def racing(ctx: task.OrchestrationContext, n: int) -> Any:
    slow, quick = ctx.create_timer(timedelta(hours=1)), ctx.call_activity(plus_one, input=n)
    first = yield task.when_any([slow, quick])
    return [first is quick, quick.get_result()]


@scenario
def any_of_two(stage: Stage) -> Any:
    return stage.run(racing, 4)


@orchestrator
def flaky_child(ctx: task.OrchestrationContext, key: str) -> Any:
    # Retried as a whole, so the count lives outside.
    return (yield ctx.call_activity(fails_until, input=[key, 3]))


@orchestrator
def retrying_child(ctx: task.OrchestrationContext, key: str) -> Any:
    return (yield ctx.call_sub_orchestrator(flaky_child, input=key, retry_policy=policy(5)))


@scenario
def child_with_retry(stage: Stage) -> Any:
    return stage.run(retrying_child, "child")


@orchestrator
def retrying(ctx: task.OrchestrationContext, at: list[Any]) -> Any:
    key, attempts = at
    try:
        return (yield ctx.call_activity(fails_until, input=[key, 3], retry_policy=policy(attempts)))
    except task.TaskFailedError as error:
        return [error.details.error_type, error.details.message]


@scenario
def retries(stage: Stage) -> Any:
    return [stage.run(retrying, ["enough", 3]), stage.run(retrying, ["too few", 2])]


@orchestrator
def failing(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_activity(fails_deep, input=n)


@orchestrator
def failing_below(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_sub_orchestrator(failing, input=n)


@orchestrator
def catching(ctx: task.OrchestrationContext, n: int) -> Any:
    try:
        yield ctx.call_activity(fails_deep, input=n)
    except task.TaskFailedError as error:
        return [error.details.is_caused_by(ValueError), failure(error.details)]


@orchestrator
def raising(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.create_timer(SHORT)
    raise LookupError("nothing here")


@scenario
def nested_failures(stage: Stage) -> Any:
    seen = [types_of(stage.ended(stage.start(function, 1)).failure_details) for function in (failing, failing_below)]
    return [*seen, stage.run(catching, 1), stage.run(raising)]


def types_of(details: Any) -> list[str]:
    """The types down the chain of causes."""
    types = []
    while details is not None:
        types.append(details.error_type.rpartition(".")[2])
        details = details.inner_failure
    return types


@scenario
def unknown_functions(stage: Stage) -> Any:
    state = stage.ended(stage.start("nobody_knows"))
    return [state.runtime_status.name, state.failure_details.error_type.rpartition(".")[2]]


@orchestrator
def statuses(ctx: task.OrchestrationContext, n: int) -> Any:
    ctx.set_custom_status({"step": 1, "text": "ä€😀"})
    yield ctx.wait_for_external_event("go")
    ctx.set_custom_status("done")
    return "ok"


@scenario
def custom_status(stage: Stage) -> Any:
    instance_id = stage.start(statuses)
    stage.until_custom_status(instance_id, {"step": 1, "text": "ä€😀"})
    stage.client.raise_orchestration_event(instance_id, "go")
    state = stage.ended(instance_id)
    return [state.get_custom_status(), state.get_output()]


@orchestrator
def counting_down(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_activity(plus_one, input=n)
    if n > 0:
        ctx.continue_as_new(n - 1)
        return None
    return "down"


@scenario
def continue_as_new(stage: Stage) -> Any:
    return stage.run(counting_down, 5)


@orchestrator
def collecting(ctx: task.OrchestrationContext, at: dict[str, Any]) -> Any:
    if not at["seen"]:
        ctx.set_custom_status("ready")
    got = ctx.wait_for_external_event("item")
    first = yield task.when_any([got, ctx.create_timer(timedelta(seconds=at["seconds"]))])
    if first is not got:
        return [*at["seen"], "time is up"]
    seen = [*at["seen"], got.get_result()]
    if len(seen) < 3:
        ctx.continue_as_new({**at, "seen": seen}, save_events=at["save"])
        return None
    return seen


@scenario
def events_carried_over(stage: Stage) -> Any:
    """Three events in one turn: with carry-over all are seen, without only the first."""
    seen = []
    for save, seconds in ((True, 30), (False, 1)):
        instance_id = stage.start(collecting, {"seen": [], "save": save, "seconds": seconds})
        stage.until_custom_status(instance_id, "ready")
        stage.client.suspend_orchestration(instance_id)
        stage.until_status(instance_id, "SUSPENDED")
        for n in range(3):
            stage.client.raise_orchestration_event(instance_id, "item", data=n)
        stage.client.resume_orchestration(instance_id)
        seen.append(stage.output(instance_id))
    return seen


@orchestrator
def naming(ctx: task.OrchestrationContext, n: int) -> Any:
    first = ctx.new_uuid()
    yield ctx.create_timer(SHORT)
    return [first == ctx.instance_id, first != ctx.new_uuid(), ctx.is_replaying, ctx.parent_instance_id]


@scenario
def identifiers(stage: Stage) -> Any:
    return stage.run(naming)


@scenario
def scheduled_start(stage: Stage) -> Any:
    at = datetime.now(UTC) + timedelta(milliseconds=400)
    instance_id = stage.start(in_sequence, 0, start_at=at)
    pending = stage.status(instance_id)
    output = stage.output(instance_id)
    return [pending, output, datetime.now(UTC) >= at]
