"""What the server's and the driver's errors mean: for a program that starts, and for a call."""

import ssl

import asyncpg

from perdure.contracts.errors import CheckpointRefused, StorageError, StoreFailed, StoreFull, StoreUnusable, Unavailable

LOST_ERRORS = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Besides the server's own errors, what a call may raise."""
TRIED_AGAIN = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock not available: the same call may succeed in the next moment."""
FENCED, PARTITIONS_LOST, IDS_TAKEN, REFUSED = "PD001", "PD002", "PD003", "PD004"
"""What our own functions raise."""
_AWAY_CLASSES = ("08", "57P", "53300")
_FULL = frozenset({"53100"})
_PASSING = frozenset({"25006", "53000", "53200", "53400", "57014", "25P03", "25P04", "55006"})
"""Read-only after a failover, out of memory, cancelled by a time limit, timeouts of sessions."""
_REFUSED_CLASSES = ("22", "23")
"""Bad values, and constraints."""


def state_of(error: BaseException) -> str:
    """The server's code, SQLSTATE; empty for an error that is not its own."""
    return str(getattr(error, "sqlstate", None) or "")


def detail_of(error: BaseException) -> str | None:
    """What our functions tell beside their code."""
    detail: str | None = getattr(error, "detail", None)
    return detail


def is_cut(error: BaseException) -> bool:
    """Whether the connection is gone, so that nobody knows what came of the call."""
    if isinstance(error, asyncpg.PostgresError):
        return state_of(error).startswith(_AWAY_CLASSES)
    return isinstance(error, LOST_ERRORS)


def meaning(error: BaseException, place: str) -> Exception:
    """Of an error after which nothing was done."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, UnicodeError):
        return CheckpointRefused(f"{type(error).__name__}: {error}")
    if not isinstance(error, asyncpg.PostgresError):
        return Unavailable(f"The store at {place} cannot be reached: {_first_line(error)}.")
    state = state_of(error)
    if state in _FULL:
        return StoreFull(f"There is no space left for the store at {place}: {_first_line(error)}.")
    if state.startswith(_AWAY_CLASSES) or state in _PASSING or state in TRIED_AGAIN:
        return Unavailable(f"The store at {place} cannot do it now: {_first_line(error)}.")
    if state == REFUSED or state.startswith(_REFUSED_CLASSES):
        return CheckpointRefused(f"{_first_line(error)} ({state})")
    # A server whose sync failed stops and recovers from its log by itself; what is left tells of a hub that was
    # dropped or changed under us, of rights taken away and of damage.
    return StoreFailed(f"The store at {place} failed for good: {_first_line(error)} ({state}).")


def unusable(error: BaseException, place: str) -> StoreUnusable:
    """Of an error when connecting for the first time."""
    what = _first_line(error)
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return StoreUnusable(f"The server of {place} refuses the user: {what}. Check user name and password.")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return StoreUnusable(f"The server of {place} answers: {what}. Create the database, or name another one.")
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return StoreUnusable(
            f"The server of {place} takes no more connections: {what}. "
            "Raise max_connections, or the limit of the user or the database."
        )
    if isinstance(error, asyncpg.CannotConnectNowError):
        return StoreUnusable(f"The server of {place} cannot be used yet: {what}. Try again when it has started.")
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return StoreUnusable(f"The URL of the store at {place} cannot be used: {what}.")
    if isinstance(error, ssl.SSLError):
        return StoreUnusable(f"The server of {place} cannot be reached by TLS: {what}. Check sslmode in the URL.")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return StoreUnusable(
            f"The user of {place} lacks a right: {what}. Let the owner of the schema grant usage on it and everything "
            "on its tables, sequences and functions."
        )
    if isinstance(error, asyncpg.UndefinedTableError):
        return StoreUnusable(f"The hub at {place} is not whole: {what}. If it was restored, restore it anew.")
    if NO_TRANSACTIONS in what:
        return StoreUnusable(
            f"Before the server of {place} stands a pooler in statement mode, which knows no transactions; have it in "
            "session or transaction mode, or go to the server."
        )
    if isinstance(error, asyncpg.PostgresError):
        hint = (
            " That is a pooler: go to the server, or leave 'pooler' out of the URL." if REFUSES_SETTINGS in what else ""
        )
        return StoreUnusable(f"The server of {place} answers: {what} ({state_of(error)}).{hint}")
    if isinstance(error, TimeoutError):
        return StoreUnusable(f"The server of {place} does not answer. Check host and port in the URL, and firewalls.")
    return StoreUnusable(f"The server of {place} cannot be reached: {what}. Start it, or check the URL.")


REFUSES_SETTINGS = "unsupported startup parameter"
"""How PgBouncer says that a session is not a client's to set up."""
NO_TRANSACTIONS = "statement pooling mode"
"""In what PgBouncer says when a transaction begins."""


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
