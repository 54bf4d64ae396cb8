"""Errors that cross the seams, named by what the caller does next."""

NAMED_MAX = 5
"""So many ids at most stand in one message."""


class StorageError(Exception):
    """Something about the store; the subclasses say what to do."""


class LeaseLost(StorageError):
    """Another holder has these partitions: drop what you hold of them. Empty: it may be any of those asked for."""

    def __init__(self, message: str, partitions: frozenset[int] = frozenset()) -> None:
        super().__init__(message)
        self.partitions = partitions


class InstanceTaken(StorageError):
    """Another process created these ids first: nothing of the round was written.

    The same round without the episodes of these new instances may be committed.
    """

    def __init__(self, instance_ids: frozenset[str]) -> None:
        named = ", ".join(f"'{instance_id}'" for instance_id in sorted(instance_ids)[:NAMED_MAX])
        super().__init__(f"Another process has created {len(instance_ids)} of these instances first: {named}.")
        self.instance_ids = instance_ids


class Unavailable(StorageError):
    """The store cannot be reached now: refuse the caller, try again later (HTTP 503)."""


class Overloaded(Unavailable):
    """A bounded queue is full: try again later (HTTP 429)."""


class StoreFull(Unavailable):
    """No space: writes are refused, reads go on (HTTP 507)."""


class StoreFailed(StorageError):
    """A sync or write failed for good: stop the process, trust only what is read back (reliability.md D6)."""


class CheckpointRefused(StorageError):
    """A round contradicts what is stored: a program error. Nothing of it was written and it must not be tried again."""


class StoreInUse(StorageError):
    """Another process holds the store: its pid and URL are in the message."""

    def __init__(self, message: str, pid: int | None = None, url: str | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.url = url


class StoreUnusable(StorageError):
    """The store cannot be opened as it is: newer schema, wrong pragma, not a store, bad URL (exit code 3)."""


class HistoryCorrupted(StorageError):
    """A stored history has a gap, a bad checksum or unreadable text; only that instance is concerned."""

    def __init__(self, instance_id: str, reason: str) -> None:
        super().__init__(f"The history of '{instance_id}' is damaged: {reason}")
        self.instance_id = instance_id
        self.reason = reason


class InvalidInput(ValueError):
    """What the caller gave breaks a rule that the message names (HTTP 400)."""


class PayloadTooLarge(InvalidInput):
    """A payload is over the limit; the message names size and limit (HTTP 413)."""


class InstanceNotFound(LookupError):
    """There is no such instance (HTTP 404)."""


class InstanceExists(Exception):
    """A live instance has that id (HTTP 409)."""


class InstanceRunning(Exception):
    """The instance has not ended, and what was asked needs that (HTTP 409)."""


class InstanceNotFailed(InstanceRunning):
    """The instance has not ended, so there is no failure to rewind (HTTP 409)."""


class InstanceFinished(Exception):
    """The instance has ended and takes no more messages (HTTP 410)."""
