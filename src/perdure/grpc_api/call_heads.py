"""A call's headers, read: what is called, until when, and what else the caller says."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perdure.grpc_api.codes import Code
from perdure.grpc_api.http2.header_table import Field
from perdure.grpc_api.http2.header_writer import literal
from perdure.grpc_api.http2.request_rules import MalformedRequest, check_request

IDENTITY = "identity"
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUT_DIGITS_MAX = 8
_TYPE = "application/grpc"
_OURS = frozenset(
    (b"content-type", b"te", b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding", b"content-length")
)
"""Headers of the protocol, which say nothing to who answers."""

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True, eq=False)
class CallHead:
    """One call's headers. ``problem``: why it is refused; ``plain_answer``: headers to answer what is no call with."""

    path: str
    metadata: Metadata
    texts: Mapping[str, str]
    """The first text of each name."""
    seconds: float | None = None
    """Until the caller gives up."""
    encoding: str = IDENTITY
    content_bytes: int | None = None
    problem: tuple[Code, str] | None = None
    plain_answer: bytes | None = field(default=None, repr=False)


def read_call_head(fields: Sequence[Field]) -> CallHead:
    """Raises MalformedRequest."""
    check_request(fields)
    by_name = {name: value for name, value in fields}
    path = _text(by_name[b":path"])
    refused = _refused(by_name)
    if refused is not None:
        return CallHead(path, (), {}, plain_answer=refused)
    seconds, problem = None, None
    metadata: list[tuple[str, str | bytes]] = []
    for name, value in fields:
        if name[:1] == b":" or name in _OURS:
            continue
        try:
            metadata += _metadata(name, value)
        except ValueError:
            problem = Code.INVALID_ARGUMENT, f"The binary header {_text(name)} is not written in base64."
    if (timeout := by_name.get(b"grpc-timeout")) is not None:
        seconds = _seconds(timeout)
        if seconds is None:
            problem = Code.INVALID_ARGUMENT, f"The deadline {_text(timeout)!r} is none: it is a number and a unit."
    texts: dict[str, str] = {}
    for key, found in metadata:
        if isinstance(found, str):
            texts.setdefault(key, found)
    return CallHead(
        path,
        tuple(metadata),
        texts,
        seconds,
        _text(by_name.get(b"grpc-encoding", b"identity")),
        _content_bytes(by_name),
        problem,
    )


def _refused(by_name: Mapping[bytes, bytes]) -> bytes | None:
    """The answer to a request that is no call of gRPC."""
    if by_name[b":method"] != b"POST":
        return literal(b":status", b"405") + literal(b"allow", b"POST")
    kind = _text(by_name.get(b"content-type", b""))
    if kind != _TYPE and not kind.startswith((_TYPE + "+", _TYPE + ";")):
        return literal(b":status", b"415")
    return None


def _metadata(name: bytes, value: bytes) -> list[tuple[str, str | bytes]]:
    key = name.decode("ascii")
    if not name.endswith(b"-bin"):
        return [(key, _text(value))]
    return [(key, _binary(part)) for part in value.split(b",")]


def _binary(coded: bytes) -> bytes:
    coded = coded.strip().rstrip(b"=")
    try:
        return base64.b64decode(coded + b"=" * (-len(coded) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _seconds(timeout: bytes) -> float | None:
    text = _text(timeout)
    digits, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not (digits.isascii() and digits.isdigit()) or len(digits) > _TIMEOUT_DIGITS_MAX:
        return None
    return int(digits) * unit


def _content_bytes(by_name: Mapping[bytes, bytes]) -> int | None:
    told = by_name.get(b"content-length")
    if told is None:
        return None
    if not told.isdigit() or len(told) > 20:
        raise MalformedRequest("The header content-length is not a number.")
    return int(told)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
