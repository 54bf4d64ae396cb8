"""One peer's connection: its frames checked, and given to the streams they are of.

Whatever a peer sends ends with an answer, with the end of a stream or with that of this connection; the server goes on.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from perdure.grpc_api.http2.frame_reader import FrameReader
from perdure.grpc_api.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIRST_WINDOW,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    STREAM_MAX,
    WINDOW_MAX,
    WINDOW_UPDATE,
    ConnectionFailed,
    ErrorCode,
    Setting,
    StreamFailed,
    frame,
    goaway_frame,
    settings_frame,
    window_frame,
)
from perdure.grpc_api.http2.header_blocks import BlockInPieces
from perdure.grpc_api.http2.limits import Allowance, Limits, Unfinished
from perdure.grpc_api.http2.outgoing import Outgoing
from perdure.grpc_api.http2.peer_settings import read_settings
from perdure.grpc_api.http2.streams import Answers, Streams

_log = logging.getLogger("perdure.grpc_api")
_CLOSING_SECONDS_MAX = 5.0
_FULL_LOGGED_EVERY_SECONDS = 60.0
_PING_BYTES = 8
_PRIORITY_BYTES = 5
_ALIVE_PING = b"alive?\0\0"
_LAST_PING = b"last?\0\0\0"


class Shared:
    """What a server's connections have together."""

    def __init__(self, answers: Answers, limits: Limits) -> None:
        self.answers = answers
        self.limits = limits
        self.unfinished = Unfinished()
        self.connections: set[Connection] = set()
        self.refused = 0
        """How many of them are only told that they are too many."""
        self.gone = asyncio.Event()
        """Set when a connection has ended."""
        self._full_logged_at: float | None = None

    def note_full(self) -> None:
        """A connection is refused because there are too many; said once a minute."""
        now = time.monotonic()
        if self._full_logged_at is None or now - self._full_logged_at >= _FULL_LOGGED_EVERY_SECONDS:
            self._full_logged_at = now
            _log.warning(
                "gRPC connections are refused: there are as many as the server takes, %d.", self.limits.connections_max
            )


class Connection(asyncio.Protocol):
    """Reads and answers one peer."""

    def __init__(self, shared: Shared) -> None:
        limits = shared.limits
        self._shared = shared
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(limits.frame_bytes_max)
        self._control = Allowance(
            limits.control_frames_at_once, limits.control_frames_per_second, "Too many frames that carry nothing."
        )
        self._outgoing = Outgoing(limits, self._control)
        self.streams = Streams(
            shared.answers,
            limits,
            outgoing=self._outgoing,
            control=self._control,
            unfinished=shared.unfinished,
            emptied=self._end_when_empty,
        )
        self._block: BlockInPieces | None = None
        self._room = limits.connection_window
        self._taken = 0
        self._has_settings = False
        self._is_draining = False
        self._is_over = False
        self._is_one_too_many = False
        self._heard_at = self._whole_at = self._closed_at = time.monotonic()
        self._is_heard = False
        self._asked_at: float | None = None
        self._peer = ""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        shared, limits = self._shared, self._limits
        self._peer = self.streams.peer = _peer_of(transport)
        encrypted: Any = transport.get_extra_info("ssl_object")
        self._is_one_too_many = len(shared.connections) - shared.refused >= limits.connections_max
        if self._is_one_too_many:
            shared.note_full()
        is_untold = self._is_one_too_many and shared.refused >= limits.refused_at_once
        if is_untold or (encrypted is not None and encrypted.selected_alpn_protocol() != "h2"):
            self._is_over = True
            transport.abort()
            return
        shared.connections.add(self)
        shared.refused += self._is_one_too_many
        self._outgoing.begin(transport)
        settings = {
            Setting.MAX_CONCURRENT_STREAMS: limits.streams_max,
            Setting.INITIAL_WINDOW_SIZE: limits.stream_window,
            Setting.MAX_FRAME_SIZE: limits.frame_bytes_max,
            Setting.MAX_HEADER_LIST_SIZE: limits.header_list_bytes_max,
        }
        self._outgoing.put(settings_frame(settings) + window_frame(0, limits.connection_window - FIRST_WINDOW))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._transport = None
        self._outgoing.end()
        self.streams.cut_off_all()
        if self in self._shared.connections:
            self._shared.connections.remove(self)
            self._shared.refused -= self._is_one_too_many
        self._shared.gone.set()

    def pause_writing(self) -> None:
        self._outgoing.pause()

    def resume_writing(self) -> None:
        self._outgoing.resume()

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._is_heard = True
        try:
            for kind, flags, number, body in self._reader.frames(data):
                try:
                    self._take(kind, flags, number, body)
                except StreamFailed as failed:
                    self.streams.fail_for_peer(failed)
                if self._is_over:
                    return
        except ConnectionFailed as failed:
            self.fail(failed)
        except Exception:
            _log.exception("A connection from %s ends: its bytes made the server fail.", self._peer)
            self.fail(ConnectionFailed(ErrorCode.INTERNAL_ERROR, "The server failed."))
        if not self._reader.is_inside and self._block is None:
            self._whole_at = self.streams.now

    def drain(self) -> None:
        """Take no more requests; the connection ends when those it has are answered. Twice-safe."""
        if self._is_over or self._is_draining:
            return
        self._is_draining = True
        # What is on its way was sent before the peer could know: it is answered until the ping comes back.
        self._outgoing.put(goaway_frame(STREAM_MAX, ErrorCode.NO_ERROR) + frame(PING, 0, 0, _LAST_PING))

    def close(self) -> None:
        """End it when what was written has left."""
        self._is_over = True
        self._closed_at = time.monotonic()
        self._outgoing.flush()
        self._outgoing.end()
        if self._transport is not None:
            self._transport.close()
        self.streams.cut_off_all()

    def abort(self) -> None:
        """End it now."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    def look(self, now: float) -> None:
        """End what stands still, and ask a silent peer whether it lives; called now and then."""
        limits = self._limits
        self.streams.now = now
        if self._is_over:
            # It was to close by itself once the peer had read the last of it.
            if now - self._closed_at > _CLOSING_SECONDS_MAX:
                self.abort()
            return
        if self._is_heard:
            self._is_heard, self._asked_at, self._heard_at = False, None, now
        elif self._asked_at is not None:
            if now - self._asked_at >= limits.silent_seconds:
                self.abort()
                return
        elif now - self._heard_at >= limits.silent_seconds:
            self._asked_at = now
            self._outgoing.put(frame(PING, 0, 0, _ALIVE_PING))
        is_whole = not self._reader.is_inside and self._block is None and self._has_settings
        if is_whole:
            self._whole_at = now
        paused_at = self._outgoing.paused_at
        if now - self._whole_at > limits.unfinished_seconds or (
            paused_at is not None and now - paused_at > limits.stalled_seconds
        ):
            self.abort()
            return
        self.streams.end_standing()

    def fail(self, failed: ConnectionFailed) -> None:
        """Tell the peer what it did, and end the connection."""
        if self._is_over:
            return
        _log.debug("A connection from %s ends: %s", self._peer, failed)
        self._outgoing.put(goaway_frame(self.streams.last, failed.code, str(failed)))
        if self._is_one_too_many:
            self._hang_up()
        else:
            self.close()

    def _hang_up(self) -> None:
        """Say no more and let the peer end it: closed before its bytes are read, it would be reset unheard."""
        transport = self._transport
        if transport is None or not transport.can_write_eof():
            self.close()
            return
        self._is_over = True
        self._closed_at = time.monotonic()
        self._outgoing.flush()
        self._outgoing.end()
        transport.write_eof()
        self.streams.cut_off_all()

    def _take(self, kind: int, flags: int, number: int, body: bytes) -> None:
        if self._block is not None and (kind != CONTINUATION or number != self._block.number):
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A header block is interrupted.")
        if not self._has_settings and kind != SETTINGS:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "The first frame is to be SETTINGS.")
        take = _TAKERS.get(kind)
        if take is None:
            self._control.spend()
        else:
            take(self, flags, number, body)

    def _take_data(self, flags: int, number: int, body: bytes) -> None:
        size = len(body)
        self._room -= size
        if self._room < 0:
            raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "More is sent than the connection's window allows.")
        self._taken += size
        if self._taken * 2 > self._limits.connection_window:
            self._room += self._taken
            self._outgoing.put(window_frame(0, self._taken))
            self._taken = 0
        if flags & PADDED:
            body = _unpadded(body)
        self.streams.take_data(number, body, size=size, is_last=bool(flags & END_STREAM))

    def _take_headers(self, flags: int, number: int, body: bytes) -> None:
        if flags & PADDED:
            body = _unpadded(body)
        if flags & HAS_PRIORITY:
            if len(body) < _PRIORITY_BYTES:
                raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "A HEADERS frame ends inside of its priority.")
            body = body[_PRIORITY_BYTES:]
        if not number & 1:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "Streams of clients have odd numbers.")
        if flags & END_HEADERS:
            self.streams.take_block(number, body, ends_stream=bool(flags & END_STREAM))
        else:
            self._block = BlockInPieces(self._limits, number, first=body, ends_stream=bool(flags & END_STREAM))

    def _take_continuation(self, flags: int, number: int, body: bytes) -> None:
        block = self._block
        if block is None:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "There is no header block to continue.")
        self._control.spend()
        block.add(body)
        if flags & END_HEADERS:
            self._block = None
            self.streams.take_block(number, block.whole(), ends_stream=block.ends_stream)

    def _take_priority(self, flags: int, number: int, body: bytes) -> None:
        self._control.spend()
        if number == 0:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A PRIORITY frame belongs to a stream.")
        if len(body) != _PRIORITY_BYTES:
            raise StreamFailed(number, ErrorCode.FRAME_SIZE_ERROR, "A PRIORITY frame has five bytes.")

    def _take_reset(self, flags: int, number: int, body: bytes) -> None:
        if len(body) != 4:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "An RST_STREAM frame has four bytes.")
        self.streams.take_reset(number)

    def _take_settings(self, flags: int, number: int, body: bytes) -> None:
        self._control.spend()
        if number:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A SETTINGS frame belongs to no stream.")
        if flags & ACK:
            if body or not self._has_settings:
                raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "An acknowledgement of settings is empty.")
            return
        if self._is_one_too_many:
            # Told now and not at once: peers that are still sending may not read what they are told.
            text = f"The server has as many connections as it takes, {self._limits.connections_max}."
            raise ConnectionFailed(ErrorCode.ENHANCE_YOUR_CALM, text)
        self._has_settings = True
        settings = list(read_settings(body))
        # Before whatever a wider window lets out: the peer widens it when it reads this.
        self._outgoing.put(SETTINGS_ACK)
        for setting, value in settings:
            if setting is Setting.INITIAL_WINDOW_SIZE:
                self.streams.set_first_window(value)
            elif setting is Setting.MAX_FRAME_SIZE:
                self._outgoing.set_frame_bytes(value)
            elif setting is Setting.HEADER_TABLE_SIZE:
                self.streams.set_table(value)

    def _take_push(self, flags: int, number: int, body: bytes) -> None:
        raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A client pushes nothing.")

    def _take_ping(self, flags: int, number: int, body: bytes) -> None:
        self._control.spend()
        if number:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A PING frame belongs to no stream.")
        if len(body) != _PING_BYTES:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "A PING frame has eight bytes.")
        if not flags & ACK:
            self._outgoing.put(frame(PING, ACK, 0, body))
        elif body == _LAST_PING and self._is_draining and not self.streams.is_closed:
            self.streams.is_closed = True
            self._outgoing.put(goaway_frame(self.streams.last, ErrorCode.NO_ERROR))
            self._end_when_empty()

    def _take_goaway(self, flags: int, number: int, body: bytes) -> None:
        self._control.spend()
        if number or len(body) < 8:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A GOAWAY frame belongs to no stream and has eight bytes.")

    def _take_window(self, flags: int, number: int, body: bytes) -> None:
        self._control.spend()
        if len(body) != 4:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "A WINDOW_UPDATE frame has four bytes.")
        by = int.from_bytes(body, "big") & WINDOW_MAX
        if number == 0:
            if not by:
                raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A window is widened by something.")
            self._outgoing.widen(by)
            return
        self.streams.widen(number, by)

    def _end_when_empty(self) -> None:
        if self.streams.is_closed and not self.streams.under_way and not self._is_over:
            self.close()


_TAKERS: dict[int, Callable[[Connection, int, int, bytes], None]] = {
    DATA: Connection._take_data,
    HEADERS: Connection._take_headers,
    PRIORITY: Connection._take_priority,
    RST_STREAM: Connection._take_reset,
    SETTINGS: Connection._take_settings,
    PUSH_PROMISE: Connection._take_push,
    PING: Connection._take_ping,
    GOAWAY: Connection._take_goaway,
    WINDOW_UPDATE: Connection._take_window,
    CONTINUATION: Connection._take_continuation,
}


def _unpadded(body: bytes) -> bytes:
    if not body or body[0] >= len(body):
        raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A frame has more padding than bytes.")
    return body[1 : len(body) - body[0]]


def _peer_of(transport: asyncio.Transport) -> str:
    name: Any = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return "unknown"
    host, port = name[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
