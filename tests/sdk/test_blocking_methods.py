"""One set of blocking methods serves both SDKs: it asks as both sets of coroutines want to be asked."""

import inspect
from collections.abc import Mapping

import pytest

from azure.durable_functions import DurableFunctionsClient
from durabletask.async_calls import AsyncCalls
from durabletask.blocking_methods import BlockingMethods

NAMES = sorted(name for name in vars(BlockingMethods) if not name.startswith("_"))


def parameters(method: object) -> Mapping[str, tuple[object, object]]:
    found = inspect.signature(method).parameters  # type: ignore[arg-type]
    return {name: (parameter.kind, parameter.default) for name, parameter in found.items()}


@pytest.mark.parametrize("owner", [AsyncCalls, DurableFunctionsClient])
@pytest.mark.parametrize("name", NAMES)
def test_each_has_the_parameters_of_the_coroutine(name: str, owner: type) -> None:
    awaited = getattr(owner, name)
    assert inspect.iscoroutinefunction(awaited)
    assert parameters(getattr(BlockingMethods, name)) == parameters(awaited)
