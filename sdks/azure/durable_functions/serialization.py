"""Python values ↔ JSON text, as the official package writes it (functions-sdk.md §13), and richer by declared type.

Written text equals ``json.dumps`` with its defaults. A payload never imports and never picks a class by
itself, except as the official package does it: a class with ``from_json`` in a module that is already loaded.
"""

import functools
import logging
import os
import re
from collections.abc import Callable
from json import JSONDecoder, JSONEncoder
from json.encoder import encode_basestring_ascii
from typing import Any

from azure.durable_functions.declared_types import Mismatch, PlainObjects, reader_of
from azure.durable_functions.envelopes import is_envelope, read_named_class, write_object
from azure.durable_functions.unwritable import place_of_unwritable

STRICT_TYPING = "AZURE_FUNCTIONS_DURABLE_STRICT_TYPING"
DEPTH_MAX = 10_000

_logger = logging.getLogger("azure.durable_functions")

Decode = Callable[[str | None], Any]
"""Makes the value user code sees; None stands for no payload."""


def to_text(value: Any) -> str:
    """Write a value as JSON text.

    Raises TypeError for what has no JSON form, ValueError for NaN, infinities, values that contain
    themselves and nesting of 10,000 levels or more; where it is inside the value stands in the message.
    """
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if value is None:
        return "null"
    try:
        if kind is int:
            return int.__repr__(value)
        text = _encode(value if isinstance(value, _JSON_TYPES) else write_object(value))
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        what = f"A value of type {kind.__name__} cannot be written as JSON: {error}"
        raise ValueError(f"{what}.{_place_in(value)}") from error
    except TypeError as error:
        if not (place := _place_in(value)):
            raise
        raise TypeError(f"{str(error).rstrip('.')}.{place}") from error
    if len(text) >= 2 * DEPTH_MAX and text.count("[") + text.count("{") >= DEPTH_MAX and _depth(text) >= DEPTH_MAX:
        raise _too_deep()
    return text


def _place_in(value: Any) -> str:
    place = place_of_unwritable(value)
    return "" if place is None else f" Found at {place} of the {type(value).__name__}."


def to_optional_text(value: Any) -> str | None:
    """Write a value as JSON text; None is no payload at all."""
    return None if value is None else to_text(value)


def from_text(text: str | None, annotation: Any = None) -> Any:
    """Read JSON text. An annotation rebuilds what was written from that type; nothing is enforced by it.

    Raises ValueError for text that is not JSON; in strict mode TypeError for an object of an undeclared class.
    """
    if text is None:
        return None
    if annotation is None or (reader := reader_of(annotation, PlainObjects.KEEP)) is None:
        return _parse(text) if '"__class__"' not in text else _parse_undeclared(text)
    raw = _parse(text) if '"__class__"' not in text else _parse_objects(text)
    try:
        return reader(raw)
    except Mismatch as mismatch:
        if is_envelope(raw) and is_strict():
            raise TypeError(str(mismatch)) from None
        return raw


def from_text_as(text: str | None, expected_type: Any) -> Any:
    """Read JSON text as a value of the type that the code asked for.

    A value of another type is given as it is, with a warning in the log; in strict mode it raises TypeError.
    """
    if text is None:
        return None
    raw = _parse(text) if '"__class__"' not in text else _parse_objects(text)
    reader = reader_of(expected_type, PlainObjects.BUILD)
    try:
        if reader is not None:
            return reader(raw)
        if not isinstance(expected_type, type) or isinstance(raw, _COMPATIBLE.get(expected_type, expected_type)):
            return raw
        raise Mismatch(
            f"deserialized value ({type(raw).__name__}) is not compatible with expected type {expected_type.__name__}"
        )
    except Mismatch as mismatch:
        if is_strict():
            raise TypeError(str(mismatch)) from None
        _logger.warning("%s", mismatch)
        return raw


def decode_as(expected_type: Any) -> Decode:
    """``from_text_as`` with its type bound."""
    return functools.partial(from_text_as, expected_type=expected_type)


def decode_annotated(annotation: Any) -> Decode:
    """``from_text`` with its annotation bound."""
    return from_text if annotation is None else functools.partial(from_text, annotation=annotation)


def is_strict() -> bool:
    """Whether the app asked that classes come from declared types only."""
    return os.environ.get(STRICT_TYPING, "").strip().lower() in ("1", "true", "yes")


def _parse(text: str) -> Any:
    try:
        # Four times faster than decode, which also looks for white space at both ends.
        value, end = _scan(text, 0)
        return value if end == len(text) else _parser.decode(text)
    except StopIteration:
        return _parser.decode(text)
    except RecursionError:
        raise _too_deep() from None


def _parse_objects(text: str) -> Any:
    if is_strict():
        return _parse(text)
    try:
        return _object_parser.decode(text)
    except RecursionError:
        raise _too_deep() from None


def _parse_undeclared(text: str) -> Any:
    raw = _parse_objects(text)
    if is_envelope(raw) and is_strict():
        raise TypeError(
            f"Strict typing needs an expected_type to read {raw['__module__']}.{raw['__class__']}; none was given."
        )
    return raw


def _write_inner(value: Any) -> Any:
    written = write_object(value)
    if is_envelope(written) and is_strict():
        raise TypeError(
            f"Object of type {type(value).__name__} is not JSON serializable inside another value: "
            "strict typing wraps the outermost object only."
        )
    return written


def _too_deep() -> ValueError:
    return ValueError(f"A value is nested too deeply for JSON; fewer than {DEPTH_MAX:,} levels are allowed.")


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


def _depth(text: str) -> int:
    deepest = depth = 0
    for token in _TOKEN.finditer(text):
        mark = text[token.start()]
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


_JSON_TYPES = (dict, list, str, int, float, tuple)
_COMPATIBLE: dict[Any, Any] = {float: (int, float)}
_encode = JSONEncoder(default=_write_inner, allow_nan=False).encode
_parser = JSONDecoder()
_scan: Callable[[str, int], tuple[Any, int]] = vars(_parser)["scan_once"]
_object_parser = JSONDecoder(object_hook=read_named_class)
