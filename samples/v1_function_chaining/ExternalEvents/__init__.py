from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    request = context.get_input()
    yield context.call_activity("AskForApproval", request)

    due_time = context.current_utc_datetime + timedelta(seconds=request.get("seconds", 3600))
    timeout_task = context.create_timer(due_time)
    approval_task = context.wait_for_external_event("Approval")

    winner = yield context.task_any([approval_task, timeout_task])

    if winner == approval_task:
        timeout_task.cancel()
        return "approved" if approval_task.result else "rejected"
    return "timed out"


main = df.Orchestrator.create(orchestrator_function)
