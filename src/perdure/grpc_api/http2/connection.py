"""One peer's connection: its frames checked, and given to the streams they are of.

Whatever a peer sends ends with an answer, with the end of a stream or with that of this connection; the server goes on.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

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
    reset_frame,
    settings_frame,
    window_frame,
)
from perdure.grpc_api.http2.header_blocks import BlockInPieces, HeaderBlocks
from perdure.grpc_api.http2.header_decoder import HeadersTooLarge
from perdure.grpc_api.http2.header_table import Field
from perdure.grpc_api.http2.header_writer import HeaderWriter
from perdure.grpc_api.http2.limits import Allowance, Limits, Unfinished
from perdure.grpc_api.http2.outgoing import Outgoing
from perdure.grpc_api.http2.peer_settings import read_settings
from perdure.grpc_api.http2.request_rules import MalformedRequest, check_trailers
from perdure.grpc_api.http2.stream import Exchange, Stream

_log = logging.getLogger("perdure.grpc_api")
_PING_BYTES = 8
_PRIORITY_BYTES = 5
_ALIVE_PING = b"alive?\0\0"
_LAST_PING = b"last?\0\0\0"


class Answers(Protocol):
    """Who answers a connection's requests."""

    def read_head(self, fields: list[Field]) -> Any:
        """A request's headers, read. Raises MalformedRequest."""
        ...

    def open(self, connection: "Connection", stream: Stream, head: Any) -> Exchange | None:
        """A request has begun; None when it is answered already."""
        ...

    def refuse_headers(self, connection: "Connection", stream: Stream, text: str) -> None:
        """Answer a request whose headers are too large."""
        ...


class Shared:
    """What a server's connections have together."""

    def __init__(self, answers: Answers, limits: Limits) -> None:
        self.answers = answers
        self.limits = limits
        self.unfinished = Unfinished()
        self.connections: set[Connection] = set()
        self.gone = asyncio.Event()
        """Set when a connection has ended."""


class Connection(asyncio.Protocol):
    """Reads and answers one peer."""

    def __init__(self, shared: Shared) -> None:
        limits = shared.limits
        self._shared = shared
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(limits.frame_bytes_max)
        self._blocks: HeaderBlocks[Any] = HeaderBlocks(limits, shared.answers.read_head)
        self._writer = HeaderWriter()
        self._control = Allowance(
            limits.control_frames_at_once, limits.control_frames_per_second, "Too many frames that carry nothing."
        )
        self._resets = Allowance(
            limits.resets_at_once, limits.resets_per_second, "Too many streams are opened and taken back."
        )
        self.outgoing = Outgoing(limits, self._control)
        self._streams: dict[int, Stream] = {}
        self._coming: dict[Stream, None] = {}
        """Streams whose request has not come as a whole."""
        self._coming_bytes = 0
        self._under_way = 0
        """Requests that are worked on, also such as nobody waits for any more."""
        self._block: BlockInPieces | None = None
        self._last = 0
        self._room = limits.connection_window
        self._taken = 0
        self._has_settings = False
        self._is_draining = self._is_draining_for_good = False
        self._is_over = False
        self._now = self._heard_at = self._whole_at = time.monotonic()
        self._is_heard = self._is_asked = False
        self.peer = ""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        shared, limits = self._shared, self._limits
        self.peer = _peer_of(transport)
        encrypted: Any = transport.get_extra_info("ssl_object")
        if len(shared.connections) >= limits.connections_max or (
            encrypted is not None and encrypted.selected_alpn_protocol() != "h2"
        ):
            self._is_over = True
            transport.abort()
            return
        shared.connections.add(self)
        self.outgoing.begin(transport)
        settings = {
            Setting.MAX_CONCURRENT_STREAMS: limits.streams_max,
            Setting.INITIAL_WINDOW_SIZE: limits.stream_window,
            Setting.MAX_FRAME_SIZE: limits.frame_bytes_max,
            Setting.MAX_HEADER_LIST_SIZE: limits.header_list_bytes_max,
        }
        self.outgoing.put(settings_frame(settings) + window_frame(0, limits.connection_window - FIRST_WINDOW))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._transport = None
        self.outgoing.end()
        for stream in list(self._streams.values()):
            self._cut_off(stream)
        self._shared.connections.discard(self)
        self._shared.gone.set()

    def pause_writing(self) -> None:
        self.outgoing.pause()

    def resume_writing(self) -> None:
        self.outgoing.resume()

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._is_heard = True
        try:
            for kind, flags, number, body in self._reader.frames(data):
                try:
                    self._take(kind, flags, number, body)
                except StreamFailed as failed:
                    self._fail_stream(failed)
                if self._is_over:
                    return
        except ConnectionFailed as failed:
            self.fail(failed)
        except Exception:
            _log.exception("A connection from %s ends: its bytes made the server fail.", self.peer)
            self.fail(ConnectionFailed(ErrorCode.INTERNAL_ERROR, "The server failed."))
        if not self._reader.is_inside and self._block is None:
            self._whole_at = self._now

    def begin_answer(self, stream: Stream) -> None:
        """Send the answer's headers."""
        self.outgoing.put(frame(HEADERS, END_HEADERS, stream.number, self._writer.head()))

    def end_answer(self, stream: Stream, trailers: bytes, *, begun: bool) -> None:
        """Send the answer's end; nothing is sent on the stream after it."""
        if stream.has_ended:
            return
        block = self._writer.plain(trailers) if begun else self._writer.head() + trailers
        self._end(stream, block)

    def end_plainly(self, stream: Stream, fields: bytes) -> None:
        """Answer with these headers only."""
        if not stream.has_ended:
            self._end(stream, self._writer.plain(fields))

    def answer_at_once(self, stream: Stream, data: bytes, trailers: bytes) -> bool:
        """Send headers, data and end together; False when the data would have to wait, and nothing is sent."""
        if stream.has_ended:
            return True
        if not self.outgoing.fits(stream, len(data)):
            return False
        self.begin_answer(stream)
        self.outgoing.send(stream, data)
        self._end(stream, self._writer.plain(trailers))
        return True

    def send(self, stream: Stream, data: bytes) -> bool:
        """Send a piece of the answer; False when it has to wait (``Stream.until_sent``). Nothing goes to a stream that
        has ended."""
        if stream.has_ended:
            return True
        try:
            return self.outgoing.send(stream, data)
        except StreamFailed as failed:
            self._fail_stream(failed)
            return True

    def cancel_answer(self, stream: Stream) -> None:
        """Nothing more is sent; whoever answers is cut off."""
        if not stream.has_ended:
            self._fail_stream(StreamFailed(stream.number, ErrorCode.CANCEL, "The server is stopping."))

    def release(self) -> None:
        """A request that was opened is not worked on any more."""
        self._under_way -= 1
        if self._is_draining:
            self._end_when_empty()

    def drain(self) -> None:
        """Take no more requests; the connection ends when those it has are answered. Twice-safe."""
        if self._is_over or self._is_draining:
            return
        self._is_draining = True
        # What is on its way was sent before the peer could know: it is answered until the ping comes back.
        self.outgoing.put(goaway_frame(STREAM_MAX, ErrorCode.NO_ERROR) + frame(PING, 0, 0, _LAST_PING))

    def close(self) -> None:
        """End it when what was written has left."""
        self._is_over = True
        self.outgoing.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    def look(self, now: float) -> None:
        """End what stands still, and ask a silent peer whether it lives; called now and then."""
        limits = self._limits
        self._now = now
        if self._is_over:
            # It was to close by itself once the peer had read why.
            self.abort()
            return
        if self._is_heard:
            self._is_heard, self._is_asked, self._heard_at = False, False, now
        elif now - self._heard_at >= 2 * limits.silent_seconds:
            self.abort()
            return
        elif now - self._heard_at >= limits.silent_seconds and not self._is_asked:
            self._is_asked = True
            self.outgoing.put(frame(PING, 0, 0, _ALIVE_PING))
        is_whole = not self._reader.is_inside and self._block is None and self._has_settings
        if is_whole:
            self._whole_at = now
        paused_at = self.outgoing.paused_at
        if now - self._whole_at > limits.unfinished_seconds or (
            paused_at is not None and now - paused_at > limits.stalled_seconds
        ):
            self.abort()
            return
        for stream in [stream for stream in self._coming if now - stream.heard_at > limits.unfinished_seconds]:
            self._fail_stream(StreamFailed(stream.number, ErrorCode.CANCEL, "The rest of a request does not come."))
        for stream in self.outgoing.stalled(now - limits.stalled_seconds):
            self._fail_stream(StreamFailed(stream.number, ErrorCode.CANCEL, "The answer is not read."))

    def fail(self, failed: ConnectionFailed) -> None:
        """Tell the peer what it did, and end the connection."""
        if self._is_over:
            return
        self._is_over = True
        _log.debug("A connection from %s ends: %s", self.peer, failed)
        self.outgoing.put(goaway_frame(self._last, failed.code, str(failed)))
        self.close()
        for stream in list(self._streams.values()):
            self._cut_off(stream)

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
            self.outgoing.put(window_frame(0, self._taken))
            self._taken = 0
        if flags & PADDED:
            body = _unpadded(body)
        stream = self._streams.get(number)
        if stream is None or stream.is_whole:
            self._spend_on_closed(number)
            raise StreamFailed(number, ErrorCode.STREAM_CLOSED, "The stream is closed.")
        stream.room -= size
        if stream.room < 0:
            raise StreamFailed(number, ErrorCode.FLOW_CONTROL_ERROR, "More is sent than the stream's window allows.")
        if not body and not flags & END_STREAM:
            self._control.spend()
            return
        self._control.earn(self._limits.control_frames_per_message)
        self._give(stream, body, is_last=bool(flags & END_STREAM))

    def _give(self, stream: Stream, body: bytes, *, is_last: bool) -> None:
        """The next piece of a request's body, for whoever answers it."""
        stream.received += len(body)
        if is_last:
            if stream.content_bytes not in (None, stream.received):
                raise StreamFailed(stream.number, ErrorCode.PROTOCOL_ERROR, "The request's length is not the one told.")
            self._came(stream)
        else:
            stream.heard_at = self._now
            self._count_coming(stream, len(body))
            stream.taken += len(body)
            if stream.taken * 2 > self._limits.stream_window:
                stream.room += stream.taken
                self.outgoing.put(window_frame(stream.number, stream.taken))
                stream.taken = 0
        if stream.exchange is not None:
            stream.exchange.take(body, is_last=is_last)

    def _count_coming(self, stream: Stream, size: int) -> None:
        unfinished, limits = self._shared.unfinished, self._limits
        stream.coming_bytes += size
        self._coming_bytes += size
        unfinished.bytes += size
        if self._coming_bytes > limits.unfinished_bytes_max or unfinished.bytes > limits.all_unfinished_bytes_max:
            raise StreamFailed(stream.number, ErrorCode.ENHANCE_YOUR_CALM, "Too much of requests has no end yet.")

    def _came(self, stream: Stream) -> None:
        """Nothing more of its request comes, or counts."""
        stream.is_whole = True
        self._coming.pop(stream, None)
        self._coming_bytes -= stream.coming_bytes
        self._shared.unfinished.bytes -= stream.coming_bytes
        stream.coming_bytes = 0

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
            self._take_block(number, body, ends_stream=bool(flags & END_STREAM))
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
            self._take_block(number, block.whole(), ends_stream=block.ends_stream)

    def _take_block(self, number: int, block: bytes, *, ends_stream: bool) -> None:
        if number <= self._last:
            self._take_trailers(number, block, ends_stream=ends_stream)
            return
        self._last = number
        limits = self._limits
        stream = Stream(number, window=self.outgoing.first_window, room=limits.stream_window, now=self._now)
        try:
            head = self._blocks.request(block)
        except MalformedRequest as error:
            raise StreamFailed(number, ErrorCode.PROTOCOL_ERROR, str(error)) from None
        except HeadersTooLarge as error:
            self._streams[number] = stream
            stream.is_whole = ends_stream
            self._shared.answers.refuse_headers(self, stream, str(error))
            return
        if self._is_draining_for_good or self._under_way >= limits.streams_max:
            self._resets.spend()
            raise StreamFailed(number, ErrorCode.REFUSED_STREAM, "No more streams are taken.")
        self._streams[number] = stream
        self._control.earn(limits.control_frames_per_message)
        if not ends_stream:
            self._coming[stream] = None
        self._under_way += 1
        stream.exchange = exchange = self._shared.answers.open(self, stream, head)
        if exchange is None:
            self.release()
        elif ends_stream:
            self._give(stream, b"", is_last=True)

    def _take_trailers(self, number: int, block: bytes, *, ends_stream: bool) -> None:
        stream = self._streams.get(number)
        try:
            fields = self._blocks.fields(block)
        except HeadersTooLarge as error:
            raise StreamFailed(number, ErrorCode.ENHANCE_YOUR_CALM, str(error)) from None
        if stream is None or stream.is_whole:
            self._spend_on_closed(number)
            raise StreamFailed(number, ErrorCode.STREAM_CLOSED, "The stream is closed.")
        try:
            check_trailers(fields)
        except MalformedRequest as error:
            raise StreamFailed(number, ErrorCode.PROTOCOL_ERROR, str(error)) from None
        if not ends_stream:
            raise StreamFailed(number, ErrorCode.PROTOCOL_ERROR, "Trailers end a request.")
        self._give(stream, b"", is_last=True)

    def _take_priority(self, flags: int, number: int, body: bytes) -> None:
        self._control.spend()
        if number == 0:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A PRIORITY frame belongs to a stream.")
        if len(body) != _PRIORITY_BYTES:
            raise StreamFailed(number, ErrorCode.FRAME_SIZE_ERROR, "A PRIORITY frame has five bytes.")

    def _take_reset(self, flags: int, number: int, body: bytes) -> None:
        if len(body) != 4:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "An RST_STREAM frame has four bytes.")
        stream = self._streams.get(number)
        if stream is None:
            self._spend_on_closed(number)
            return
        self._resets.spend()
        self._cut_off(stream)

    def _take_settings(self, flags: int, number: int, body: bytes) -> None:
        self._control.spend()
        if number:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A SETTINGS frame belongs to no stream.")
        if flags & ACK:
            if body or not self._has_settings:
                raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "An acknowledgement of settings is empty.")
            return
        self._has_settings = True
        for setting, value in read_settings(body):
            if setting is Setting.INITIAL_WINDOW_SIZE:
                self._set_first_window(value)
            elif setting is Setting.MAX_FRAME_SIZE:
                self.outgoing.set_frame_bytes(value)
            elif setting is Setting.HEADER_TABLE_SIZE:
                self._writer.set_table(value)
        self.outgoing.put(SETTINGS_ACK)

    def _set_first_window(self, window: int) -> None:
        outgoing = self.outgoing
        by, outgoing.first_window = window - outgoing.first_window, window
        for stream in list(self._streams.values()):
            try:
                outgoing.widen_stream(stream, by)
            except StreamFailed as failed:
                raise ConnectionFailed(failed.code, str(failed)) from None

    def _take_push(self, flags: int, number: int, body: bytes) -> None:
        raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A client pushes nothing.")

    def _take_ping(self, flags: int, number: int, body: bytes) -> None:
        self._control.spend()
        if number:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "A PING frame belongs to no stream.")
        if len(body) != _PING_BYTES:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "A PING frame has eight bytes.")
        if not flags & ACK:
            self.outgoing.put(frame(PING, ACK, 0, body))
        elif body == _LAST_PING and self._is_draining and not self._is_draining_for_good:
            self._is_draining_for_good = True
            self.outgoing.put(goaway_frame(self._last, ErrorCode.NO_ERROR))
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
            self.outgoing.widen(by)
            return
        stream = self._streams.get(number)
        if stream is None:
            self._check_was_open(number)
        elif not by:
            raise StreamFailed(number, ErrorCode.PROTOCOL_ERROR, "A window is widened by something.")
        else:
            self.outgoing.widen_stream(stream, by)

    def _spend_on_closed(self, number: int) -> None:
        """A frame for a stream that is over. Raises ConnectionFailed when it never was."""
        self._control.spend()
        self._check_was_open(number)

    def _check_was_open(self, number: int) -> None:
        if number > self._last or not number & 1:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, f"Stream {number} has not begun.")

    def _end(self, stream: Stream, block: bytes) -> None:
        """The answer is complete."""
        number = stream.number
        self.outgoing.put(frame(HEADERS, END_HEADERS | END_STREAM, number, block))
        if not stream.is_whole:
            # The rest of the request is of no use.
            self.outgoing.put(reset_frame(number, ErrorCode.NO_ERROR))
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        stream.has_ended = True
        del self._streams[stream.number]
        if stream.unsent:
            self.outgoing.drop(stream)
        if not stream.is_whole:
            self._came(stream)

    def _cut_off(self, stream: Stream) -> None:
        """Nothing more can be sent on it."""
        self._forget(stream)
        if stream.exchange is not None:
            stream.exchange.cut_off()

    def _fail_stream(self, failed: StreamFailed) -> None:
        self.outgoing.put(reset_frame(failed.number, failed.code))
        stream = self._streams.get(failed.number)
        if stream is not None:
            self._cut_off(stream)

    def _end_when_empty(self) -> None:
        if self._is_draining_for_good and not self._under_way and not self._is_over:
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
