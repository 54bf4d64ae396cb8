"""Python values ↔ JSON text for portable programs. A payload never names code to import."""

import dataclasses
import functools
import inspect
import json
import logging
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import SimpleNamespace
from typing import Any

AUTO_OBJECT = "__durabletask_autoobject__"
"""A key that old programs wrote beside an object's attributes."""

_logger = logging.getLogger("durabletask")


class DataConverter(ABC):
    """How values become text and text becomes values."""

    @abstractmethod
    def serialize(self, value: Any) -> str | None:
        """Write a value; None is no text. Raises TypeError for what cannot be written."""

    @abstractmethod
    def deserialize(self, data: str | None, target_type: Any = None) -> Any:
        """Read text, as a value of ``target_type`` if given; no text is None."""

    @abstractmethod
    def coerce(self, value: Any, target_type: Any = None) -> Any:
        """Make a value that was read already one of ``target_type``."""

    def can_reconstruct(self, target_type: Any) -> bool:
        """Whether an annotation of this type is enough to rebuild values as it says."""
        return False


class JsonDataConverter(DataConverter):
    """Plain JSON, with dataclasses, enums, named tuples, namespaces and classes that have ``to_json``.

    Reading does what it can: a value that does not fit the type asked for is given as it was read.
    """

    def serialize(self, value: Any) -> str | None:
        """Write a value as JSON; None is no text. Raises TypeError with its cause for what has no JSON form."""
        if value is None:
            return None
        try:
            return json.dumps(self._prepared(value), default=self._written, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"A value of type '{type(value).__name__}' cannot be written as JSON: {error}") from error

    def deserialize(self, data: str | None, target_type: Any = None) -> Any:
        """Read JSON. Raises ValueError for text that is none."""
        if data is None or data == "":
            return None
        value = json.loads(data)
        if target_type is None and AUTO_OBJECT not in data:
            return value
        return self.coerce(value, target_type)

    def coerce(self, value: Any, target_type: Any = None) -> Any:
        """Make parsed JSON a value of ``target_type``, or give it as it is when that cannot be."""
        if target_type is None:
            return _namespaces(value)
        try:
            return self._read(value, target_type)
        except Exception as error:  # what a from_json or a constructor raises is the app's own
            _logger.debug("A %s could not be made a %s: %s", type(value).__name__, target_type, error)
            return value

    def can_reconstruct(self, target_type: Any) -> bool:
        """Dataclasses and classes with ``from_json``, and optional ones or lists of them."""
        origin, arguments = typing.get_origin(target_type), typing.get_args(target_type)
        if origin in _UNIONS or origin in _LISTS:
            return any(self.can_reconstruct(argument) for argument in arguments)
        return isinstance(target_type, type) and (
            dataclasses.is_dataclass(target_type) or callable(getattr(target_type, "from_json", None))
        )

    def _prepared(self, value: Any) -> Any:
        """The value with what ``json`` would write without asking us, wrongly, replaced."""
        if isinstance(value, Enum):
            return self._prepared(value.value)
        if callable(getattr(type(value), "to_json", None)):
            return self._prepared(type(value).to_json(value))
        if isinstance(value, dict):
            return {key: self._prepared(item) for key, item in typing.cast(dict[Any, Any], value).items()}
        if isinstance(value, list | tuple):
            return [self._prepared(item) for item in typing.cast(Sequence[Any], value)]
        return value

    def _written(self, value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: self._prepared(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, SimpleNamespace):
            return {name: self._prepared(item) for name, item in vars(value).items()}
        raise TypeError(f"an object of type '{type(value).__name__}' has no JSON form")

    def _read(self, value: Any, target: Any) -> Any:
        if value is None or target is None or target is Any:
            return value
        origin, arguments = typing.get_origin(target), typing.get_args(target)
        if origin is typing.Annotated:
            return self._read(value, arguments[0])
        if origin in _UNIONS:
            return self._read_union(value, arguments)
        if origin in _LISTS:
            return [self._read(item, arguments[0]) for item in _list(value)]
        if origin is tuple:
            return self._read_tuple(value, arguments)
        if origin in _DICTS:
            return {key: self._read(item, arguments[1]) for key, item in value.items()}
        return self._read_class(value, target if origin is None else origin)

    def _read_union(self, value: Any, arguments: tuple[Any, ...]) -> Any:
        choices = [argument for argument in arguments if argument is not type(None)]
        if len(choices) == 1:
            return self._read(value, choices[0])
        if any(isinstance(choice, type) and isinstance(value, choice) for choice in choices):
            return value
        for choice in choices:
            if getattr(choice, "__module__", None) == "builtins" and typing.get_origin(choice) is None:
                continue  # int and str make something of nearly everything
            try:
                return self._read(value, choice)
            except Exception as error:  # the next one may fit
                _logger.debug("A %s could not be made a %s: %s", type(value).__name__, choice, error)
        return value

    def _read_tuple(self, value: Any, arguments: tuple[Any, ...]) -> Any:
        items = _list(value)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(self._read(item, arguments[0]) for item in items)
        return tuple(self._read(item, argument) for item, argument in zip(items, arguments, strict=True))

    def _read_class(self, value: Any, cls: Any) -> Any:
        if not isinstance(cls, type) or isinstance(value, cls):
            return value
        from_json = getattr(cls, "from_json", None)
        if callable(from_json):
            return from_json(value, self) if _takes_converter(cls) else from_json(value)
        if dataclasses.is_dataclass(cls):
            return self._read_dataclass(value, cls)
        if cls is SimpleNamespace:
            return SimpleNamespace(**{key: item for key, item in value.items() if key != AUTO_OBJECT})
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            hints = typing.get_type_hints(cls)
            return cls(
                *(self._read(item, hints.get(name)) for name, item in zip(_fields(cls), _list(value), strict=True))
            )
        make = typing.cast(Callable[[Any], Any], cls)
        return make(value)

    def _read_dataclass(self, value: Any, cls: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"a {cls.__name__} is read from a JSON object, not from a {type(value).__name__}")
        given = typing.cast(dict[str, Any], value)
        hints = typing.get_type_hints(cls)
        known = {field.name for field in dataclasses.fields(cls) if field.init}
        return cls(**{name: self._read(item, hints.get(name)) for name, item in given.items() if name in known})


DEFAULT_DATA_CONVERTER = JsonDataConverter()

DataConverter.__module__ = JsonDataConverter.__module__ = "durabletask.serialization"  # where users import them from

_UNIONS = (typing.Union, types.UnionType)
_LISTS = (list, Sequence)
_DICTS = (dict, Mapping)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a list is read from a JSON array, not from a {type(value).__name__}")
    return typing.cast(list[Any], value)


def _fields(cls: Any) -> tuple[str, ...]:
    return cls._fields


@functools.lru_cache(maxsize=1024)
def _takes_converter(cls: type) -> bool:
    parameters = list(inspect.signature(getattr(cls, "from_json")).parameters.values())  # noqa: B009 - checked before
    return len(parameters) > 1 and parameters[1].name == "converter"


def _namespaces(value: Any) -> Any:
    """Objects that old programs marked, as namespaces."""
    if isinstance(value, list):
        return [_namespaces(item) for item in typing.cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    members = {key: _namespaces(item) for key, item in typing.cast(dict[str, Any], value).items()}
    if AUTO_OBJECT not in members:
        return members
    del members[AUTO_OBJECT]
    return SimpleNamespace(**members)
