"""Bearer tokens of the server: kept hashed in one file beside the store (architecture.md J15).

The file has mode 0600 and is replaced whole; a link is refused, and so is a file that others may read. A running
server sees a change within a second.
"""

import hashlib
import hmac
import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from perdure.grpc_api.access import Role, Standing

logger = logging.getLogger("perdure.host")

PREFIX = "perdure_"
"""Shows what a text is that somebody finds in a log or a repository."""
FILE_MODE = 0o600
FILE_BYTES_MAX = 1_000_000
ID_LENGTH = 8
CHECKED_EVERY_SECONDS = 1.0


class TokenFileError(Exception):
    """The tokens cannot be read or kept; the message says which file and what to do."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: not the token itself. ``hubs`` None: every hub; ``expires_at`` None: never."""

    id: str
    digest: str
    role: Role
    hubs: tuple[str, ...] | None
    label: str
    created_at: datetime
    expires_at: datetime | None


def new_token(
    role: Role, *, hubs: Sequence[str], label: str, now: datetime, lifetime: timedelta | None
) -> tuple[str, Token]:
    """A new token as its bearer needs it, and what is kept of it. No hubs: all of them."""
    text = PREFIX + secrets.token_urlsafe(40)
    digest = _digest(text)
    kept_hubs = tuple(dict.fromkeys(hub.lower() for hub in hubs)) or None
    expires_at = None if lifetime is None else now + lifetime
    return text, Token(digest[:ID_LENGTH], digest, role, kept_hubs, label, now, expires_at)


class TokenFile:
    """The tokens as they are on disk; also the server's doorkeeper."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._now = now
        self._monotonic = monotonic
        self._tokens: tuple[Token, ...] = ()
        self._stamp: tuple[int, int, int] | None = None
        self._checked_at: float | None = None

    def read(self) -> tuple[Token, ...]:
        """All of this moment; none when there is no file. Raises TokenFileError."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise TokenFileError(
                f"The token file {self.path} cannot be read: {error.strerror} (links are not followed)."
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
                raise TokenFileError(f"Other users may read the token file {self.path}. Say: chmod 600 {self.path}")
            content = file.read(FILE_BYTES_MAX)
        try:
            return tuple(_token(row) for row in json.loads(content)["tokens"])
        except (ValueError, TypeError, KeyError) as error:
            raise TokenFileError(
                f"The token file {self.path} is damaged ({type(error).__name__}: {error}). Restore it, or delete it "
                "and make new tokens."
            ) from error

    def write(self, tokens: Sequence[Token]) -> None:
        """Keep these and no others. Raises TokenFileError."""
        new = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            os.makedirs(self.path.parent, exist_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), FILE_MODE)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump({"tokens": [_row(token) for token in tokens]}, file, indent=2)
                    file.flush()
                    os.fsync(descriptor)
                # A link of that name is replaced, not followed.
                os.replace(new, self.path)
            except BaseException:
                os.unlink(new)
                raise
        except OSError as error:
            raise TokenFileError(f"The tokens cannot be written to {self.path}: {error.strerror}.") from error

    def standing(self, token: str) -> Standing | None:
        """What the bearer may do now. All candidates are compared, in constant time."""
        self._notice_changes()
        digest = _digest(token).encode()
        found: Token | None = None
        for known in self._tokens:
            if hmac.compare_digest(known.digest.encode(), digest):
                found = known
        if found is None or (found.expires_at is not None and found.expires_at <= self._now()):
            return None
        return Standing(found.role, None if found.hubs is None else frozenset(found.hubs))

    def _notice_changes(self) -> None:
        now = self._monotonic()
        if self._checked_at is not None and now - self._checked_at < CHECKED_EVERY_SECONDS:
            return
        self._checked_at = now
        try:
            found = os.stat(self.path, follow_symlinks=False)
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        except FileNotFoundError:
            stamp = (0, 0, 0)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._tokens = self.read()
        except TokenFileError as error:
            # Whoever broke the file may have wanted to take somebody's token away.
            self._tokens = ()
            logger.error("No token is taken any more: %s", error)


def without_expired(tokens: Sequence[Token], now: datetime) -> list[Token]:
    """Those that somebody can still use."""
    return [token for token in tokens if token.expires_at is None or token.expires_at > now]


def _digest(token: str) -> str:
    # A token has 320 random bits, so a slow hash would protect nothing.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _row(token: Token) -> dict[str, Any]:
    row = asdict(token)
    row["role"] = token.role.value
    row["created_at"] = token.created_at.isoformat()
    row["expires_at"] = None if token.expires_at is None else token.expires_at.isoformat()
    return row


def _token(row: Any) -> Token:
    known = cast(dict[str, Any], row)
    hubs, expires_at = known["hubs"], known["expires_at"]
    return Token(
        id=str(known["id"]),
        digest=str(known["digest"]),
        role=Role(known["role"]),
        hubs=None if hubs is None else tuple(str(hub) for hub in hubs),
        label=str(known["label"]),
        created_at=_moment(known["created_at"]),
        expires_at=None if expires_at is None else _moment(expires_at),
    )


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"the time {text} says no time zone")
    return at
