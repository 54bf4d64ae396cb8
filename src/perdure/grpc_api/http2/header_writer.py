"""The headers of answers (RFC 7541). What each answer says is put into the peer's table once, and named by number."""

from perdure.grpc_api.http2.frames import FIRST_TABLE_BYTES
from perdure.grpc_api.http2.header_table import FIXED

_ADDED = 0x40
_FIRST_ADDED = len(FIXED) + 1
_CONTENT_TYPE = 31
_STATUS_200 = b"\x88"
_TYPE_VALUE = b"application/grpc"
ENCODINGS = b"identity, deflate, gzip"


def number(value: int, bits: int, first: int) -> bytes:
    """A number behind the bits of ``first``."""
    prefix = (1 << bits) - 1
    if value < prefix:
        return bytes((first | value,))
    coded = bytearray((first | prefix,))
    value -= prefix
    while value > 0x7F:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return bytes(coded)


def _text(value: bytes) -> bytes:
    return number(len(value), 7, 0) + value


def literal(name: bytes, value: bytes, first: int = 0) -> bytes:
    """A field that is written out; ``_ADDED`` puts it into the table, too."""
    return bytes((first,)) + _text(name) + _text(value)


def _numbered(added: int) -> bytes:
    return number(_FIRST_ADDED + added, 7, 0x80)


_PLAIN_HEAD = (
    _STATUS_200 + number(_CONTENT_TYPE, 4, 0) + _text(_TYPE_VALUE) + literal(b"grpc-accept-encoding", ENCODINGS)
)
_FIRST_HEAD = (
    _STATUS_200
    + number(_CONTENT_TYPE, 6, _ADDED)
    + _text(_TYPE_VALUE)
    + literal(b"grpc-accept-encoding", ENCODINGS, _ADDED)
)
_LATER_HEAD = _STATUS_200 + number(_FIRST_ADDED + 1, 7, 0x80) + number(_FIRST_ADDED, 7, 0x80)
_EMPTY_TABLE = b"\x20"


class HeaderWriter:
    """Writes to one peer. Each block is to be sent, in the order they were made."""

    __slots__ = ("_head", "_notice")

    def __init__(self) -> None:
        self._head = _FIRST_HEAD
        self._notice = b""

    def set_table(self, bytes_max: int) -> None:
        """The peer keeps a table of so many bytes; when that is less than usual, nothing more is put there."""
        if bytes_max < FIRST_TABLE_BYTES:
            self._head, self._notice = _PLAIN_HEAD, _EMPTY_TABLE

    def head(self) -> bytes:
        """What each answer begins with."""
        head, notice = self._head, self._notice
        if head is _FIRST_HEAD:
            self._head = _LATER_HEAD
        if notice:
            self._notice = b""
            return notice + head
        return head

    def plain(self, fields: bytes) -> bytes:
        """A block of fields that are written out."""
        if self._notice:
            fields, self._notice = self._notice + fields, b""
        return fields
