"""``/metrics`` and ``/metrics.json``: figures of the task hubs, for Prometheus and for scalers.

The same stands below ``/admin/perdure``, for hosts whose app has a function at the short path.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from perdure import __version__
from perdure.contracts.errors import InvalidInput
from perdure.contracts.executor import ServedKind
from perdure.formats.http_json import QueryParameters
from perdure.host.metering import HubMeter
from perdure.http_api.answers import NOT_FOUND, Answer, ErrorShape, answer_to, json_answer, send_answer
from perdure.http_api.requests import raw_path
from perdure.telemetry.metrics import CONTENT_TYPE, KIND_NAMES, load_of, metrics_text

TEMPLATES = ("/metrics", "/metrics.json", "/admin/perdure/metrics", "/admin/perdure/metrics.json")
_PATHS = frozenset(path.encode() for path in TEMPLATES)
_KINDS: dict[str, ServedKind] = {name: kind for kind, name in KIND_NAMES.items()}

Found = Sequence[HubMeter] | Answer
"""The hubs that a caller asks for and may see, or what he is told instead."""


class MetricsRoute(BaseRoute):
    """``find`` gives the hubs by the name that the caller says: for None all, the default one first."""

    def __init__(
        self, find: Callable[[Scope, str | None], Found], is_taken: Callable[[Scope], bool] = lambda _: False
    ) -> None:
        self._find = find
        self._is_taken = is_taken
        """Whether a function of the app stands at the path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """These paths alone, and the short ones only where the app has nothing."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return Match.NONE, {}
        path = raw_path(scope)
        mine = path in _PATHS and (path.startswith(b"/admin/") or not self._is_taken(scope))
        return (Match.FULL if mine else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """Nothing here has a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = self._answer(scope)
        except Exception as error:
            answer = answer_to(error, ErrorShape.SHORT)
        await send_answer(answer, send)

    def _answer(self, scope: Scope) -> Answer:
        query = QueryParameters(scope.get("query_string", b""))
        found = self._find(scope, query.text("taskHub"))
        if isinstance(found, Answer):
            return found
        if not raw_path(scope).endswith(b".json"):
            text = metrics_text([meter.figures() for meter in found], __version__)
            return Answer(200, text, (("content-type", CONTENT_TYPE),))
        if not found:
            return NOT_FOUND
        figures = found[0].figures()
        load: dict[str, Any] = msgspec.to_builtins(load_of(figures.loads, _kind(query), query.text("name")))
        return json_answer(200, {"taskHub": figures.task_hub, **load, "connectedWorkers": figures.workers})


def _kind(query: QueryParameters) -> ServedKind | None:
    said = query.text("kind")
    if said is None:
        return None
    kind = _KINDS.get(said.lower())
    if kind is None:
        raise InvalidInput(f"There is no kind '{said}' of work: it is one of {', '.join(_KINDS)}.")
    return kind


def unknown_hub(name: str) -> Answer:
    """What is said of a hub that is not there, or not there for the caller."""
    return json_answer(404, {"Message": f"Task hub not found: {name}"})
