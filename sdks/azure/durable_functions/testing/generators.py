"""Running an orchestrator's generator in a unit test, with tasks whose results the test has set."""

from collections.abc import Generator
from typing import Any


def orchestrator_generator_wrapper(generator: Generator[Any, Any, Any]) -> Generator[Any, Any, None]:
    """Yield each task that the orchestrator yields, then what it returns.

    The orchestrator gets each task's ``result``; what reading it raises is raised at its ``yield``.
    """
    try:
        task = next(generator)
        while True:
            yield task
            try:
                result = task.result
            except Exception as error:
                task = generator.throw(error)
            else:
                task = generator.send(result)
    except StopIteration as end:
        yield end.value
