"""What the stores of our own have in common: payloads named by their hash, compressed where that helps."""

import gzip
import hashlib
import re
import zlib

_HASH = re.compile(r"[0-9a-f]{64}")


class PayloadMissing(LookupError):
    """A token names a payload that the store does not have."""


class PayloadDamaged(LookupError):
    """What is stored is not what was given to be stored."""


def name_of(data: bytes) -> str:
    """The same bytes have the same name: stored twice, they are stored once."""
    return hashlib.sha256(data).hexdigest()


def packed(data: bytes) -> bytes:
    """The bytes compressed, or as they are when that is no gain."""
    smaller = gzip.compress(data, compresslevel=5, mtime=0)
    return smaller if len(smaller) < len(data) else data


def checked(stored: bytes, name: str, token: str) -> bytes:
    """The payload of that name, packed or not. Raises PayloadDamaged."""
    if name_of(stored) == name:
        return stored
    try:
        data = gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as error:
        raise PayloadDamaged(f"The payload '{token}' cannot be unpacked: {error}") from error
    if name_of(data) != name:
        raise PayloadDamaged(f"The payload '{token}' was changed after it was stored.")
    return data


def name_in(token: str, prefix: str) -> str | None:
    """The name in a token with this prefix; None when it is none."""
    if not token.startswith(prefix):
        return None
    name = token[len(prefix) :]
    return name if _HASH.fullmatch(name) else None
