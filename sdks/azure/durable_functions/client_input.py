"""Middleware that turns the binding's text into a durable client, of the kind that fits the user's function."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from azure.durable_functions.blocking_client import BlockingDurableOrchestrationClient
from azure.durable_functions.client import DurableOrchestrationClient
from durabletask.annotations import hints_of


def with_client(function: Callable[..., Any], client_name: str) -> Callable[..., Any]:
    """Wrap a function so that its argument ``client_name``, given as binding text, arrives as a client.

    The function itself stays at hand as the attribute ``client_function``.
    """
    if hasattr(function, "run_activity"):
        from azure.durable_functions.native_activity import without_context

        function = without_context(function, client_name)
    middleware = _awaiting(function, client_name) if _is_async(function) else _blocking(function, client_name)
    _retype_parameter(middleware, function, client_name)
    setattr(middleware, "client_function", function)  # noqa: B010 - functions have no such attribute for type checkers
    return middleware


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _awaiting(function: Callable[..., Any], client_name: str) -> Callable[..., Any]:
    make = _client_maker(function, client_name)

    @functools.wraps(function)
    async def middleware(*args: Any, **kwargs: Any) -> Any:
        if isinstance(text := kwargs.get(client_name), str):
            kwargs[client_name] = make(text, _invocation_id(kwargs))
        return await function(*args, **kwargs)

    return middleware


def _blocking(function: Callable[..., Any], client_name: str) -> Callable[..., Any]:
    make = _client_maker(function, client_name)

    @functools.wraps(function)
    def middleware(*args: Any, **kwargs: Any) -> Any:
        if isinstance(text := kwargs.get(client_name), str):
            kwargs[client_name] = make(text, _invocation_id(kwargs))
        return function(*args, **kwargs)

    return middleware


def _client_maker(function: Callable[..., Any], client_name: str) -> Callable[[str, str | None], Any]:
    """Who makes the client: the parameter's annotation says, else whether the function can await."""
    annotation: Any = hints_of(function).get(client_name)
    if _is(annotation, "sync_functions_client", "SyncDurableFunctionsClient"):
        return lambda text, _: annotation.get_cached(text)
    if _is(annotation, "functions_client", "DurableFunctionsClient"):
        return annotation
    if _is_async(function):
        return DurableOrchestrationClient
    return lambda text, invocation_id: BlockingDurableOrchestrationClient(
        DurableOrchestrationClient(text, invocation_id)
    )


def _is(annotation: Any, module: str, name: str) -> bool:
    """Whether it is that class of ours. With what was never imported, nobody can have annotated."""
    loaded = sys.modules.get(f"azure.durable_functions.{module}")
    return loaded is not None and annotation is getattr(loaded, name)


def _invocation_id(kwargs: dict[str, Any]) -> str | None:
    return getattr(kwargs.get("context"), "invocation_id", None)


def _retype_parameter(middleware: Callable[..., Any], function: Callable[..., Any], client_name: str) -> None:
    # Hosts check annotations against bindings, and what arrives from them is text.
    signature = inspect.signature(function)
    if client_name not in signature.parameters:
        return
    middleware.__annotations__ = {**function.__annotations__, client_name: str}
    parameters = [
        parameter.replace(annotation=str) if name == client_name else parameter
        for name, parameter in signature.parameters.items()
    ]
    setattr(middleware, "__signature__", signature.replace(parameters=parameters))  # noqa: B010
