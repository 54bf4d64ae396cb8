"""What goes out on a connection: gathered in each turn of the loop, and no faster than the peer takes it."""

import asyncio
import time

from perdure.grpc_api.http2.frames import (
    DATA,
    FIRST_FRAME_BYTES_MAX,
    FIRST_WINDOW,
    WINDOW_MAX,
    ConnectionFailed,
    ErrorCode,
    StreamFailed,
    frame_head,
)
from perdure.grpc_api.http2.limits import Allowance, Limits
from perdure.grpc_api.http2.stream import Stream

_AT_ONCE_BYTES = 256 * 1024
"""So much is gathered before it is handed to the transport, and so much the transport may hold."""
_FRAME_BYTES_MAX = 64 * 1024
"""Streams take turns by frames, however large the peer would take them."""
_UNREAD_ANSWERS_MAX = 4 * 1024 * 1024
"""Answers to pings and the like that a peer asks for and does not read."""


class Outgoing:
    """One connection's way out."""

    def __init__(self, limits: Limits, control: Allowance) -> None:
        self._loop = asyncio.get_running_loop()
        self._control = control
        self._unsent_bytes_max = limits.unsent_bytes_max
        self._earned = limits.control_frames_per_message
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._transport: asyncio.Transport | None = None
        self._sending: dict[Stream, None] = {}
        """With a message that has not left as a whole."""
        self._ready: dict[Stream, None] = {}
        """Those of them whose own window has room; the next one first."""
        self._unsent_bytes = 0
        self._frame_bytes_max = FIRST_FRAME_BYTES_MAX
        self.window = FIRST_WINDOW
        self.first_window = FIRST_WINDOW
        """That of a new stream."""
        self.paused_at: float | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        """Write there."""
        self._transport = transport
        transport.set_write_buffer_limits(_AT_ONCE_BYTES)

    def end(self) -> None:
        """Write nothing more."""
        self._transport = None
        self._pieces.clear()
        self._ready.clear()
        self._sending.clear()

    def put(self, piece: bytes) -> None:
        """Send, with whatever else this turn of the loop sends."""
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(piece)
        self._gathered += len(piece)
        if self._gathered > _AT_ONCE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand over what has been gathered."""
        pieces = self._pieces
        if not pieces or (transport := self._transport) is None:
            return
        self._pieces = []
        self._gathered = 0
        transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self.paused_at is not None and transport.get_write_buffer_size() > _UNREAD_ANSWERS_MAX:
            transport.abort()

    def fits(self, stream: Stream, size: int) -> bool:
        """Whether so much of a stream can leave at once."""
        return (
            size <= stream.window
            and size <= self.window
            and size <= self._frame_bytes_max
            and self.paused_at is None
            and not self._ready
        )

    def send(self, stream: Stream, data: bytes) -> bool:
        """Send a stream's data; False when some of it has to wait. Raises StreamFailed when too much waits."""
        size = len(data)
        if self.fits(stream, size):
            stream.window -= size
            self.window -= size
            self.put(frame_head(size, DATA, 0, stream.number) + data)
            self._control.earn(self._earned)
            return True
        assert not stream.unsent, "one message at a time"
        if self._unsent_bytes + size > self._unsent_bytes_max:
            raise StreamFailed(stream.number, ErrorCode.ENHANCE_YOUR_CALM, "Too much waits to be read.")
        self._unsent_bytes += size
        stream.unsent = memoryview(data)
        stream.moved_at = time.monotonic()
        self._sending[stream] = None
        if stream.window > 0:
            self._ready[stream] = None
        self._pump()
        return not stream.unsent

    def drop(self, stream: Stream) -> None:
        """The stream is gone, and what it had to send."""
        self._unsent_bytes -= len(stream.unsent)
        stream.unsent = memoryview(b"")
        self._sending.pop(stream, None)
        self._ready.pop(stream, None)

    def widen(self, by: int) -> None:
        """The peer takes so much more. Raises ConnectionFailed."""
        self.window += by
        if self.window > WINDOW_MAX:
            raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "The window of the connection is too large.")
        self._pump()

    def widen_stream(self, stream: Stream, by: int) -> None:
        """The peer takes so much more on one stream; less, when it changes its settings. Raises StreamFailed."""
        stream.window += by
        if stream.window > WINDOW_MAX:
            raise StreamFailed(stream.number, ErrorCode.FLOW_CONTROL_ERROR, "The window of the stream is too large.")
        if stream.unsent:
            if stream.window > 0:
                self._ready[stream] = None
                self._pump()
            else:
                self._ready.pop(stream, None)

    def set_frame_bytes(self, bytes_max: int) -> None:
        """The peer takes frames of so many bytes."""
        self._frame_bytes_max = min(bytes_max, _FRAME_BYTES_MAX)

    def pause(self) -> None:
        """The transport has enough."""
        self.paused_at = time.monotonic()

    def resume(self) -> None:
        """The transport takes more."""
        self.paused_at = None
        self._pump()

    def stalled(self, since: float) -> list[Stream]:
        """Streams that have something to send and could send nothing since then."""
        return [stream for stream in self._sending if stream.moved_at < since]

    def _pump(self) -> None:
        """Send a frame of each stream in turn, as far as windows and transport go."""
        now = time.monotonic()
        while self._ready and self.window > 0 and self.paused_at is None:
            stream = next(iter(self._ready))
            del self._ready[stream]
            unsent = stream.unsent
            size = min(len(unsent), self._frame_bytes_max, stream.window, self.window)
            stream.window -= size
            self.window -= size
            self._unsent_bytes -= size
            stream.unsent, stream.moved_at = unsent[size:], now
            if stream.unsent:
                if stream.window > 0:
                    self._ready[stream] = None
            else:
                del self._sending[stream]
                stream.sent()
            self.put(frame_head(size, DATA, 0, stream.number) + bytes(unsent[:size]))
            self._control.earn(self._earned)
