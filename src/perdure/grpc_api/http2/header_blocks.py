"""Header blocks as a connection gets them: in pieces, and most of them for the thousandth time."""

from collections.abc import Callable
from typing import Generic, TypeVar

from perdure.grpc_api.http2.frames import ConnectionFailed, ErrorCode
from perdure.grpc_api.http2.header_decoder import HeaderDecoder
from perdure.grpc_api.http2.header_table import Field
from perdure.grpc_api.http2.limits import Limits

T = TypeVar("T")
_KNOWN_MAX = 128
_KNOWN_BYTES_MAX = 1_024


class HeaderBlocks(Generic[T]):
    """Makes heads of requests out of blocks. Equal bytes are equal headers for as long as the table has not changed."""

    def __init__(self, limits: Limits, read: Callable[[list[Field]], T]) -> None:
        self._decoder = HeaderDecoder(limits)
        self._read = read
        self._known: dict[bytes, T] = {}
        self._changes = 0

    def request(self, block: bytes) -> T:
        """A request's head. Raises ConnectionFailed, HeadersTooLarge and what ``read`` raises."""
        known = self._known.get(block)
        if known is not None:
            return known
        fields = self.fields(block)
        head = self._read(fields)
        if self._changes == self._decoder.table.changes and len(block) <= _KNOWN_BYTES_MAX:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[block] = head
        return head

    def fields(self, block: bytes) -> list[Field]:
        """Fields that make no request. Raises ConnectionFailed and HeadersTooLarge."""
        try:
            return self._decoder.decode(block)
        finally:
            self._forget_changed()

    def _forget_changed(self) -> None:
        changes = self._decoder.table.changes
        if changes != self._changes:
            self._known.clear()
            self._changes = changes


class BlockInPieces:
    """A header block whose end has not come."""

    __slots__ = ("_limits", "_pieces", "_size", "ends_stream", "number")

    def __init__(self, limits: Limits, number: int, *, first: bytes, ends_stream: bool) -> None:
        self._limits = limits
        self._pieces: list[bytes] = []
        self._size = 0
        self.number = number
        self.ends_stream = ends_stream
        self.add(first)

    def add(self, piece: bytes) -> None:
        """Raises ConnectionFailed when it becomes too long."""
        self._pieces.append(piece)
        self._size += len(piece)
        limits = self._limits
        if self._size > limits.header_block_bytes_max or len(self._pieces) > limits.continuations_max + 1:
            raise ConnectionFailed(ErrorCode.ENHANCE_YOUR_CALM, "A header block is too long.")

    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)
