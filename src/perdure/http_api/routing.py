"""Matching on the raw path: each segment is decoded once, so an encoded slash stays inside an id (http-api.md §1)."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from perdure.client import InvalidInput
from perdure.http_api.answers import ErrorShape

H = TypeVar("H", bound=Callable[..., Awaitable[object]])


@dataclass(frozen=True, slots=True)
class Route(Generic[H]):
    """A template such as ``instances/{id}``, its literals in lower case, and who answers."""

    method: str
    template: str
    handler: H
    error_shape: ErrorShape = ErrorShape.LONG


class Router(Generic[H]):
    """Routes by method and number of segments. A literal is matched without case, a parameter by anything not empty."""

    def __init__(self, routes: Iterable[Route[H]]) -> None:
        self.routes = tuple(routes)
        self._by_shape: dict[tuple[str, int], list[tuple[list[str], Route[H]]]] = {}
        for route in self.routes:
            pattern = route.template.split("/")
            self._by_shape.setdefault((route.method, len(pattern)), []).append((pattern, route))

    def find(self, method: str, path: bytes) -> tuple[Route[H], dict[str, str]] | None:
        """The route of a raw path below the prefix, with its parameters.

        Raises InvalidInput for a path that is not UTF-8.
        """
        segments = path.strip(b"/").split(b"/")
        for pattern, route in self._by_shape.get((method, len(segments)), ()):
            parameters = _match(pattern, segments)
            if parameters is not None:
                return route, parameters
        return None


def _match(pattern: list[str], segments: list[bytes]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part[0] != "{":
            if unquote_to_bytes(segment).lower() != part.encode():
                return None
        elif segment:
            parameters[part[1:-1]] = _decoded(segment)
        else:
            return None
    return parameters


def _decoded(segment: bytes) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise InvalidInput("A segment of the path is not percent-encoded UTF-8.") from None
