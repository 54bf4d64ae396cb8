"""The streams of one connection: requests handed to whoever answers, answers sent, and their ends."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from perdure.grpc_api.http2.frames import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    ConnectionFailed,
    ErrorCode,
    StreamFailed,
    frame,
    reset_frame,
    window_frame,
)
from perdure.grpc_api.http2.header_blocks import HeaderBlocks
from perdure.grpc_api.http2.header_decoder import HeadersTooLarge
from perdure.grpc_api.http2.header_table import Field
from perdure.grpc_api.http2.header_writer import HeaderWriter
from perdure.grpc_api.http2.limits import Allowance, Limits, Unfinished
from perdure.grpc_api.http2.outgoing import Outgoing
from perdure.grpc_api.http2.request_rules import MalformedRequest, check_trailers
from perdure.grpc_api.http2.stream import Exchange, Stream


class Answers(Protocol):
    """Who answers a connection's requests."""

    def read_head(self, fields: list[Field]) -> Any:
        """A request's headers, read. Raises MalformedRequest."""
        ...

    def open(self, streams: "Streams", stream: Stream, head: Any) -> Exchange | None:
        """A request has begun; None when it is answered already."""
        ...

    def refuse_headers(self, streams: "Streams", stream: Stream, text: str) -> None:
        """Answer a request whose headers are too large."""
        ...


class Streams:
    """One connection's, and the side of it that answers see. ``emptied`` is called when nothing is worked on."""

    def __init__(
        self,
        answers: Answers,
        limits: Limits,
        *,
        outgoing: Outgoing,
        control: Allowance,
        unfinished: Unfinished,
        emptied: Callable[[], None],
    ) -> None:
        self._answers = answers
        self._limits = limits
        self._outgoing = outgoing
        self._control = control
        self._unfinished = unfinished
        self._emptied = emptied
        self._resets = Allowance(
            limits.resets_at_once, limits.resets_per_second, "Too many streams are opened and taken back."
        )
        self._blocks: HeaderBlocks[Any] = HeaderBlocks(limits, answers.read_head)
        self._writer = HeaderWriter()
        self._streams: dict[int, Stream] = {}
        self._coming: dict[Stream, None] = {}
        """Those whose request has not come as a whole."""
        self._coming_bytes = 0
        self.under_way = 0
        """Requests that are worked on, also such as nobody waits for any more."""
        self.last = 0
        """The highest number that was opened."""
        self.is_closed = False
        """No more are opened."""
        self.now = time.monotonic()
        self.peer = ""

    def begin_answer(self, stream: Stream) -> None:
        """Send the answer's headers."""
        self._outgoing.put(frame(HEADERS, END_HEADERS, stream.number, self._writer.head()))

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
        if not self._outgoing.fits(stream, len(data)):
            return False
        self.begin_answer(stream)
        self._outgoing.send(stream, data)
        self._end(stream, self._writer.plain(trailers))
        return True

    def send(self, stream: Stream, data: bytes) -> bool:
        """Send a piece of the answer; False when it has to wait (``Stream.until_sent``). Nothing goes to a stream that
        has ended."""
        if stream.has_ended:
            return True
        try:
            return self._outgoing.send(stream, data)
        except StreamFailed as failed:
            self.fail(failed)
            return True

    def cancel_answer(self, stream: Stream) -> None:
        """Nothing more is sent; whoever answers is cut off."""
        if not stream.has_ended:
            self.fail(StreamFailed(stream.number, ErrorCode.CANCEL, "The server is stopping."))

    def release(self) -> None:
        """A request that was opened is not worked on any more."""
        self.under_way -= 1
        if not self.under_way:
            self._emptied()

    def take_block(self, number: int, block: bytes, *, ends_stream: bool) -> None:
        if number <= self.last:
            self._take_trailers(number, block, ends_stream=ends_stream)
            return
        self.last = number
        limits = self._limits
        stream = Stream(number, window=self._outgoing.first_window, room=limits.stream_window, now=self.now)
        try:
            head = self._blocks.request(block)
        except MalformedRequest as error:
            raise StreamFailed(number, ErrorCode.PROTOCOL_ERROR, str(error)) from None
        except HeadersTooLarge as error:
            self._streams[number] = stream
            stream.is_whole = ends_stream
            self._answers.refuse_headers(self, stream, str(error))
            return
        if self.is_closed or self.under_way >= limits.streams_max:
            raise StreamFailed(number, ErrorCode.REFUSED_STREAM, "No more streams are taken.")
        self._streams[number] = stream
        self._control.earn(limits.control_frames_per_message)
        if not ends_stream:
            self._coming[stream] = None
        self.under_way += 1
        stream.exchange = exchange = self._answers.open(self, stream, head)
        if exchange is None:
            self.release()
        elif ends_stream:
            self._give(stream, b"", is_last=True)

    def take_data(self, number: int, body: bytes, *, size: int, is_last: bool) -> None:
        """A piece of a request, which took ``size`` of the windows. Raises StreamFailed and ConnectionFailed."""
        stream = self._streams.get(number)
        if stream is None or stream.is_whole:
            self._spend_on_closed(number)
            raise StreamFailed(number, ErrorCode.STREAM_CLOSED, "The stream is closed.")
        stream.room -= size
        if stream.room < 0:
            raise StreamFailed(number, ErrorCode.FLOW_CONTROL_ERROR, "More is sent than the stream's window allows.")
        stream.taken += size
        if not body and not is_last:
            self._control.spend()
            return
        self._control.earn(self._limits.control_frames_per_message)
        self._give(stream, body, is_last=is_last)

    def take_reset(self, number: int) -> None:
        """The peer takes a request back. Raises ConnectionFailed."""
        stream = self._streams.get(number)
        if stream is None:
            self._spend_on_closed(number)
            return
        self._resets.spend()
        self._cut_off(stream)

    def widen(self, number: int, by: int) -> None:
        """The peer takes so much more of one stream. Raises StreamFailed and ConnectionFailed."""
        stream = self._streams.get(number)
        if stream is None:
            self._check_was_open(number)
        elif not by:
            raise StreamFailed(number, ErrorCode.PROTOCOL_ERROR, "A window is widened by something.")
        else:
            self._outgoing.widen_stream(stream, by)

    def set_first_window(self, window: int) -> None:
        """So much the peer takes of each new stream, and of those that are there as much more or less."""
        by = window - self._outgoing.first_window
        self._outgoing.first_window = window
        for stream in list(self._streams.values()):
            try:
                self._outgoing.widen_stream(stream, by)
            except StreamFailed as failed:
                raise ConnectionFailed(failed.code, str(failed)) from None

    def set_table(self, bytes_max: int) -> None:
        """The peer keeps a table of so many bytes for our headers."""
        self._writer.set_table(bytes_max)

    def end_standing(self) -> None:
        """End the requests whose rest does not come, and the answers that are not read."""
        limits, now = self._limits, self.now
        for stream in [stream for stream in self._coming if now - stream.heard_at > limits.unfinished_seconds]:
            self.fail(StreamFailed(stream.number, ErrorCode.CANCEL, "The rest of a request does not come."))
        for stream in self._outgoing.stalled(now - limits.stalled_seconds):
            self.fail(StreamFailed(stream.number, ErrorCode.CANCEL, "The answer is not read."))

    def cut_off_all(self) -> None:
        """Nothing more can be sent on any."""
        for stream in list(self._streams.values()):
            self._cut_off(stream)

    def fail_for_peer(self, failed: StreamFailed) -> None:
        """The peer broke a rule on a stream: to make us end it costs the same as to take it back itself.

        Raises ConnectionFailed.
        """
        self._resets.spend()
        self.fail(failed)

    def fail(self, failed: StreamFailed) -> None:
        """End a stream, whatever has been sent on it."""
        self._outgoing.put(reset_frame(failed.number, failed.code))
        stream = self._streams.get(failed.number)
        if stream is not None:
            self._cut_off(stream)

    def _spend_on_closed(self, number: int) -> None:
        """A frame for a stream that is over. Raises ConnectionFailed when it never was."""
        self._control.spend()
        self._check_was_open(number)

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

    def _give(self, stream: Stream, body: bytes, *, is_last: bool) -> None:
        """The next piece of a request's body, for whoever answers it."""
        stream.received += len(body)
        if is_last:
            if stream.content_bytes not in (None, stream.received):
                raise StreamFailed(stream.number, ErrorCode.PROTOCOL_ERROR, "The request's length is not the one told.")
            self._came(stream)
        else:
            stream.heard_at = self.now
            self._count_coming(stream, len(body))
            if stream.taken * 2 > self._limits.stream_window:
                stream.room += stream.taken
                self._outgoing.put(window_frame(stream.number, stream.taken))
                stream.taken = 0
        if stream.exchange is not None:
            stream.exchange.take(body, is_last=is_last)

    def _count_coming(self, stream: Stream, size: int) -> None:
        unfinished, limits = self._unfinished, self._limits
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
        self._unfinished.bytes -= stream.coming_bytes
        stream.coming_bytes = 0

    def _end(self, stream: Stream, block: bytes) -> None:
        """The answer is complete."""
        number = stream.number
        self._outgoing.put(frame(HEADERS, END_HEADERS | END_STREAM, number, block))
        if not stream.is_whole:
            # The rest of the request is of no use.
            self._outgoing.put(reset_frame(number, ErrorCode.NO_ERROR))
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        stream.has_ended = True
        del self._streams[stream.number]
        if stream.unsent:
            self._outgoing.drop(stream)
        if not stream.is_whole:
            self._came(stream)

    def _cut_off(self, stream: Stream) -> None:
        """Nothing more can be sent on it."""
        self._forget(stream)
        if stream.exchange is not None:
            stream.exchange.cut_off()

    def _check_was_open(self, number: int) -> None:
        if number > self.last or not number & 1:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, f"Stream {number} has not begun.")
