"""Where a hub lies, read strictly from a URL: a mistake is named at the start, and a password never is."""

from difflib import get_close_matches
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from perdure.contracts.errors import StoreUnusable


class Pooler(Enum):
    """What stands between us and the server."""

    NONE = "none"
    SESSION = "session"
    """A connection has one session of the server for its whole life, but cannot begin it with settings of its own."""
    TRANSACTION = "transaction"
    """Each transaction may run in another session of the server, as PgBouncer has it in transaction mode."""


class Address(msgspec.Struct, frozen=True):
    """``dsn`` is for the driver, with the password; ``shown`` is for people. ``pooler`` None: find out."""

    dsn: str
    shown: str
    pooler: Pooler | None = None


_OWN = "pooler"
_PARAMETERS = (
    "host", "port", "user", "password", "passfile", "database", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey",
    "sslcrl", "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs",
    "krbsrvname", "gsslib", _OWN,
)  # fmt: skip


def read_address(url: str) -> Address:
    """``postgresql://USER:PASSWORD@HOST:PORT/DATABASE?…``. Raises StoreUnusable, saying what is wrong with it."""
    scheme, colon, rest = url.partition(":")
    if scheme not in ("postgresql", "postgres") or not colon:
        raise StoreUnusable(f"The store's URL begins with '{scheme[:20]}:'. {_FORM}")
    if "#" in rest:
        raise StoreUnusable(f"The store's URL has a '#' in it; in a user name or password write it as %23. {_FORM}")
    try:
        parts = urlsplit(url)
        # Several hosts are the driver's to read; of one, the port is looked at here.
        _ = parts.port if "," not in parts.netloc else None
    except ValueError as error:
        # Its text may be a part of the password.
        raise StoreUnusable(
            f"The store's URL cannot be read: no host and port can be told; in a user name or password write ':', '@', "
            f"'/' and '?' as %3A, %40, %2F and %3F. {_FORM}"
        ) from error
    pooler: Pooler | None = None
    kept: list[tuple[str, str]] = []
    try:
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise StoreUnusable(f"What follows '?' in the store's URL cannot be read; write NAME=VALUE. {_FORM}") from error
    for name, value in given:
        if name not in _PARAMETERS:
            close = get_close_matches(name, _PARAMETERS, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(sorted(_PARAMETERS))}."
            raise StoreUnusable(f"The store's URL has a parameter '{name}' that is not known; {hint}")
        if name == _OWN:
            pooler = _read_pooler(value)
        else:
            kept.append((name, value))
    named = dict(kept)
    dsn = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), ""))
    return Address(dsn, _shown(parts.netloc, parts.path, named), pooler)


def _read_pooler(value: str) -> Pooler:
    try:
        return Pooler(value)
    except ValueError as error:
        raise StoreUnusable(
            f"The store's URL says pooler={value}; it may be 'transaction', 'session' or 'none' "
            "(left out: we find out)."
        ) from error


def _shown(netloc: str, path: str, named: dict[str, str]) -> str:
    user, _, hosts = netloc.rpartition("@")
    user = unquote(user.partition(":")[0]) or named.get("user", "")
    hosts = hosts or named.get("host", "")
    if not netloc.rpartition("@")[2] and "port" in named:
        hosts += f":{named['port']}"
    database = unquote(path.removeprefix("/")) or named.get("database", named.get("dbname", ""))
    return f"postgresql://{user}{'@' if user else ''}{hosts}/{database}"


_FORM = "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
