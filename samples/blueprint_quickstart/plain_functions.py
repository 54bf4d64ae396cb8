"""The package's own decorators need no object: they fill one blueprint, which the host registers."""

from collections.abc import Generator
from typing import Any

from azure.durable_functions import DurableOrchestrationContext, activity_trigger, orchestration_trigger


@orchestration_trigger(context_name="context")
def count_letters(context: DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    words: list[str] = context.get_input()
    counts = yield context.task_all([context.call_activity("count", word) for word in words])
    return dict(zip(words, counts, strict=True))


@activity_trigger(input_name="word")
def count(word: str) -> int:
    return len(word)
