"""How much there is to do, and how much of it is being done: counted when somebody asks, never kept."""

import msgspec

from perdure.contracts.executor import ServedKind


class WorkLoad(msgspec.Struct, frozen=True):
    """What an executor has of one name now. A turn counts once, however many messages it takes in."""

    kind: ServedKind
    name: str
    pending: int = 0
    """It waits for somebody who runs it."""
    active: int = 0
    """It is with a worker, or in user code."""
    oldest_seconds: float | None = 0.0
    """How long the oldest of what is pending has waited in this process; None where that is not known."""
