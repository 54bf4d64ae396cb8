"""Events, suspending, terminating, rewinding, restarting, purging, and what clients may ask."""

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc
from flows import fails_deep, in_sequence, kinds, plus_one
from stage import SHORT, Stage, activity, orchestrator, scenario, until

from durabletask import task
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationQuery, OrchestrationStatus

BROKEN: set[str] = set()
"""What fails as long as it stands here."""
CALLS: Counter[str] = Counter()
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


@activity
def breaks(ctx: task.ActivityContext, key: str) -> str:
    CALLS[key] += 1
    if key in BROKEN:
        raise ValueError(f"{key} is broken")
    return f"{key} works"


@orchestrator
def hearing(ctx: task.OrchestrationContext, n: int) -> Any:
    ctx.set_custom_status("hears")
    seen = []
    for _ in range(n):
        seen.append((yield ctx.wait_for_external_event("Said")))
    return seen


@orchestrator
def hearing_late(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.wait_for_external_event("open")
    seen = []
    for _ in range(n):
        seen.append((yield ctx.wait_for_external_event("said")))
    return seen


@scenario
def events_before_and_after_the_wait(stage: Stage) -> Any:
    waiting, late = stage.start(hearing, 2), stage.start(hearing_late, 3)
    stage.until_custom_status(waiting, "hears")
    for n in range(2):
        stage.client.raise_orchestration_event(waiting, "said", data={"n": n})
    for n in range(3):
        stage.client.raise_orchestration_event(late, "said", data=n)
    stage.client.raise_orchestration_event(late, "open")
    return [stage.output(waiting), stage.output(late)]


@orchestrator
def telling(ctx: task.OrchestrationContext, to: str) -> Any:
    ctx.send_event(to, "said", data="from beside")
    yield ctx.create_timer(SHORT)
    return "told"


@scenario
def events_between_orchestrations(stage: Stage) -> Any:
    heard = stage.start(hearing, 1)
    stage.until_custom_status(heard, "hears")
    return [stage.run(telling, heard), stage.output(heard)]


@scenario
def suspend_and_resume(stage: Stage) -> Any:
    instance_id = stage.start(hearing, 3)
    stage.until_custom_status(instance_id, "hears")
    stage.client.raise_orchestration_event(instance_id, "said", data="before")
    stage.client.suspend_orchestration(instance_id, reason="wait")
    stage.until_status(instance_id, "SUSPENDED")
    for word in ("between", "after"):
        stage.client.raise_orchestration_event(instance_id, "said", data=word)
    suspended = stage.status(instance_id)
    stage.client.resume_orchestration(instance_id)
    return [suspended, stage.output(instance_id)]


@orchestrator
def parent_of_waiting(ctx: task.OrchestrationContext, child_id: str) -> Any:
    return (yield ctx.call_sub_orchestrator(hearing, input=1, instance_id=child_id))


@scenario
def terminate(stage: Stage) -> Any:
    seen = []
    for recursive in (True, False):
        child = f"child-{recursive}"
        parent = stage.start(parent_of_waiting, child)
        stage.until_custom_status(child, "hears")
        stage.client.terminate_orchestration(parent, output={"why": "enough"}, recursive=recursive)
        state = stage.ended(parent)
        if recursive:
            stage.until_status(child, "TERMINATED")
        seen.append([state.runtime_status.name, state.get_output(), stage.status(child)])
        stage.client.terminate_orchestration(child)
        seen.append(stage.ended(child).runtime_status.name)
    return seen


@orchestrator
def resting_on(ctx: task.OrchestrationContext, key: str) -> Any:
    first = yield ctx.call_activity(breaks, input=f"{key}-sure")
    second = yield ctx.call_activity(breaks, input=key)
    return [first, second]


@orchestrator
def resting_on_child(ctx: task.OrchestrationContext, key: str) -> Any:
    return (yield ctx.call_sub_orchestrator(resting_on, input=key, instance_id=f"{key}-child"))


@scenario
def rewind(stage: Stage) -> Any:
    """Of a failed orchestration, of one whose child failed, and of one whose failed child was purged."""
    seen = []
    for key, begun in (("plain", resting_on), ("tree", resting_on_child), ("purged", resting_on_child)):
        BROKEN.add(key)
        instance_id = stage.start(begun, key)
        failed = stage.ended(instance_id).runtime_status.name
        if key == "purged":
            assert stage.client.purge_orchestration(f"{key}-child").deleted_instance_count == 1
        BROKEN.discard(key)
        stage.client.rewind_orchestration(instance_id, reason="repaired")
        output = None

        def again(instance_id: str = instance_id) -> bool:
            nonlocal output
            state = stage.client.get_orchestration_state(instance_id)
            output = state.get_output() if state is not None else None
            return state is not None and state.runtime_status is OrchestrationStatus.COMPLETED

        until(again, f"{key} completes after its rewind")
        seen.append([key, failed, output, CALLS[f"{key}-sure"], CALLS[key]])
    return seen


@scenario
def rewind_of_what_did_not_fail(stage: Stage) -> Any:
    instance_id = stage.start(in_sequence, 0)
    stage.ended(instance_id)
    names = (instance_id, "never-started")
    return [code_of(partial(stage.client.rewind_orchestration, name)) for name in names]


def code_of(call: Any) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name  # type: ignore[attr-defined]
    return "OK"


@scenario
def restart(stage: Stage) -> Any:
    first = stage.start(in_sequence, 5, instance_id="restarted")
    stage.ended(first)
    fresh = stage.client.restart_orchestration(first, restart_with_new_instance_id=True)
    seen = [fresh != first, stage.output(fresh)]
    same = stage.client.restart_orchestration(first)
    return [*seen, same == first, stage.output(same), code_of(lambda: stage.client.restart_orchestration("unknown"))]


@scenario
def ids_taken(stage: Stage) -> Any:
    """An id is taken until its instance is purged."""
    running = stage.start(hearing, 1, instance_id="taken")
    stage.until_custom_status(running, "hears")
    seen = [code_of(lambda: stage.start(in_sequence, 1, instance_id="taken"))]
    stage.client.raise_orchestration_event(running, "said", data="x")
    stage.ended(running)
    seen.append(code_of(lambda: stage.start(in_sequence, 1, instance_id="taken")))
    stage.client.purge_orchestration(running)
    return [*seen, stage.run(in_sequence, 1, instance_id="taken")]


@scenario
def purge(stage: Stage) -> Any:
    seen: list[Any] = []
    one = stage.start(in_sequence, 0)
    stage.ended(one)
    seen.append([stage.client.purge_orchestration(one).deleted_instance_count for _ in range(2)])
    seen.append(stage.status(one))
    running = stage.start(hearing, 1)
    stage.until_custom_status(running, "hears")
    seen.append(code_or_count(lambda: stage.client.purge_orchestration(running)))
    stage.client.terminate_orchestration(running)
    stage.ended(running)
    child = "purged-child"
    parent = stage.start(parent_of_waiting, child)
    stage.until_custom_status(child, "hears")
    stage.client.raise_orchestration_event(child, "said", data=1)
    stage.ended(parent)
    seen.append([stage.client.purge_orchestration(parent, recursive=True).deleted_instance_count, stage.status(child)])
    return seen


def code_or_count(call: Any) -> Any:
    try:
        return call().deleted_instance_count
    except grpc.RpcError as error:
        return error.code().name  # type: ignore[attr-defined]


@scenario
def purge_by_filter(stage: Stage) -> Any:
    ids = [stage.start(failing_quickly, n) for n in range(3)]
    for instance_id in ids:
        stage.ended(instance_id)
    none = stage.client.purge_orchestrations_by(
        created_time_from=_BEGIN,
        created_time_to=_BEGIN + timedelta(days=1),
        runtime_status=[OrchestrationStatus.FAILED],
    )
    some = stage.client.purge_orchestrations_by(
        created_time_from=datetime.now(UTC) - timedelta(hours=1),
        created_time_to=datetime.now(UTC) + timedelta(hours=1),
        runtime_status=[OrchestrationStatus.FAILED],
    )
    left = [stage.status(instance_id) for instance_id in ids]
    return [none.deleted_instance_count, some.deleted_instance_count >= 3, left]


@orchestrator
def failing_quickly(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_activity(fails_deep, input=n)


@scenario
def query_paging(stage: Stage) -> Any:
    ids = [stage.start(in_sequence, n, instance_id=f"page-{n}") for n in range(7)]
    for instance_id in ids:
        stage.ended(instance_id)
    query = OrchestrationQuery(
        runtime_status=[OrchestrationStatus.COMPLETED],
        instance_id_prefix="page-",
        max_instance_count=3,
        fetch_inputs_and_outputs=True,
    )
    states = stage.client.get_all_orchestration_states(query)
    found = sorted(state.instance_id for state in states)
    none = OrchestrationQuery(instance_id_prefix="page-", runtime_status=[OrchestrationStatus.FAILED])
    everything = {state.instance_id for state in stage.client.get_all_orchestration_states()}
    return [
        found == ids,
        sorted(state.get_input() for state in states),
        states[0].name,
        stage.client.get_all_orchestration_states(none),
        everything.issuperset(ids),
    ]


@scenario
def ids_of_what_has_ended(stage: Stage) -> Any:
    begin = datetime.now(UTC) - timedelta(seconds=1)
    ids = [stage.start(in_sequence, n) for n in range(5)]
    for instance_id in ids:
        stage.ended(instance_id)
    token, listed, pages = None, [], 0
    while True:
        page = stage.client.list_instance_ids(
            [OrchestrationStatus.COMPLETED], completed_time_from=begin, page_size=2, continuation_token=token
        )
        pages += 1
        listed += page.items
        assert len(page.items) <= 2
        token = page.continuation_token
        if not token:
            break
    return [set(ids) <= set(listed), len(listed) == len(set(listed)), pages >= 3]


@orchestrator
def tagged(ctx: task.OrchestrationContext, n: int) -> Any:
    return (yield ctx.call_activity(plus_one, input=n, tags={"step": "one"}))


@scenario
def history_and_tags(stage: Stage) -> Any:
    instance_id = stage.start(tagged, 1, tags={"team": "blue"})
    stage.ended(instance_id)
    events = stage.client.get_orchestration_history(instance_id)
    tags = [event.tags for event in events if getattr(event, "tags", None)]
    return [kinds(stage, instance_id), tags]


@scenario
def unknown_instances(stage: Stage) -> Any:
    client = stage.client
    return [
        client.get_orchestration_state("unknown"),
        client.purge_orchestration("unknown").deleted_instance_count,
        client.wait_for_orchestration_start(stage.start(in_sequence, 1), timeout=10) is not None,
        timed_out(lambda: client.wait_for_orchestration_completion(stage.start(hearing, 1), timeout=0.3)),
    ]


def timed_out(call: Any) -> bool:
    try:
        call()
    except TimeoutError:
        return True
    return False


@scenario
def asynchronous_client(stage: Stage) -> Any:
    async def talk() -> Any:
        client = AsyncTaskHubGrpcClient(
            host_address=stage.address, metadata=stage.metadata, log_handler=logging.NullHandler()
        )
        async with client:
            instance_id = await client.schedule_new_orchestration(hearing, input=2)
            await client.wait_for_orchestration_start(instance_id, timeout=10)
            for n in range(2):
                await client.raise_orchestration_event(instance_id, "said", data=n)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            assert state is not None
            purged = await client.purge_orchestration(instance_id)
            return [state.get_output(), purged.deleted_instance_count]

    return asyncio.run(talk())
