"""Parsed JSON → values of a type that the app declared: dataclasses, plain classes, enums, dates, pydantic models …

A type's reader is built once. Types that JSON holds by itself have none.
"""

import base64
import collections.abc
import dataclasses
import functools
import types
import typing
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from azure.durable_functions.envelopes import is_envelope, is_pydantic

Reader = Callable[[Any], Any]


class Mismatch(Exception):
    """A parsed value does not have the declared type; the text names both."""


class PlainObjects(Enum):
    """What becomes of a JSON object without an envelope where a data class is declared."""

    KEEP = "keep"
    """Annotations: the official package gives a dict there, whatever is annotated."""
    BUILD = "build"
    """Types the code asked for: build the object when the fields fit."""

    # Members are one of a kind. Enum's own hash runs in Python, and each payload asks for it.
    __hash__ = object.__hash__


def reader_of(declared: Any, plain: PlainObjects) -> Reader | None:
    """The reader of a type, or of any other annotation; None when parsed JSON is already right."""
    try:
        return _reader_of(declared, plain)
    except TypeError:  # an annotation that has no hash cannot be kept, nor does it declare a class
        return None


@functools.lru_cache(maxsize=4096)
def _reader_of(declared: Any, plain: PlainObjects) -> Reader | None:
    if declared in _AS_PARSED:
        return None
    if scalar := _SCALARS.get(declared):
        return _scalar_reader(declared, scalar)
    if typing.is_typeddict(declared):
        return _FieldsReader(declared, plain).read_dict
    if isinstance(declared, type) and not isinstance(declared, types.GenericAlias):
        return _class_reader(declared, plain)
    return _generic_reader(declared, plain)


def _class_reader(cls: type, plain: PlainObjects) -> Reader:
    if issubclass(cls, Enum):
        return _scalar_reader(cls, cls)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _FieldsReader(cls, plain).read_named_tuple
    if issubclass(cls, str | int | float | dict | list | tuple):
        return _instance_reader(cls)
    return _ObjectReader(cls, plain).read


def _instance_reader(cls: type) -> Reader:
    def read(raw: Any) -> Any:
        if isinstance(raw, cls):
            return raw
        raise _mismatch(raw, cls)

    return read


def _scalar_reader(cls: type, build: Callable[[Any], Any]) -> Reader:
    def read(raw: Any) -> Any:
        if isinstance(raw, cls):
            return raw
        try:
            return build(raw)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise _mismatch(raw, cls) from error

    return read


def _generic_reader(declared: Any, plain: PlainObjects) -> Reader | None:
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is typing.Annotated:
        return reader_of(arguments[0], plain)
    if isinstance(declared, typing.NewType):
        return reader_of(declared.__supertype__, plain)
    if origin in (typing.Union, types.UnionType):
        return _union_reader(arguments, plain)
    if origin is tuple:
        return _tuple_reader(arguments, plain)
    if origin in _LISTS and arguments and (item := reader_of(arguments[0], plain)):
        return _list_reader(item)
    if origin in _DICTS and len(arguments) == 2 and (item := reader_of(arguments[1], plain)):
        return _dict_reader(item)
    if isinstance(origin, type) and origin.__module__ not in ("builtins", "collections.abc"):
        return reader_of(origin, plain)  # a generic class of the app
    return None


def _list_reader(item: Reader) -> Reader:
    def read(raw: Any) -> Any:
        if type(raw) is not list:
            raise _mismatch(raw, list)
        return [_read_inner(item, value) for value in raw]

    return read


def _dict_reader(item: Reader) -> Reader:
    def read(raw: Any) -> Any:
        if type(raw) is not dict:
            raise _mismatch(raw, dict)
        return {key: _read_inner(item, value) for key, value in raw.items()}

    return read


def _tuple_reader(arguments: tuple[Any, ...], plain: PlainObjects) -> Reader:
    endless = len(arguments) == 2 and arguments[1] is Ellipsis
    items = [reader_of(argument, plain) for argument in arguments[: 1 if endless else None]]

    def read(raw: Any) -> Any:
        if type(raw) is not list or (not endless and len(raw) != len(items)):
            raise _mismatch(raw, tuple)
        return tuple(_read_inner(items[0 if endless else n], value) for n, value in enumerate(raw))

    return read


def _union_reader(arguments: tuple[Any, ...], plain: PlainObjects) -> Reader | None:
    readers = [reader for argument in arguments if (reader := reader_of(argument, plain))]
    as_parsed: tuple[type, ...] = tuple(a for a in arguments if isinstance(a, type) and a in _JSON_TYPES)
    if not readers:
        return None

    def read(raw: Any) -> Any:
        if raw is None or (isinstance(raw, as_parsed) and not is_envelope(raw)):
            return raw
        for reader in readers:
            try:
                return reader(raw)
            except Mismatch:
                continue
        return raw

    return read


def _read_inner(reader: Reader | None, raw: Any) -> Any:
    # Inside a value annotations are not enforced, as in Python itself.
    if reader is None or raw is None:
        return raw
    try:
        return reader(raw)
    except Mismatch:
        return raw


class _FieldsReader:
    """Reads values that JSON holds, field by field, by the annotations of their class."""

    def __init__(self, cls: Any, plain: PlainObjects) -> None:
        self._class = cls
        self._plain = plain

    @functools.cached_property
    def readers(self) -> dict[str, Reader | None]:
        """Readers of the annotated fields; made late, since classes may name each other or themselves."""
        return {name: reader_of(hint, self._plain) for name, hint in hints_of(self._class).items()}

    def read_fields(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Every item, by its field's annotation where there is one."""
        readers = self.readers
        return {name: _read_inner(readers.get(name), value) for name, value in raw.items()}

    def read_dict(self, raw: Any) -> Any:
        """A TypedDict."""
        if type(raw) is not dict:
            raise _mismatch(raw, self._class)
        return self.read_fields(raw)

    def read_named_tuple(self, raw: Any) -> Any:
        """A named tuple, written as a list."""
        if isinstance(raw, self._class):
            return raw
        if type(raw) is not list or len(raw) != len(self._class._fields):
            raise _mismatch(raw, self._class)
        return self._class(*self.read_fields(dict(zip(self._class._fields, raw, strict=True))).values())


class _ObjectReader(_FieldsReader):
    """Reads instances of one class, out of their envelope or, where asked for, out of a plain object."""

    def read(self, raw: Any) -> Any:
        """Rebuild one object. Raises Mismatch."""
        cls = self._class
        if isinstance(raw, cls):
            return raw
        if is_envelope(raw):
            if (raw["__class__"], raw["__module__"]) == (cls.__name__, cls.__module__):
                return self._build(raw["__data__"])
            raise Mismatch(
                f"payload declares class {raw['__module__']}.{raw['__class__']} "
                f"but expected {cls.__module__}.{cls.__name__}"
            )
        if self._plain is PlainObjects.BUILD and self._fits(raw):
            return self._build(raw)
        raise _mismatch(raw, cls)

    def _fits(self, raw: Any) -> bool:
        cls = self._class
        if is_pydantic(cls):
            return type(raw) is dict
        fields = _data_fields(cls)
        return (
            type(raw) is dict
            and fields is not None
            and raw.keys() <= fields.keys()
            and all(name in raw or default is not _REQUIRED for name, default in fields.items())
        )

    def _build(self, written: Any) -> Any:
        cls = self._class
        if hasattr(cls, "from_json"):
            return cls.from_json(written)
        if is_pydantic(cls):
            return _validated(cls, written)
        if type(written) is not dict:
            raise _mismatch(written, cls)
        attributes = self.read_fields(written)
        if (fields := _data_fields(cls)) is not None:
            attributes = {
                name: attributes[name] if name in attributes else _default(cls, name, default)
                for name, default in fields.items()
            }
        elif any(name.startswith("__") for name in attributes):
            raise Mismatch(f"payload for {cls.__module__}.{cls.__name__} names special attributes")
        value = cls.__new__(cls)
        for name, attribute in attributes.items():
            object.__setattr__(value, name, attribute)  # frozen classes too
        return value


def _validated(model: Any, written: Any) -> Any:
    try:
        return model.model_validate(written) if hasattr(model, "model_validate") else model.parse_obj(written)
    except ValueError as error:  # what pydantic's own errors are
        raise Mismatch(str(error)) from error


_REQUIRED = object()


def _data_fields(cls: Any) -> dict[str, Any] | None:
    """Field → maker of its default, or _REQUIRED; None for classes that do not list their fields."""
    if dataclasses.is_dataclass(cls):
        return {field.name: _dataclass_default(field) for field in dataclasses.fields(cls)}
    if hasattr(cls, "__attrs_attrs__"):
        return {attribute.name: _attrs_default(attribute.default) for attribute in cls.__attrs_attrs__}
    return None


def _dataclass_default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    return _REQUIRED if field.default is dataclasses.MISSING else lambda: field.default


def _attrs_default(default: Any) -> Any:
    if hasattr(default, "factory"):
        return _REQUIRED if default.takes_self else default.factory
    return _REQUIRED if type(default).__name__ in ("_Nothing", "NothingType") else lambda: default


def _default(cls: type, name: str, default: Any) -> Any:
    if default is _REQUIRED:
        raise Mismatch(f"payload for {cls.__module__}.{cls.__name__} has no '{name}'")
    return default()


def hints_of(annotated: Any) -> dict[str, Any]:
    """The resolved annotations of a class or function; none when a name in them cannot be found."""
    try:
        return typing.get_type_hints(annotated)
    except Exception:  # what an annotation evaluates is the app's own code, and may raise anything
        return {}


def _mismatch(raw: Any, expected: Any) -> Mismatch:
    name = getattr(expected, "__name__", str(expected))
    return Mismatch(f"deserialized value ({type(raw).__name__}) is not compatible with expected type {name}")


_JSON_TYPES = frozenset({type(None), str, int, float, bool, dict, list, tuple})
_AS_PARSED: frozenset[Any] = _JSON_TYPES | {Any, object, None}

_LISTS = frozenset(
    {
        list,
        collections.abc.Sequence,
        collections.abc.MutableSequence,
        collections.abc.Iterable,
        collections.abc.Collection,
    }
)
_DICTS = frozenset({dict, collections.abc.Mapping, collections.abc.MutableMapping})

_SCALARS: dict[Any, Callable[[Any], Any]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: lambda raw: timedelta(seconds=raw),
    uuid.UUID: lambda raw: uuid.UUID(str(raw)),
    Decimal: lambda raw: Decimal(str(raw)),
    bytes: lambda raw: base64.b64decode(raw, validate=True),
    bytearray: lambda raw: bytearray(base64.b64decode(raw, validate=True)),
}
