"""Constraints of route parameters: ``{id:int:min(1)}`` (functions-host.md §7). Pure."""

import re
from collections.abc import Callable
from datetime import datetime

Constraint = Callable[[str], bool]

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEX = "[0-9a-fA-F]"
_GUID_DASHED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_GUID = re.compile(rf"{_HEX}{{32}}|{_GUID_DASHED}|\{{{_GUID_DASHED}\}}|\({_GUID_DASHED}\)")
_ALPHA = re.compile(r"[a-zA-Z]*")
_DATES = ("%m-%d-%Y", "%m/%d/%Y", "%Y/%m/%d")


def parse_constraint(text: str) -> Constraint:
    """Read one constraint, such as ``int`` or ``range(1,5)``. Raises ValueError for one that does not exist."""
    name, bracket, rest = text.partition("(")
    if not bracket:
        plain = _PLAIN.get(name.strip().lower())
        if plain is None:
            raise ValueError(f"the constraint '{text}' does not exist")
        return plain
    if not rest.endswith(")"):
        raise ValueError(f"the constraint '{text}' has no closing bracket")
    argument = rest[:-1]
    name = name.strip().lower()
    if name == "regex":
        return _regex(argument)
    numbers = [_number(word, text) for word in argument.split(",")]
    made = _WITH_NUMBERS.get((name, len(numbers)))
    if made is None:
        raise ValueError(f"the constraint '{text}' does not exist")
    return made(*numbers)


def _number(word: str, text: str) -> int:
    if _INTEGER.fullmatch(word.strip()) is None:
        raise ValueError(f"the constraint '{text}' needs whole numbers")
    return int(word)


def _regex(pattern: str) -> Constraint:
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"the constraint regex({pattern}) is not a regular expression: {error}") from error
    return lambda value: compiled.search(value) is not None


def _integer_between(low: int, high: int) -> Constraint:
    return lambda value: _INTEGER.fullmatch(value) is not None and len(value) < 22 and low <= int(value) <= high


def _length_between(low: int, high: int) -> Constraint:
    return lambda value: low <= len(value) <= high


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
        return True
    except ValueError:
        return any(_matches_format(value, form) for form in _DATES)


def _matches_format(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)
        return True
    except ValueError:
        return False


_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1

_PLAIN: dict[str, Constraint] = {
    "int": _integer_between(-(2**31), 2**31 - 1),
    "long": _integer_between(_LONG_MIN, _LONG_MAX),
    "float": lambda value: _FLOAT.fullmatch(value) is not None,
    "double": lambda value: _FLOAT.fullmatch(value) is not None,
    "decimal": lambda value: _DECIMAL.fullmatch(value) is not None,
    "bool": lambda value: value.lower() in ("true", "false"),
    "datetime": _is_date,
    "guid": lambda value: _GUID.fullmatch(value) is not None,
    "alpha": lambda value: _ALPHA.fullmatch(value) is not None,
    "required": lambda value: value != "",
}

_WITH_NUMBERS: dict[tuple[str, int], Callable[..., Constraint]] = {
    ("length", 1): lambda n: _length_between(n, n),
    ("length", 2): _length_between,
    ("minlength", 1): lambda n: lambda value: len(value) >= n,
    ("maxlength", 1): lambda n: lambda value: len(value) <= n,
    ("min", 1): lambda n: _integer_between(n, _LONG_MAX),
    ("max", 1): lambda n: _integer_between(_LONG_MIN, n),
    ("range", 2): _integer_between,
}
