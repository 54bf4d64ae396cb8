"""Who may call what over gRPC: one set of roles per call, denied when it has none (scheduler.md §5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Role(Enum):
    """What a token is good for. A worker is not more than a reader: it starts and steers nothing."""

    READER = "reader"
    WORKER = "worker"
    CONTRIBUTOR = "contributor"
    ADMIN = "admin"


_ALL = frozenset(Role)
_OWNERS = frozenset({Role.CONTRIBUTOR, Role.ADMIN})
_READERS = _OWNERS | {Role.READER}
_WORKERS = _OWNERS | {Role.WORKER}
_ADMINS = frozenset({Role.ADMIN})

RIGHTS: Mapping[str, frozenset[Role]] = {
    "Hello": _ALL,
    "StreamInstanceHistory": _ALL,
    "GetInstance": _READERS,
    "WaitForInstanceStart": _READERS,
    "WaitForInstanceCompletion": _READERS,
    "QueryInstances": _READERS,
    "ListInstanceIds": _READERS,
    "GetEntity": _READERS,
    "QueryEntities": _READERS,
    "GetWorkItems": _WORKERS,
    "CompleteActivityTask": _WORKERS,
    "CompleteOrchestratorTask": _WORKERS,
    "CompleteEntityTask": _WORKERS,
    "AbandonTaskActivityWorkItem": _WORKERS,
    "AbandonTaskOrchestratorWorkItem": _WORKERS,
    "AbandonTaskEntityWorkItem": _WORKERS,
    "StartInstance": _OWNERS,
    "RaiseEvent": _OWNERS,
    "SignalEntity": _OWNERS,
    "SuspendInstance": _OWNERS,
    "ResumeInstance": _OWNERS,
    "TerminateInstance": _OWNERS,
    "RewindInstance": _OWNERS,
    "RestartInstance": _OWNERS,
    "PurgeInstances": _OWNERS,
    "CleanEntityStorage": _OWNERS,
    "SkipGracefulOrchestrationTerminations": _OWNERS,
    "CreateTaskHub": _ADMINS,
    "DeleteTaskHub": _ADMINS,
    "GetMetrics": _READERS,
    "BeginWorkerDrain": _WORKERS,
}
"""Call → the roles that may make it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the bearer of a token may do. ``hubs`` None: in every hub; else their names in lower case."""

    role: Role
    hubs: frozenset[str] | None = None

    def sees(self, hub: str) -> bool:
        """Whether that hub exists for the bearer."""
        return self.hubs is None or hub.lower() in self.hubs


EVERYBODY = Standing(Role.ADMIN)
"""What callers are where nobody is asked for a token."""


class Doorkeeper(Protocol):
    """Knows tokens."""

    def standing(self, token: str) -> Standing | None:
        """What the bearer may do now; None for a token that is unknown, revoked or expired."""
        ...


def bearer_token(header: str | None) -> str | None:
    """The token of an ``authorization`` header; None when there is none."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
