"""What functions say of their parameters and results, as far as it can be read."""

import typing
from collections.abc import Callable, Generator
from typing import Any
from weakref import WeakKeyDictionary

from durabletask.serialization import DataConverter

_declared: "WeakKeyDictionary[Any, Any]" = WeakKeyDictionary()
"""What functions say that they return: each of their calls asks for it, in each replay."""


def declared_return_type(function: Any) -> Any:
    """What a function says that it returns, or its generator does; None when it says nothing that can be read."""
    if isinstance(function, str):
        return None
    try:
        return _declared[function]
    except KeyError:
        declared = _declared[function] = _read_return_type(function)
        return declared
    except TypeError:  # it has no hash, or nothing can refer to it weakly
        return _read_return_type(function)


def _read_return_type(function: Any) -> Any:
    declared = hints_of(function).get("return")
    arguments = typing.get_args(declared)
    return arguments[2] if typing.get_origin(declared) is Generator and len(arguments) == 3 else declared


def annotated_type(function: Callable[..., Any], parameter: str, converter: DataConverter) -> Any:
    """The type of a parameter when the converter can rebuild it, else None."""
    declared = hints_of(function).get(parameter)
    return declared if declared is not None and converter.can_reconstruct(declared) else None


def hints_of(function: Any) -> dict[str, Any]:
    """The resolved annotations of a function; none when a name in them cannot be found."""
    try:
        return typing.get_type_hints(function)
    except Exception:  # what an annotation evaluates is the app's own code, and may raise anything
        return {}
