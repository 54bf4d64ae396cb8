"""A function as its author declared it, in either programming model: code, bindings, settings; nothing checked yet."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from azure.functions.decorators.function_app import Function

Binding = Mapping[str, Any]
"""The fields of one binding as function.json writes them."""

_RETRY_SETTING = "retry_policy"


@dataclass(frozen=True, slots=True)
class DeclaredFunction:
    """``directory`` is what its invocation context names; ``retry`` has the field names of function.json."""

    name: str
    code: Callable[..., Any]
    trigger: Binding
    others: tuple[Binding, ...]
    directory: Path
    retry: Mapping[str, Any] | None = None
    is_disabled: bool = False


def declared_by_decorators(function: Function, folder: Path) -> DeclaredFunction:
    """A function of an app object (v2)."""
    # Through JSON, because only there every field is camelCase, every enum a name and every None left out.
    bindings = cast(list[dict[str, Any]], json.loads(function.get_function_json())["bindings"])
    trigger_name = str(cast(Any, function.get_trigger()).name)
    trigger = next(binding for binding in bindings if binding["name"] == trigger_name)
    written: Mapping[str, Any] = function.get_settings_dict(_RETRY_SETTING) or {}
    retry = {_camel_case(key): value for key, value in written.items() if value is not None and key != "setting_name"}
    return DeclaredFunction(
        name=function_name(function),
        code=function.get_user_function(),
        trigger=trigger,
        others=tuple(binding for binding in [*bindings, *_pending_clients(function)] if binding is not trigger),
        directory=folder,
        retry=retry or None,
    )


def _pending_clients(function: Function) -> list[dict[str, Any]]:
    """Client bindings that the SDK's own decorator left with the code, since the app's decorators came later."""
    declared = {binding.name for binding in function.get_bindings()}
    pending = getattr(function.get_user_function(), "durable_client_bindings", ())
    return [binding.get_dict_repr() for binding in pending if binding.name not in declared]


def function_name(function: Function) -> str:
    """The function's name; azure-functions types it as optional, yet there always is one."""
    return str(function.get_function_name())


def place_of(function: Callable[..., Any], folder: Path) -> str:
    """File and line of a function's code, for messages."""
    inner = getattr(function, "orchestrator_function", None) or getattr(function, "entity_function", None) or function
    code = getattr(inspect.unwrap(inner), "__code__", None)
    if code is None:
        return "a callable object"
    path = Path(code.co_filename)
    shown = path.relative_to(folder) if folder in path.parents else path.name
    return f"{shown}, line {code.co_firstlineno}"


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
