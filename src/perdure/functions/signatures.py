"""Do a function's parameters fit its bindings? (functions-host.md §1.3)"""

import inspect
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import azure.functions as func

CONTEXT = "context"

_TRIGGER_TYPES: dict[str, type] = {"httptrigger": func.HttpRequest, "timertrigger": func.TimerRequest}


@dataclass(frozen=True, slots=True)
class Signature:
    """What the checks found out about a function that fits."""

    is_async: bool
    wants_context: bool
    annotations: dict[str, Any]


def read_signature(
    function: Callable[..., Any], *, trigger: str, argument: str, inputs: Iterable[str], outputs: Iterable[str]
) -> Signature:
    """Check a function against the names of its bindings (``$return`` left out).

    Raises ValueError saying which parameter is missing, superfluous or wrongly annotated.
    """
    bound = {argument, *inputs, *outputs}
    parameters = inspect.signature(function).parameters
    names = _keyword_names(parameters.values())
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    wants_context = CONTEXT in names and CONTEXT not in bound
    missing = set() if takes_all else bound - names
    if missing:
        raise ValueError(f"has no parameter {_quoted(missing)}, which its bindings need")
    extra = names - bound - ({CONTEXT} if wants_context else set())
    if extra:
        raise ValueError(f"has the parameter {_quoted(extra)}, which is no binding of it")
    annotations = _annotations(function)
    for name in outputs:
        if name in annotations and typing.get_origin(annotations[name]) is not func.Out:
            raise ValueError(f"must annotate its output '{name}' as func.Out[...]")
    for name in (argument, *inputs):
        if typing.get_origin(annotations.get(name)) is func.Out:
            raise ValueError(f"annotates its input '{name}' as func.Out[...]")
    if wants_context:
        _check_context(annotations.get(CONTEXT, inspect.Parameter.empty))
    _check_trigger(trigger.lower(), argument, annotations)
    return Signature(inspect.iscoroutinefunction(function), wants_context, annotations)


def _keyword_names(parameters: Iterable[inspect.Parameter]) -> set[str]:
    names: set[str] = set()
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ValueError(f"has the positional-only parameter '{parameter.name}'; values are passed by keyword")
        if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            names.add(parameter.name)
    return names


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception as error:  # annotations are user code: evaluating them can raise anything
        raise ValueError(f"has an annotation that cannot be read: {type(error).__name__}: {error}") from error


def _check_context(annotation: Any) -> None:
    if annotation is inspect.Parameter.empty:
        return
    if not isinstance(annotation, type) or annotation.__name__ != "Context":
        raise ValueError(f"annotates 'context' as {_shown(annotation)}; it receives a func.Context")


def _check_trigger(trigger: str, argument: str, annotations: dict[str, Any]) -> None:
    expected = _TRIGGER_TYPES.get(trigger)
    if expected is None:
        return
    annotation = annotations.get(argument, expected)
    if annotation is not Any and not _are_related(annotation, expected):
        raise ValueError(f"annotates '{argument}' as {_shown(annotation)}; it receives a func.{expected.__name__}")
    if trigger == "httptrigger" and "return" in annotations:
        _check_http_result(annotations["return"])


def _check_http_result(annotation: Any) -> None:
    origin = typing.get_origin(annotation)
    choices = typing.get_args(annotation) if origin in (typing.Union, types.UnionType) else (annotation,)
    for choice in choices:
        if choice is not Any and not (isinstance(choice, type) and issubclass(choice, func.HttpResponse | str)):
            raise ValueError(
                f"says that it returns {_shown(annotation)}; an HTTP function returns func.HttpResponse or str"
            )


def _are_related(annotation: Any, expected: type) -> bool:
    return isinstance(annotation, type) and (issubclass(expected, annotation) or issubclass(annotation, expected))


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
