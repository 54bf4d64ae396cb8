"""An embedded worker tells its subclass of activities, as a worker of a server does."""

import logging
from typing import Any

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker

QUIET = logging.NullHandler()


def plus(ctx: task.ActivityContext, n: int) -> int:
    return n + 1


async def failing(ctx: task.ActivityContext, n: int) -> int:
    raise ValueError("no")


def calls(ctx: task.OrchestrationContext, n: int) -> Any:
    yield ctx.call_activity(plus, input=n, tags={"k": "v"})
    try:
        yield ctx.call_activity(failing, input=n)
    except task.TaskFailedError as error:
        return error.details.error_type


def test_subclasses_see_activities() -> None:
    seen: list[tuple[str, Any]] = []

    class Watching(DurableTaskSchedulerWorker):
        def _on_activity_execution_started(self, req: Any) -> None:
            seen.append(("started", req))

        def _on_activity_execution_completed(self, req: Any) -> None:
            seen.append(("completed", req))

    hub = "Endpoint=embedded://hooks;TaskHub=watched"
    with Watching(hub, log_handler=QUIET) as worker, DurableTaskSchedulerClient(hub, mode="sync") as client:
        worker.add_orchestrator(calls)
        worker.add_activity(plus)
        worker.add_activity(failing)
        worker.start()
        instance_id = client.schedule_new_orchestration(calls, input=1)
        state = client.wait_for_orchestration_completion(instance_id, timeout=20)
    assert state is not None
    assert state.get_output() == "builtins.ValueError"
    assert [(what, request.name) for what, request in seen] == [
        (what, name) for name in ("plus", "failing") for what in ("started", "completed")
    ]
    first = seen[0][1]
    assert (first.orchestrationInstance.instanceId, first.input.value, dict(first.tags)) == (
        instance_id,
        "1",
        {"k": "v"},
    )
