"""Bytes into frames."""

from collections.abc import Iterator
from struct import Struct

from perdure.grpc_api.http2.frames import HEAD_BYTES, PREFACE, STREAM_MAX, ConnectionFailed, ErrorCode

_HEAD = Struct(">HBBBI")

Frame = tuple[int, int, int, bytes]
"""Kind, flags, stream, body."""


class FrameReader:
    """Takes bytes as they come. ``is_inside``: what has come ends inside of a frame, or of the first greeting."""

    __slots__ = ("_bytes_max", "_is_greeted", "_rest")

    def __init__(self, frame_bytes_max: int) -> None:
        self._bytes_max = frame_bytes_max
        self._rest = b""
        self._is_greeted = False

    @property
    def is_inside(self) -> bool:
        """Whether the end of something that has begun is missing."""
        return bool(self._rest) or not self._is_greeted

    def frames(self, received: bytes) -> Iterator[Frame]:
        """The frames that are whole. Raises ConnectionFailed."""
        if self._rest:
            received = self._rest + received
        at, end = 0, len(received)
        if not self._is_greeted:
            at = self._greet(received)
        while end - at >= HEAD_BYTES:
            high, low, kind, flags, stream = _HEAD.unpack_from(received, at)
            size = high << 8 | low
            if size > self._bytes_max:
                raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, f"A frame may have {self._bytes_max:,} bytes.")
            stop = at + HEAD_BYTES + size
            if stop > end:
                break
            yield kind, flags, stream & STREAM_MAX, received[at + HEAD_BYTES : stop]
            at = stop
        self._rest = received[at:]

    def _greet(self, received: bytes) -> int:
        if not PREFACE.startswith(received[: len(PREFACE)]):
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "This is a gRPC port: it speaks HTTP/2 only.")
        if len(received) < len(PREFACE):
            return 0
        self._is_greeted = True
        return len(PREFACE)
