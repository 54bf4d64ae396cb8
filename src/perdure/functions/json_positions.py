"""Where in a JSON text a value stands, for error messages. Pure."""

import json
import re
from collections.abc import Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]  # the decoder's own scanner, public by name

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def position_of(text: str, path: Sequence[str | int]) -> tuple[int, int]:
    """Line and column, from 1, of the value at ``path`` in a valid JSON text; the last of repeated keys counts.

    A path that leads nowhere gives the place of the innermost value that exists.
    """
    at = _skip(text, 0)
    for step in path:
        found = _member(text, at, step)
        if found is None:
            break
        at = found
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _member(text: str, start: int, step: str | int) -> int | None:
    opening = text[start]
    if opening not in "{[" or isinstance(step, str) != (opening == "{"):
        return None
    found: int | None = None
    at, number = _skip(text, start + 1), 0
    while text[at] not in "}]":
        key: str | int = number
        if opening == "{":
            key, at = scanstring(text, at + 1)
            at = _skip(text, _skip(text, at) + 1)
        if key == step:
            found = at
        _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
        number += 1
    return found


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None, "the pattern matches the empty text"
    return space.end()
