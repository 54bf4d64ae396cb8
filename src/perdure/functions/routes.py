"""The route table: method and raw path → function and its route parameters (functions-host.md §7). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from perdure.functions.descriptions import HttpFunction
from perdure.functions.route_templates import RouteTemplate, parse_route


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """The function a request is for."""

    function: HttpFunction
    parameters: dict[str, str]


class RouteTable:
    """Routes of all HTTP functions, the most specific first, then by name."""

    def __init__(self, functions: Iterable[HttpFunction], prefix: str) -> None:
        entries = [(parse_route(full_route(prefix, f.route)), f) for f in functions]
        self._entries: list[tuple[RouteTemplate, HttpFunction]] = sorted(
            entries, key=lambda entry: (entry[0].rank, entry[1].call.name.lower())
        )

    def match(self, method: str, raw_path: str) -> RouteMatch | None:
        """Find the function. ``raw_path`` is still percent-encoded, so that an encoded slash stays in its segment.

        A method that no function of the route takes is no match.
        """
        stripped = raw_path.strip("/")
        path = [unquote(segment) for segment in stripped.split("/")] if stripped else []
        for template, function in self._entries:
            if function.methods and method not in function.methods:
                continue
            parameters = template.match(path)
            if parameters is not None:
                return RouteMatch(function, parameters)
        return None


def full_route(prefix: str, route: str) -> str:
    """The route template with the app's prefix."""
    return "/".join(piece for piece in (prefix.strip("/"), route.strip("/")) if piece)
