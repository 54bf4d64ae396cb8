"""What a request's headers must be (RFC 9113 §8.2, §8.3); one that breaks a rule is no request."""

import re
from collections.abc import Sequence

from perdure.grpc_api.http2.header_table import Field

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")
_IN_NO_VALUE = re.compile(rb"[\x00\r\n]")
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
_NEEDED = frozenset((b":method", b":scheme", b":path"))
_OF_THE_CONNECTION = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))


class MalformedRequest(Exception):
    """Headers that no request may have."""


def check_request(fields: Sequence[Field]) -> None:
    """Raises MalformedRequest."""
    seen: set[bytes] = set()
    is_regular = False
    for name, value in fields:
        if name[:1] == b":":
            if is_regular or name in seen or name not in _PSEUDO:
                raise MalformedRequest(f"The pseudo-header {name!r} is unknown, comes twice or comes too late.")
            seen.add(name)
        else:
            is_regular = True
            _check_name(name)
        if name == b"te" and value != b"trailers":
            raise MalformedRequest(f"The header te may only be 'trailers', not {value!r}.")
        if _IN_NO_VALUE.search(value):
            raise MalformedRequest(f"The header {name!r} has a value with bytes that no header may have.")
    if not seen >= _NEEDED:
        raise MalformedRequest("A request has a method, a scheme and a path.")
    if not dict(fields)[b":path"].startswith(b"/"):
        raise MalformedRequest("A path begins with '/'.")


def check_trailers(fields: Sequence[Field]) -> None:
    """What may come behind a request's body. Raises MalformedRequest."""
    for name, _ in fields:
        _check_name(name)


def _check_name(name: bytes) -> None:
    if not _NAME.match(name) or name in _OF_THE_CONNECTION:
        raise MalformedRequest(f"{name!r} is not the name of a request's header.")
