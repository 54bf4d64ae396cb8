"""A two-argument activity as it stands in a function app: one binding outside, context and input inside."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from azure.durable_functions.generations import positional
from azure.durable_functions.native_payloads import NATIVE_CONVERTER
from durabletask.activity_context import ActivityContext
from durabletask.annotations import annotated_type
from perdure.core.registry import ActivityCall


def native_activity(function: Callable[..., Any], input_name: str) -> Callable[..., Any]:
    """Wrap the function so that hosts see one parameter, the binding's.

    Our host calls the attribute ``run_activity`` instead, with the call as the engine knows it, and gets text; for an
    ``async def`` function a coroutine. Called with two arguments, as in a unit test, the function itself is called.
    """
    input_type = annotated_type(function, positional(function)[1].name, NATIVE_CONVERTER)

    def begin(call: ActivityCall) -> Any:
        context = ActivityContext(
            call.instance_id, call.task_id, name=call.name, version=call.version, tags=call.tags or {}
        )
        return function(context, NATIVE_CONVERTER.deserialize(call.input, input_type))

    def run(call: ActivityCall) -> str | None:
        return NATIVE_CONVERTER.serialize(begin(call))

    async def run_async(call: ActivityCall) -> str | None:
        return NATIVE_CONVERTER.serialize(await begin(call))

    def arguments(given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        # Another host passes the input only, decoded, and does not say who called.
        return given if given else (ActivityContext("", 0), named[input_name])

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def middleware_async(*given: Any, **named: Any) -> Any:
            return await function(*arguments(given, named))

        middleware: Any = middleware_async
    else:

        @functools.wraps(function)
        def middleware_plain(*given: Any, **named: Any) -> Any:
            return function(*arguments(given, named))

        middleware = middleware_plain

    middleware.activity_function = function
    middleware.run_activity = run_async if inspect.iscoroutinefunction(function) else run
    middleware.__signature__ = inspect.Signature(
        [inspect.Parameter(input_name, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    middleware.__annotations__ = {}
    del middleware.__wrapped__  # whoever unwraps would find two parameters
    return middleware


def without_context(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function itself when its supposed context turns out to be the binding of that name."""
    original = getattr(function, "activity_function", None)
    if original is None or not hasattr(function, "run_activity"):
        return function
    if name == positional(original)[0].name:
        return original
    raise ValueError(
        f"The activity '{original.__name__}' takes a context and an input, and so has no place for the durable client "
        f"'{name}'. Give it the client's binding in a function of another kind."
    )
