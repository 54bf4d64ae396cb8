"""Who may call what: one level per route and method, denied when it has none (reliability.md S2).

Judged on the raw headers and query, never on a URL that was put together from ``Host``.
"""

from collections.abc import Callable, Collection
from enum import Enum
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.types import Scope

from perdure.http_api.keys import KeyRing, Standing

KEY_HEADER = b"x-functions-key"
KEY_PARAMETER = "code"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Level(Enum):
    """What a caller must show."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    """A key of the function, a host key or the master key."""
    SYSTEM = "system"
    """The durable system key or the master key."""
    ADMIN = "admin"
    """The master key."""


class Verdict(Enum):
    """May the caller go on? The values are the HTTP statuses of a refusal."""

    ALLOWED = 0
    UNKNOWN = 401
    FORBIDDEN = 403


class Access(Protocol):
    """Judges callers."""

    def judge(self, scope: Scope, level: Level) -> Verdict:
        """Whether this caller may use a route of that level."""
        ...

    def admits(self, scope: Scope, level: Level, function_name: str) -> bool:
        """Whether this caller may call one of the app's functions; a refusal is always 401."""
        ...


class OpenAccess:
    """Everybody is admin: the rule on loopback, where local tools need no keys.

    A page of another site that is open in somebody's browser is not everybody: what changes something and says that
    it comes from such a page is refused. ``origins`` are those that CORS allows.
    """

    def __init__(self, origins: Collection[str] = ()) -> None:
        self._origins = frozenset(origins)

    def judge(self, scope: Scope, level: Level) -> Verdict:
        """Allowed, except for what another site's page sends."""
        if level is Level.ANONYMOUS or scope["method"] in _SAFE_METHODS:
            return Verdict.ALLOWED
        return Verdict.FORBIDDEN if self._is_foreign(scope) else Verdict.ALLOWED

    def admits(self, scope: Scope, level: Level, function_name: str) -> bool:
        """Yes: the app's own functions decide themselves what a browser may send."""
        return True

    def _is_foreign(self, scope: Scope) -> bool:
        origin, host = _header(scope, b"origin"), _header(scope, b"host")
        if origin is None:
            return _header(scope, b"sec-fetch-site") in {b"cross-site", b"same-site"}
        own = f"{scope.get('scheme', 'http')}://".encode() + (host or b"")
        return origin.lower() != own.lower() and origin.decode("latin-1").lower() not in self._origins


class KeyAccess:
    """Keys decide; ``keys`` gives those of this moment."""

    def __init__(self, keys: Callable[[], KeyRing]) -> None:
        self._keys = keys

    def judge(self, scope: Scope, level: Level) -> Verdict:
        """401 for no key or an unknown one, 403 for one that opens other doors."""
        if level is Level.ANONYMOUS:
            return Verdict.ALLOWED
        presented = presented_key(scope)
        if not presented:
            return Verdict.UNKNOWN
        standing = self._keys().standing(presented)
        if standing is Standing.UNKNOWN:
            return Verdict.UNKNOWN
        return Verdict.ALLOWED if standing in _OPENED_BY[level] else Verdict.FORBIDDEN

    def admits(self, scope: Scope, level: Level, function_name: str) -> bool:
        """Whether the key opens this function."""
        if level is Level.ANONYMOUS:
            return True
        presented = presented_key(scope)
        return bool(presented) and self._keys().standing(presented, function_name) in _OPENED_BY[level]


_OPENED_BY: dict[Level, frozenset[Standing]] = {
    Level.FUNCTION: frozenset({Standing.MASTER, Standing.HOST, Standing.FUNCTION}),
    Level.SYSTEM: frozenset({Standing.MASTER, Standing.DURABLE}),
    Level.ADMIN: frozenset({Standing.MASTER}),
}


def presented_key(scope: Scope) -> bytes:
    """The key a caller shows: the header if it has one, else the query's ``code``; empty without either."""
    header = _header(scope, KEY_HEADER)
    if header is not None:
        return header.strip()
    for name, value in parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True):
        if name.lower() == KEY_PARAMETER:
            return value.encode("utf-8", "surrogateescape")
    return b""


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return value
    return None


LEVELS: dict[tuple[str, str], Level] = {
    ("GET", "/health"): Level.ANONYMOUS,
    ("GET", "/admin/host/ping"): Level.ANONYMOUS,
    ("POST", "/admin/host/ping"): Level.ANONYMOUS,
    ("GET", "/admin/host/status"): Level.ADMIN,
    ("POST", "/admin/host/restart"): Level.ADMIN,
    ("POST", "/admin/host/drain"): Level.ADMIN,
    ("GET", "/admin/host/drain/status"): Level.ADMIN,
    ("GET", "/admin/host/{kind}"): Level.ADMIN,
    ("GET", "/admin/host/{kind}/{key}"): Level.ADMIN,
    ("POST", "/admin/host/{kind}/{key}"): Level.ADMIN,
    ("PUT", "/admin/host/{kind}/{key}"): Level.ADMIN,
    ("DELETE", "/admin/host/{kind}/{key}"): Level.ADMIN,
    ("GET", "/admin/functions"): Level.ADMIN,
    ("GET", "/admin/functions/{name}"): Level.ADMIN,
    ("POST", "/admin/functions/{name}"): Level.ADMIN,
    ("GET", "/admin/functions/{name}/status"): Level.ADMIN,
    ("GET", "/admin/functions/{name}/keys"): Level.ADMIN,
    ("GET", "/admin/functions/{name}/keys/{key}"): Level.ADMIN,
    ("POST", "/admin/functions/{name}/keys/{key}"): Level.ADMIN,
    ("PUT", "/admin/functions/{name}/keys/{key}"): Level.ADMIN,
    ("DELETE", "/admin/functions/{name}/keys/{key}"): Level.ADMIN,
    ("GET", "openapi.json"): Level.SYSTEM,
    ("POST", "orchestrators/{name}"): Level.SYSTEM,
    ("POST", "orchestrators/{name}/{id}"): Level.SYSTEM,
    ("GET", "instances"): Level.SYSTEM,
    ("DELETE", "instances"): Level.SYSTEM,
    ("GET", "instances/{id}"): Level.SYSTEM,
    ("DELETE", "instances/{id}"): Level.SYSTEM,
    ("POST", "instances/{id}/raiseevent/{event}"): Level.SYSTEM,
    ("POST", "instances/{id}/terminate"): Level.SYSTEM,
    ("POST", "instances/{id}/suspend"): Level.SYSTEM,
    ("POST", "instances/{id}/resume"): Level.SYSTEM,
    ("POST", "instances/{id}/rewind"): Level.SYSTEM,
    ("POST", "instances/{id}/restart"): Level.SYSTEM,
    ("GET", "makeprimary"): Level.SYSTEM,
    ("POST", "makeprimary"): Level.SYSTEM,
    ("PUT", "makeprimary"): Level.SYSTEM,
    ("PATCH", "makeprimary"): Level.SYSTEM,
    ("DELETE", "makeprimary"): Level.SYSTEM,
    ("POST", "entities/@clean"): Level.SYSTEM,
    ("GET", "entities"): Level.SYSTEM,
    ("GET", "entities/{name}"): Level.SYSTEM,
    ("GET", "entities/{name}/{key}"): Level.SYSTEM,
    ("POST", "entities/{name}"): Level.SYSTEM,
    ("POST", "entities/{name}/{key}"): Level.SYSTEM,
    ("DELETE", "entities/{name}"): Level.SYSTEM,
    ("DELETE", "entities/{name}/{key}"): Level.SYSTEM,
    ("GET", "/admin/perdure/instances"): Level.SYSTEM,
    ("GET", "/admin/perdure/instances/{id}"): Level.SYSTEM,
    ("GET", "/admin/perdure/instances/{id}/history"): Level.SYSTEM,
    ("GET", "/admin/perdure/verify"): Level.ADMIN,
    ("GET", "/admin/perdure/backup"): Level.ADMIN,
    ("GET", "/metrics"): Level.SYSTEM,
    ("GET", "/metrics.json"): Level.SYSTEM,
    ("GET", "/admin/perdure/metrics"): Level.SYSTEM,
    ("GET", "/admin/perdure/metrics.json"): Level.SYSTEM,
}
"""Method and route template → level."""
