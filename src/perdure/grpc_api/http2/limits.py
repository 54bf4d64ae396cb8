"""What a peer may ask of a connection: beyond it the stream or the connection ends, and nothing else suffers."""

import time
from dataclasses import dataclass

from perdure.grpc_api.http2.frames import FIRST_TABLE_BYTES, ConnectionFailed, ErrorCode


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one connection, but for those that say otherwise."""

    header_list_bytes_max: int = 32 * 1024
    """Of a request, counted as HPACK does: 32 bytes more for each field. Tokens are the longest ones, of some 4 KiB."""
    header_fields_max: int = 100
    header_block_bytes_max: int = 64 * 1024
    """Of a request as it is sent; a longer one cannot be read, and its table would be lost: the connection ends."""
    continuations_max: int = 16
    header_table_bytes: int = FIRST_TABLE_BYTES
    frame_bytes_max: int = 64 * 1024
    streams_max: int = 10_000
    """At once. Waits for instances may last for hours, and a client has one connection for all of them."""
    connections_max: int = 10_000
    """Of a server."""
    refused_at_once: int = 100
    """Connections beyond those that are kept until they have been told so; further ones end untold."""
    stream_window: int = 1024 * 1024
    connection_window: int = 16 * 1024 * 1024
    unfinished_bytes_max: int = 128 * 1024 * 1024
    """Of requests whose end has not come."""
    all_unfinished_bytes_max: int = 512 * 1024 * 1024
    """The same of a server's connections together."""
    unsent_bytes_max: int = 256 * 1024 * 1024
    """Of answers that the peer does not take."""
    resets_at_once: int = 4_000
    resets_per_second: float = 200.0
    """Streams that the peer opens and takes back: a call each, for nothing."""
    control_frames_at_once: int = 20_000
    control_frames_per_second: float = 1_000.0
    """Frames that carry nothing: pings, settings, window updates, empty ones."""
    control_frames_per_message: int = 8
    """So many more for each frame that carries something, either way."""
    unfinished_seconds: float = 30.0
    """So long may pass between two pieces of a request, of a header block, or before the first frame."""
    stalled_seconds: float = 60.0
    """So long may an answer wait for its peer to take the next piece."""
    silent_seconds: float = 20.0
    """A silent peer is asked whether it lives after so long, and given up after as long again."""


class Allowance:
    """So many at once, and so many a second after that."""

    __slots__ = ("_at_once", "_per_second", "_since", "_text", "left")

    def __init__(self, at_once: int, per_second: float, text: str) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._text = text
        self._since = time.monotonic()
        self.left = at_once

    def spend(self) -> None:
        """One more. Raises ConnectionFailed when there are too many."""
        self.left -= 1
        if self.left < 0:
            now = time.monotonic()
            regained = int((now - self._since) * self._per_second)
            if not regained:
                raise ConnectionFailed(ErrorCode.ENHANCE_YOUR_CALM, self._text)
            self._since = now
            self.left = min(regained, self._at_once) - 1

    def earn(self, count: int) -> None:
        """So many more than time gives."""
        if self.left < self._at_once:
            self.left += count


class Unfinished:
    """Counts the bytes of requests whose end has not come, over all connections."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0
