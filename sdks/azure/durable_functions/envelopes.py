"""How objects that JSON cannot hold are written, and which ones are read back by the name in the payload.

The envelope ``{"__class__", "__module__", "__data__"}`` is the official package's; dates, enums and the like
are written as plain scalars. Reading by declared type lives in ``declared_types``.
"""

import base64
import dataclasses
import json
import sys
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

_KEYS = frozenset({"__class__", "__module__", "__data__"})


def is_envelope(raw: Any) -> bool:
    """Whether a parsed value is an object in its envelope."""
    return type(raw) is dict and raw.keys() >= _KEYS


def write_object(value: Any) -> Any:
    """The JSON form of a value that is not JSON by itself. Raises TypeError, naming the type and what to do."""
    cls: Any = type(value)
    scalar = _SCALARS.get(cls)
    if scalar is not None:
        return scalar(value)
    if hasattr(cls, "to_json"):
        return _envelope(cls, cls.to_json(value))
    for base, write in _SCALARS.items():
        if isinstance(value, base):
            return write(value)
    if (attributes := attributes_of(value)) is not None:
        return _envelope(cls, attributes)
    raise TypeError(
        f"Object of type {cls.__qualname__} is not JSON serializable: give class {cls.__module__}.{cls.__qualname__} "
        "the methods 'to_json' and 'from_json', make it a dataclass, or pass plain JSON values."
    )


def attributes_of(value: Any) -> Any:
    """What a data object consists of; None when it is not one (a lock, a function, a mock, an exception …)."""
    cls: Any = type(value)
    if dataclasses.is_dataclass(cls):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(cls)}
    if hasattr(cls, "__attrs_attrs__"):
        return {attribute.name: getattr(value, attribute.name) for attribute in cls.__attrs_attrs__}
    if is_pydantic(cls):
        return value.model_dump(mode="json") if hasattr(cls, "model_dump") else json.loads(value.json())
    return dict(vars(value)) if _is_plain(value) else None


def is_pydantic(cls: type) -> bool:
    """Whether a class is a pydantic model, of either generation; pydantic itself is never imported."""
    return (hasattr(cls, "model_validate") and hasattr(cls, "model_dump")) or (
        hasattr(cls, "parse_obj") and hasattr(cls, "__fields__")
    )


def _envelope(cls: type, data_written: Any) -> dict[str, Any]:
    return {"__class__": cls.__name__, "__module__": cls.__module__, "__data__": data_written}


def _is_plain(value: Any) -> bool:
    # Only what an app's own class keeps in its attributes: a lock or a generator would come back as an empty shell.
    cls: Any = type(value)
    return (
        hasattr(value, "__dict__")
        and cls.__module__.partition(".")[0] not in sys.stdlib_module_names
        and not isinstance(value, BaseException | type)
        and not callable(value)
        and not hasattr(cls, "__await__")
        and not hasattr(cls, "__next__")
    )


_SCALARS: dict[type, Callable[[Any], Any]] = {
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
    uuid.UUID: str,
    Decimal: str,
    bytes: lambda value: base64.b64encode(value).decode("ascii"),
    bytearray: lambda value: base64.b64encode(value).decode("ascii"),
    Enum: lambda value: value.value,
}


def read_named_class(raw: dict[str, Any]) -> Any:
    """Rebuild an object in its envelope when its class, in a module loaded already, defines ``from_json``.

    Anything else stays a dict: a payload never imports, and never reaches a class that did not ask for it.
    """
    if not is_envelope(raw):
        return raw
    cls = named_class(raw)
    from_json = getattr(cls, "from_json", None)
    return from_json(raw["__data__"]) if callable(from_json) else raw


def named_class(raw: dict[str, Any]) -> type | None:
    """The class an envelope names, if it was defined at the top of a module that is loaded; None otherwise."""
    name, module_name = raw["__class__"], raw["__module__"]
    if not isinstance(name, str) or not isinstance(module_name, str):
        return None
    # Not getattr: a module's own __getattr__ may import.
    cls = getattr(sys.modules.get(module_name), "__dict__", {}).get(name)
    return cls if isinstance(cls, type) and cls.__module__ == module_name else None
