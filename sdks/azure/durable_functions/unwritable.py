"""Where in a value the part is that has no JSON form: for error messages, so only looked for when writing failed."""

import math
from typing import Any, cast

from azure.durable_functions.envelopes import is_envelope, write_object

_DEPTH_MAX = 200


def place_of_unwritable(value: Any) -> str | None:
    """The path of the first part that cannot be written, such as ``['orders'][3].lock``; None for the value itself."""
    return _find(value, 0) or None


def _find(value: Any, depth: int) -> str | None:
    """The path within ``value``; "" when it is the value itself, None when nothing is wrong with it."""
    if value is None or isinstance(value, str | int):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else ""
    if depth == _DEPTH_MAX:
        return None
    if isinstance(value, dict):
        return _find_in_mapping(cast(dict[Any, Any], value), depth)
    if isinstance(value, list | tuple):
        for number, member in enumerate(cast(list[Any], value)):
            if (path := _find(member, depth + 1)) is not None:
                return f"[{number}]{path}"
        return None
    return _find_in_object(value, depth)


def _find_in_mapping(value: dict[Any, Any], depth: int) -> str | None:
    for key, member in value.items():
        if not (key is None or isinstance(key, str | int | float)):
            return f"[{key!r}] (the key)"
        if (path := _find(member, depth + 1)) is not None:
            return f"[{key!r}]{path}"
    return None


def _find_in_object(value: Any, depth: int) -> str | None:
    try:
        written = write_object(value)
    except Exception:
        return ""
    if not is_envelope(written):
        return _find(written, depth + 1)
    data: Any = written["__data__"]
    if not isinstance(data, dict):
        return _find(data, depth + 1)
    for name, member in cast(dict[Any, Any], data).items():
        if (path := _find(member, depth + 1)) is not None:
            return f".{name}{path}"
    return None
