"""Large payloads, long histories, and schedules."""

from datetime import timedelta
from typing import Any

import grpc
from flows import in_sequence
from stage import Stage, activity, orchestrator, scenario, until

from durabletask import task
from durabletask.scheduled import ScheduleCreationOptions, ScheduledTaskClient, ScheduleUpdateOptions

MIB = 1024 * 1024


@activity
def echo(ctx: task.ActivityContext, text: str) -> str:
    return text


@activity
def wide(ctx: task.ActivityContext, n: int) -> str:
    return "x" * 200_000


@orchestrator
def echoing(ctx: task.OrchestrationContext, text: str) -> Any:
    return (yield ctx.call_activity(echo, input=text))


@orchestrator
def growing(ctx: task.OrchestrationContext, n: int) -> Any:
    total = 0
    for i in range(n):
        total += len((yield ctx.call_activity(wide, input=i)))
    return total


@scenario
def large_payloads(stage: Stage) -> Any:
    """5 MiB in and out; a client that takes no more than gRPC's 4 MiB is told so."""
    text = "x" * (5 * MIB)
    instance_id = stage.start(echoing, text)
    came_back = stage.output(instance_id) == text
    with stage.new_client() as narrow:
        try:
            narrow.wait_for_orchestration_completion(instance_id, timeout=10)
        except grpc.RpcError as error:
            refused = [error.code().name, "larger than max" in str(error.details())]  # type: ignore[attr-defined]
        else:
            refused = None
        # Without its payloads the status is small.
        state = narrow.get_orchestration_state(instance_id, fetch_payloads=False)
        assert state is not None
        return [came_back, refused, state.runtime_status.name]


@scenario
def long_history(stage: Stage) -> Any:
    """More than 4 MiB of events; their list comes in parts that every client takes."""
    instance_id = stage.start(growing, 30)
    output = stage.output(instance_id)
    with stage.new_client() as narrow:
        events = narrow.get_orchestration_history(instance_id)
    texts = [len(event.result or "") for event in events if type(event).__name__ == "TaskCompletedEvent"]
    return [output, len(texts), sum(texts)]


@scenario
def schedules(stage: Stage) -> Any:
    every = ScheduledTaskClient(stage.client, operation_timeout=20)
    name = in_sequence.__name__
    schedule = every.create_schedule(
        ScheduleCreationOptions(
            schedule_id="often", orchestration_name=name, interval=timedelta(seconds=1), orchestration_input=1
        )
    )
    until(lambda: schedule.describe().last_run_at is not None, "the schedule has run")
    schedule.pause()
    seen: list[Any] = [schedule.describe().status.name]
    schedule.update(ScheduleUpdateOptions(interval=timedelta(hours=1)))
    schedule.resume()
    described = schedule.describe()
    assert described.interval is not None
    seen.append([described.status.name, described.orchestration_name, described.interval.total_seconds()])
    seen.append([one.schedule_id for one in every.list_schedules()])
    schedule.delete()
    until(lambda: every.get_schedule("often") is None, "the schedule is deleted")
    return seen
