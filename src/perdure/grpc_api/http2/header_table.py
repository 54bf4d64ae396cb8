"""The fields that HPACK names by number (RFC 7541 §2.3): the fixed ones, and those that a peer has put there."""

from collections import deque

from perdure.grpc_api.http2.frames import ConnectionFailed, ErrorCode

Field = tuple[bytes, bytes]
"""Name and value."""
FIELD_BYTES = 32
"""What each field counts beyond its texts."""

_METHODS_AND_PATHS: tuple[Field, ...] = (
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
)
_STATUSES = tuple((b":status", code) for code in (b"200", b"204", b"206", b"304", b"400", b"404", b"500"))
_NAMES = tuple(
    (name, b"gzip, deflate" if name == b"accept-encoding" else b"")
    for name in (
        b"accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow "
        b"authorization cache-control content-disposition content-encoding content-language content-length "
        b"content-location content-range content-type cookie date etag expect expires from host if-match "
        b"if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards "
        b"proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie "
        b"strict-transport-security transfer-encoding user-agent vary via www-authenticate"
    ).split()
)
FIXED: tuple[Field, ...] = (*_METHODS_AND_PATHS, *_STATUSES, *_NAMES)
"""The first has number 1."""
_FIXED_COUNT = len(FIXED)


class HeaderTable:
    """A peer's table. ``changes`` counts what was done to it."""

    __slots__ = ("_added", "_bytes", "_bytes_allowed", "_bytes_max", "changes")

    def __init__(self, bytes_allowed: int) -> None:
        self._added: deque[Field] = deque()
        """The newest first."""
        self._bytes = 0
        self._bytes_allowed = self._bytes_max = bytes_allowed
        self.changes = 0

    def field(self, number: int) -> Field:
        """The field of that number. Raises ConnectionFailed when there is none."""
        if 0 < number <= _FIXED_COUNT:
            return FIXED[number - 1]
        at = number - _FIXED_COUNT - 1
        if not 0 <= at < len(self._added):
            raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, f"There is no header field {number}.")
        return self._added[at]

    def add(self, field: Field) -> None:
        """Another one; the oldest make room for it, and one that is larger than the table empties it."""
        self.changes += 1
        size = len(field[0]) + len(field[1]) + FIELD_BYTES
        self._shrink(max(self._bytes_max - size, 0))
        if size <= self._bytes_max:
            self._added.appendleft(field)
            self._bytes += size

    def resize(self, bytes_max: int) -> None:
        """The peer keeps so much. Raises ConnectionFailed when that is more than we allow."""
        if bytes_max > self._bytes_allowed:
            text = f"The header table may have {self._bytes_allowed} bytes, not {bytes_max}."
            raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, text)
        self.changes += 1
        self._bytes_max = bytes_max
        self._shrink(bytes_max)

    def _shrink(self, to: int) -> None:
        while self._bytes > to:
            name, value = self._added.pop()
            self._bytes -= len(name) + len(value) + FIELD_BYTES
