from collections.abc import Generator
from typing import Any

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    lines = context.get_input()

    tasks = [context.call_activity("CountWords", line) for line in lines]
    counts = yield context.task_all(tasks)

    return sum(counts)


main = df.Orchestrator.create(orchestrator_function)
