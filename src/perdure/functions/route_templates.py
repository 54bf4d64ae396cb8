"""Route templates: text → segments, and a path's segments → parameter values (functions-host.md §7). Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from perdure.functions.route_constraints import Constraint, parse_constraint

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named part of a route."""

    name: str
    constraints: tuple[Constraint, ...] = ()
    is_optional: bool = False
    is_catch_all: bool = False
    default: str | None = None

    def accepts(self, value: str) -> bool:
        return all(constraint(value) for constraint in self.constraints)


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece between slashes: a literal, a parameter, or a mixture (which has a pattern)."""

    literal: str | None
    parameters: tuple[Parameter, ...] = ()
    pattern: re.Pattern[str] | None = None

    @property
    def may_be_missing(self) -> bool:
        if self.literal is not None or self.pattern is not None:
            return False
        only = self.parameters[0]
        return only.is_optional or only.is_catch_all or only.default is not None

    @property
    def rank(self) -> int:
        """The smaller, the more specific: literal, mixture, constrained, plain, catch-all."""
        if self.literal is not None:
            return 0
        if self.pattern is not None:
            return 1
        only = self.parameters[0]
        return (4 if only.is_catch_all else 2) + (not only.constraints)

    def match(self, value: str) -> dict[str, str] | None:
        """The parameters that ``value`` gives; None when it does not fit."""
        if self.literal is not None:
            return {} if value.lower() == self.literal else None
        if self.pattern is None:
            only = self.parameters[0]
            return {only.name: value} if value and only.accepts(value) else None
        found = self.pattern.fullmatch(value)
        if found is None:
            return None
        given = {p.name: text for p, text in zip(self.parameters, found.groups(), strict=True) if text is not None}
        return given if all(p.accepts(given[p.name]) for p in self.parameters if p.name in given) else None


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """A parsed route, prefix included."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def rank(self) -> tuple[int, ...]:
        return tuple(segment.rank for segment in self.segments)

    def match(self, path: Sequence[str]) -> dict[str, str] | None:
        """Route parameters for decoded path segments; None when they do not fit. Missing optional ones are absent."""
        given: dict[str, str] = {}
        for n, segment in enumerate(self.segments):
            if segment.parameters and segment.parameters[0].is_catch_all:
                return _with_rest(given, segment.parameters[0], "/".join(path[n:]))
            if n >= len(path):
                if not segment.may_be_missing:
                    return None
                default = segment.parameters[0].default
                if default is not None:
                    given[segment.parameters[0].name] = default
                continue
            values = segment.match(path[n])
            if values is None:
                return None
            given.update(values)
        return given if len(path) <= len(self.segments) else None


def parse_route(text: str) -> RouteTemplate:
    """Read a template. Raises ValueError saying what is wrong with it."""
    segments = [_read_segment(piece, text) for piece in _split_segments(text.strip("/"), text)]
    names = [p.name.lower() for segment in segments for p in segment.parameters]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the route '{text}' has the parameter '{name}' twice")
    for n, segment in enumerate(segments):
        is_last = n == len(segments) - 1
        for parameter in segment.parameters:
            if parameter.is_catch_all and not is_last:
                raise ValueError(f"the route '{text}' has something after the catch-all '{parameter.name}'")
            if parameter.is_optional and not all(later.may_be_missing for later in segments[n + 1 :]):
                raise ValueError(f"the route '{text}' has something required after the optional '{parameter.name}'")
    return RouteTemplate(text, tuple(segments))


def _with_rest(given: dict[str, str], parameter: Parameter, rest: str) -> dict[str, str] | None:
    value = rest or parameter.default
    if value is None:
        return given | {parameter.name: ""} if not parameter.constraints else given
    return given | {parameter.name: value} if parameter.accepts(value) else None


def _split_segments(text: str, route: str) -> list[str]:
    """Split at slashes outside of braces."""
    if not text:
        return []
    pieces, start, depth, n = [], 0, 0, 0
    while n < len(text):
        if text[n : n + 2] in ("{{", "}}"):
            n += 2
            continue
        if text[n] == "{":
            depth += 1
        elif text[n] == "}":
            depth -= 1
        elif text[n] == "/" and depth == 0:
            pieces.append(text[start:n])
            start = n + 1
        if depth not in (0, 1):
            raise ValueError(f"the route '{route}' has braces that do not match")
        n += 1
    if depth:
        raise ValueError(f"the route '{route}' has an opening brace without its closing one")
    pieces.append(text[start:])
    if any(piece == "" for piece in pieces):
        raise ValueError(f"the route '{route}' has an empty segment")
    return pieces


def _read_segment(piece: str, route: str) -> Segment:
    parts: list[str | Parameter] = []
    n, literal = 0, ""
    while n < len(piece):
        if piece[n : n + 2] in ("{{", "}}"):
            literal += piece[n]
            n += 2
        elif piece[n] == "{":
            end = _end_of_parameter(piece, n)
            if literal:
                parts.append(literal)
                literal = ""
            parts.append(_read_parameter(piece[n + 1 : end], route))
            n = end + 1
        else:
            literal += piece[n]
            n += 1
    if literal:
        parts.append(literal)
    if "?" in "".join(part for part in parts if isinstance(part, str)):
        raise ValueError(f"the route '{route}' has a '?' outside of a parameter")
    return _segment_of(parts, route)


def _segment_of(parts: list[str | Parameter], route: str) -> Segment:
    parameters = tuple(part for part in parts if isinstance(part, Parameter))
    if not parameters:
        return Segment("".join(str(part) for part in parts).lower())
    if len(parts) == 1:
        return Segment(None, parameters)
    if any(p.is_catch_all or p.default is not None for p in parameters):
        raise ValueError(f"the route '{route}' mixes a catch-all or a default with other text in one segment")
    pattern = ""
    for n, part in enumerate(parts):
        if isinstance(part, str):
            before_optional = part == "." and n + 2 == len(parts) and parameters[-1].is_optional
            pattern += "" if before_optional else re.escape(part)
        elif n and isinstance(parts[n - 1], Parameter):
            raise ValueError(f"the route '{route}' has two parameters with nothing between them")
        elif part.is_optional:
            if n + 1 != len(parts) or parts[n - 1] != ".":
                raise ValueError(f"the route '{route}' has the optional '{part.name}' in the middle of a segment")
            pattern = pattern.replace("(.+)", "(.+?)") + r"(?:\.([^.]+))?"
        else:
            pattern += "(.+)"
    return Segment(None, parameters, re.compile(pattern, re.IGNORECASE | re.DOTALL))


def _end_of_parameter(piece: str, start: int) -> int:
    n = start + 1
    while n < len(piece):
        if piece[n : n + 2] in ("{{", "}}"):
            n += 2
        elif piece[n] == "}":
            return n
        else:
            n += 1
    raise AssertionError(f"braces of '{piece}' were checked when the route was split")


def _read_parameter(text: str, route: str) -> Parameter:
    """Read what stands between the braces: ``*name:constraint:constraint=default?``."""
    stars = len(text) - len(text.lstrip("*"))
    found = _NAME.match(text, stars)
    if stars > 2 or found is None:
        raise ValueError(f"the route '{route}' has a parameter without a proper name: '{{{text}}}'")
    constraints: list[Constraint] = []
    rest = text[found.end() :]
    while rest.startswith(":"):
        end = _end_of_constraint(rest)
        written = rest[1:end].replace("{{", "{").replace("}}", "}")
        try:
            constraints.append(parse_constraint(written))
        except ValueError as error:
            raise ValueError(f"in the route '{route}' {error}") from error
        rest = rest[end:]
    default = None
    is_optional = rest == "?"
    if rest.startswith("="):
        default = rest[1:]
    elif rest not in ("", "?"):
        raise ValueError(f"the route '{route}' has '{rest}' after the parameter '{found[0]}'")
    if is_optional and stars:
        raise ValueError(f"the route '{route}' has a catch-all that is optional; it may be empty anyway")
    return Parameter(found[0], tuple(constraints), is_optional, stars > 0, default)


def _end_of_constraint(rest: str) -> int:
    depth = 0
    for n, character in enumerate(rest[1:], start=1):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif depth == 0 and character in ":=?":
            return n
    return len(rest)
