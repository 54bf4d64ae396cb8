"""Editors' JSON with comments: read, and added to in place, so that what is there stays letter for letter."""

import json
import re
from typing import Any

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r",(?=\s*[\]}])")
_INDENT = "  "


class NotJsonc(ValueError):
    """The text cannot be read; the message says where."""


def read_jsonc(text: str) -> dict[str, Any]:
    """The object a text holds; empty for an empty text. Raises NotJsonc."""
    plain = _without_comments(text)
    if not plain.strip():
        return {}
    try:
        value: Any = json.loads(_without_trailing_commas(plain))
    except json.JSONDecodeError as error:
        raise NotJsonc(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    if not isinstance(value, dict):
        raise NotJsonc("it holds no object")
    return value


def with_member(text: str, key: str, value: object) -> str:
    """The text with one member more at the end of its object; it must not have that key. Raises NotJsonc."""
    read_jsonc(text)
    if not _without_comments(text).strip():
        return text + ("\n" if text and not text.endswith("\n") else "") + json.dumps({key: value}, indent=2) + "\n"
    plain = _without_comments(text)
    opening = plain.index("{")
    return _with_last(text, plain, opening, f"{json.dumps(key)}: {_indented(value, 1)}", level=1)


def with_item(text: str, key: str, item: object) -> str:
    """The text with one item more at the end of the array under ``key``. Raises NotJsonc."""
    array = read_jsonc(text).get(key)
    if array is None:
        return with_member(text, key, [item])
    if not isinstance(array, list):
        raise NotJsonc(f"'{key}' is no array")
    plain = _without_comments(text)
    return _with_last(text, plain, _value_start(plain, key), _indented(item, 2), level=2)


def _without_comments(text: str) -> str:
    """The text with blanks in place of comments, so that places stay."""
    return _PIECE.sub(lambda m: m[0] if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0]), text.replace("\ufeff", " "))


def _without_trailing_commas(plain: str) -> str:
    parts = re.split(r'("(?:[^"\\]|\\.)*")', plain)
    # What stands between strings; a comma before a closing bracket has no string between.
    return "".join(part if place % 2 else _TRAILING_COMMA.sub(" ", part) for place, part in enumerate(parts))


def _indented(value: object, level: int) -> str:
    return json.dumps(value, indent=2).replace("\n", "\n" + _INDENT * level)


def _value_start(plain: str, key: str) -> int:
    """Where the value of a top-level key begins."""
    depth = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', plain):
        piece = match[0]
        if piece in "[{":
            depth += 1
        elif piece in "]}":
            depth -= 1
        elif depth == 1 and json.loads(piece) == key:
            after = plain[match.end() :]
            if after.lstrip().startswith(":"):
                colon = match.end() + after.index(":")
                return colon + 1 + len(plain[colon + 1 :]) - len(plain[colon + 1 :].lstrip())
    raise NotJsonc(f"'{key}' is not where it should be")


def _closing(plain: str, opening: int) -> int:
    depth = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', plain[opening:]):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
            if depth == 0:
                return opening + match.start()
    raise NotJsonc("a bracket is not closed")


def _with_last(text: str, plain: str, opening: int, piece: str, *, level: int) -> str:
    """Put a piece at the end of the container that begins at ``opening``."""
    closing = _closing(plain, opening)
    last = len(plain[:closing].rstrip()) - 1
    comma = "" if plain[last] in "[{," else ","
    head, rest, tail = text[: last + 1], text[last + 1 : closing], text[closing:]
    # Comments behind the last entry stay with it.
    return f"{head}{comma}{rest.rstrip()}\n{_INDENT * level}{piece}\n{_INDENT * (level - 1)}{tail}"
