"""Who may call what: one level per route and method, denied when it has none (reliability.md S2)."""

from enum import Enum
from typing import Protocol

from starlette.types import Scope


class Level(Enum):
    """What a caller must show."""

    ANONYMOUS = "anonymous"
    SYSTEM = "system"
    """The durable system key or the master key."""


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


class OpenAccess:
    """Everybody is admin: the rule on loopback, where local tools need no keys."""

    def judge(self, scope: Scope, level: Level) -> Verdict:
        """Allowed."""
        return Verdict.ALLOWED


LEVELS: dict[tuple[str, str], Level] = {
    ("GET", "/health"): Level.ANONYMOUS,
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
    ("GET", "entities"): Level.SYSTEM,
    ("GET", "entities/{name}"): Level.SYSTEM,
    ("GET", "entities/{name}/{key}"): Level.SYSTEM,
    ("POST", "entities/{name}"): Level.SYSTEM,
    ("POST", "entities/{name}/{key}"): Level.SYSTEM,
    ("DELETE", "entities/{name}"): Level.SYSTEM,
    ("DELETE", "entities/{name}/{key}"): Level.SYSTEM,
}
"""Method and route template → level."""
