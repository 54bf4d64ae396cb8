"""Runtime statuses and the moves between them (semantics.md §4)."""

from enum import IntEnum


class RuntimeStatus(IntEnum):
    """What an instance is doing; the numbers are those of the wire protocols."""

    Running = 0
    Completed = 1
    ContinuedAsNew = 2
    Failed = 3
    Canceled = 4
    Terminated = 5
    Pending = 6
    Suspended = 7

    @property
    def is_terminal(self) -> bool:
        """Nothing but purge, restart, rewind or replacement changes it any more."""
        return self in TERMINAL


TERMINAL = frozenset(
    {
        RuntimeStatus.Completed,
        RuntimeStatus.Failed,
        RuntimeStatus.Canceled,
        RuntimeStatus.Terminated,
    }
)
NON_TERMINAL = frozenset(RuntimeStatus) - TERMINAL

_RUNNING_MOVES = frozenset(
    {
        RuntimeStatus.Running,
        RuntimeStatus.Completed,
        RuntimeStatus.Failed,
        RuntimeStatus.Terminated,
        RuntimeStatus.Suspended,
    }
)

ALLOWED_MOVES: dict[RuntimeStatus | None, frozenset[RuntimeStatus]] = {
    None: frozenset({RuntimeStatus.Pending}) | _RUNNING_MOVES,
    RuntimeStatus.Pending: frozenset({RuntimeStatus.Pending}) | _RUNNING_MOVES,
    RuntimeStatus.Running: _RUNNING_MOVES,
    RuntimeStatus.ContinuedAsNew: _RUNNING_MOVES,
    # A resume and what it lets through may be one episode, so every running move is open;
    # and it may come before a scheduled start.
    RuntimeStatus.Suspended: frozenset({RuntimeStatus.Pending}) | _RUNNING_MOVES,
    # A rewind and the episode it brings may be one commit.
    RuntimeStatus.Failed: frozenset({RuntimeStatus.Pending}) | _RUNNING_MOVES,
    RuntimeStatus.Completed: frozenset({RuntimeStatus.Pending}),
    RuntimeStatus.Terminated: frozenset({RuntimeStatus.Pending}),
    RuntimeStatus.Canceled: frozenset({RuntimeStatus.Pending}),
}
"""From → to. ``None`` is an instance that does not exist yet (its start and first episode may be one commit)."""
