"""Payload texts in answers and requests: checked and embedded, never decoded and encoded again, so no digit is lost."""

import json
import re
from typing import Any

import msgspec

DIGITS_MAX = 4300
"""Longest run of digits in a number: what Python reads (sys.int_info.default_max_str_digits)."""

_DEPTH_SCAN_MAX = 256 * 1024
_BOM = b"\xef\xbb\xbf"
_BYTE = re.compile(r" ?\(byte (\d+)\)$")
_SURROGATE_ESCAPE = re.compile(rb"\\\\|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_DIGITS_ONLY = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_LONG_RUN = b"0" * (DIGITS_MAX + 1)
_raw_decoder = msgspec.json.Decoder(msgspec.Raw)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_plain_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


class InvalidJson(ValueError):
    """A text is not JSON that can be kept; ``offset`` is in bytes."""

    def __init__(self, what: str, offset: int | None) -> None:
        super().__init__(what if offset is None else f"{what} (at byte {offset})")
        self.offset = offset


def raw_value(text: str | None) -> Any:
    """A payload for embedding in a body: null, empty, JSON as it is, else the text as a string (http-api.md §6.3)."""
    if text is None:
        return None
    if not text or text.isspace():
        return ""
    encoded = text.encode()
    try:
        _validate(encoded)
    except (InvalidJson, RecursionError):
        return text
    return msgspec.Raw(encoded)


def plain_value(text: str | None) -> Any:
    """A payload as Python data, by the same rule as ``raw_value``."""
    if text is None:
        return None
    if not text or text.isspace():
        return ""
    try:
        return _plain_decoder.decode(text)
    except (ValueError, RecursionError):
        return text


def json_text(body: bytes) -> str:
    """The JSON text of a request body. Raises InvalidJson with the offset.

    Refused besides bad syntax: bad UTF-8, NaN and Infinity, numbers and nesting that Python could not read.
    """
    body = body.removeprefix(_BOM)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJson("The text is not UTF-8", error.start) from None
    try:
        _validate(body)
    except RecursionError:
        raise InvalidJson("The JSON is nested too deeply", _deep_offset(body)) from None
    _check_numbers(body)
    return text


def inner_text(text: str) -> str:
    """The JSON text inside a JSON string; the text itself when it is no such string."""
    if not text.lstrip().startswith('"'):
        return text
    try:
        return json_text(json.loads(text).encode())
    except ValueError:
        return text


def _validate(encoded: bytes) -> None:
    try:
        _raw_decoder.decode(encoded)
    except msgspec.DecodeError as error:
        # Escapes of lone surrogates are legal JSON that msgspec refuses: look again without them.
        neutral = _SURROGATE_ESCAPE.sub(_without_surrogate, encoded)
        if neutral is encoded or neutral == encoded:
            raise _invalid(error, encoded) from None
        try:
            _raw_decoder.decode(neutral)
        except msgspec.DecodeError as second:
            raise _invalid(second, encoded) from None


def _without_surrogate(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0] == b"\\\\" else b"\\u0041"


def _invalid(error: msgspec.DecodeError, encoded: bytes) -> InvalidJson:
    what = str(error)
    place = _BYTE.search(what)
    if place is None:
        return InvalidJson("The JSON ends too early", len(encoded))
    return InvalidJson(what[: place.start()].replace("JSON is malformed", "The JSON is malformed"), int(place[1]))


def _check_numbers(body: bytes) -> None:
    """Refuse numbers of more digits than Python reads; digits inside strings are free."""
    if len(body) <= DIGITS_MAX:
        return
    digits = body.translate(_DIGITS_ONLY)
    in_string = False
    seen = 0
    found = digits.find(_LONG_RUN)
    while found >= 0:
        between = body[seen:found].replace(b"\\\\", b"").replace(b'\\"', b"")
        in_string ^= between.count(b'"') % 2 == 1
        if not in_string:
            raise InvalidJson(f"A number has more than {DIGITS_MAX:,} digits", found)
        seen = found
        end = digits.find(b" ", found)
        found = digits.find(_LONG_RUN, end) if end >= 0 else -1


def _deep_offset(body: bytes) -> int | None:
    """Where the nesting is deepest; not looked for in large texts, where it takes too long."""
    if len(body) > _DEPTH_SCAN_MAX:
        return None
    depth = deepest = offset = 0
    for token in _BRACKET.finditer(body):
        if token[0] in b"[{":
            depth += 1
            if depth > deepest:
                deepest, offset = depth, token.start()
        elif token[0] in b"]}":
            depth -= 1
    return offset
