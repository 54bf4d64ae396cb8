from collections.abc import Generator
from typing import Any

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    texts = context.get_input()

    tasks = [context.call_activity("IdentifyLanguage", text) for text in texts]
    languages = yield context.task_all(tasks)

    return {text: language for text, language in zip(texts, languages, strict=True)}


main = df.Orchestrator.create(orchestrator_function)
