"""A call under way on one stream: its request taken in, answered in a task of its own, ended with a status."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from perdure.grpc_api.call_heads import CallHead, Metadata, read_call_head
from perdure.grpc_api.call_messages import (
    PREFIX_BYTES,
    BadMessage,
    check_size,
    check_whole,
    decompressed,
    framed,
    told_bytes,
)
from perdure.grpc_api.codes import Code
from perdure.grpc_api.http2.header_table import Field
from perdure.grpc_api.http2.header_writer import literal
from perdure.grpc_api.http2.stream import Exchange, Stream
from perdure.grpc_api.http2.streams import Streams

_log = logging.getLogger("perdure.grpc_api")
_GOOD_END = literal(b"grpc-status", b"0")
_SECONDS_MAX = 10 * 365 * 86400.0
"""Deadlines further away are none."""


class CallEnded(Exception):
    """A call was ended with a status."""


@dataclass(frozen=True, slots=True)
class Handler:
    """What answers a call: ``answer`` takes the request and the call. It returns the answer, or ``streams``: it gives
    any number of them to ``ServerCall.write``."""

    answer: Callable[[bytes, Any], Awaitable[Any]]
    streams: bool = False


class CallAnswers:
    """Answers the calls of all connections (``http2.streams.Answers``)."""

    def __init__(self, receive_bytes_max: int) -> None:
        self.receive_bytes_max = receive_bytes_max
        self.handlers: dict[str, Handler] = {}
        """By path."""
        self.under_way: set[ServerCall] = set()
        """Calls that have a task."""

    def read_head(self, fields: list[Field]) -> CallHead:
        return read_call_head(fields)

    def open(self, streams: Streams, stream: Stream, head: CallHead) -> Exchange | None:
        if head.plain_answer is not None:
            streams.end_plainly(stream, head.plain_answer)
            return None
        handler = self.handlers.get(head.path)
        problem = head.problem
        if handler is None:
            problem = Code.UNIMPLEMENTED, f"There is no call {head.path} here."
        if problem is not None or handler is None:
            assert problem is not None
            streams.end_answer(stream, status_block(*problem), begun=False)
            return None
        stream.content_bytes = head.content_bytes
        return ServerCall(self, streams, stream, head, handler)

    def refuse_headers(self, streams: Streams, stream: Stream, text: str) -> None:
        streams.end_answer(stream, status_block(Code.RESOURCE_EXHAUSTED, text), begun=False)


class ServerCall:
    """One call, also what its handler sees of it."""

    __slots__ = (
        "_answers",
        "_body",
        "_ends_at",
        "_handler",
        "_has_begun",
        "_head",
        "_is_released",
        "_stream",
        "_streams",
        "_task",
        "_timer",
    )  # fmt: skip

    def __init__(
        self, answers: CallAnswers, streams: Streams, stream: Stream, head: CallHead, handler: Handler
    ) -> None:
        self._answers = answers
        self._streams = streams
        self._stream = stream
        self._head = head
        self._handler = handler
        self._body: bytes | bytearray = b""
        self._has_begun = False
        self._is_released = False
        self._task: asyncio.Task[None] | None = None
        self._ends_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        seconds = head.seconds
        if seconds is not None and seconds < _SECONDS_MAX:
            self._ends_at = time.monotonic() + seconds
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    @property
    def texts(self) -> Mapping[str, str]:
        """The call's text headers; the first of a name counts."""
        return self._head.texts

    def invocation_metadata(self) -> Metadata:
        """All headers that the caller gave: texts, and bytes where the name ends with ``-bin``."""
        return self._head.metadata

    def peer(self) -> str:
        """The caller's streams."""
        return self._streams.peer

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None without one."""
        return None if self._ends_at is None else max(self._ends_at - time.monotonic(), 0.0)

    async def abort(self, code: Code, text: str = "") -> NoReturn:
        """End the call with a status. Raises CallEnded."""
        self._end(status_block(code, text))
        raise CallEnded(text)

    async def write(self, message: bytes) -> None:
        """Send one message; waits while the caller does not read."""
        stream, streams = self._stream, self._streams
        if not self._has_begun and not stream.has_ended:
            self._has_begun = True
            streams.begin_answer(stream)
        if not streams.send(stream, framed(message)):
            await stream.until_sent()

    def take(self, piece: bytes, *, is_last: bool) -> None:
        """See ``Exchange``."""
        try:
            body = self._joined(piece, is_last=is_last)
            size = told_bytes(body)
            if size is not None:
                check_size(size, self._answers.receive_bytes_max)
            is_over = is_last or (size is not None and len(body) > PREFIX_BYTES + size)
            is_compressed = is_over and check_whole(body)
        except BadMessage as bad:
            self._end(status_block(bad.code, str(bad)))
            self._release()
            return
        if is_last:
            message = bytes(memoryview(body)[PREFIX_BYTES:])
            self._answers.under_way.add(self)
            serving = self._serve_compressed(message) if is_compressed else self._serve(message)
            self._task = asyncio.get_running_loop().create_task(serving)

    def cut_off(self) -> None:
        """See ``Exchange``."""
        if self._task is None:
            self._release()
        else:
            self._task.cancel()
            # One that has not begun does not end either.
            self._task.add_done_callback(lambda _: self._release())

    def cancel(self) -> None:
        """The server waits no more for its end."""
        self._streams.cancel_answer(self._stream)

    async def finished(self) -> None:
        """Wait until nothing is done for it any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _joined(self, piece: bytes, *, is_last: bool) -> bytes | bytearray:
        body = self._body
        if isinstance(body, bytearray):
            body += piece
        elif is_last:
            return piece
        else:
            body = self._body = bytearray(piece)
        return body

    async def _serve_compressed(self, message: bytes) -> None:
        try:
            message = await decompressed(message, self._head.encoding, self._answers.receive_bytes_max)
        except BadMessage as bad:
            self._end(status_block(bad.code, str(bad)))
            self._release()
            return
        except BaseException:
            self._release()
            raise
        await self._serve(message)

    async def _serve(self, message: bytes) -> None:
        try:
            answer = await self._handler.answer(message, self)
            if not self._handler.streams:
                if self._streams.answer_at_once(self._stream, framed(answer), _GOOD_END):
                    return
                await self.write(answer)
            self._end(_GOOD_END)
        except CallEnded:
            pass
        except Exception:
            _log.exception("The call %s failed unexpectedly.", self._head.path)
            self._end(status_block(Code.INTERNAL, "The server failed unexpectedly; its log tells more."))
        finally:
            self._release()

    def _end(self, trailers: bytes) -> None:
        self._streams.end_answer(self._stream, trailers, begun=self._has_begun)

    def _expire(self) -> None:
        # Loops whose time can be set forward call too early.
        left = self.time_remaining()
        assert left is not None
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._expire)
            return
        self._end(status_block(Code.DEADLINE_EXCEEDED, "The caller's deadline has passed."))
        self.cut_off()

    def _release(self) -> None:
        if self._is_released:
            return
        self._is_released = True
        if self._timer is not None:
            self._timer.cancel()
        self._answers.under_way.discard(self)
        self._streams.release()


def status_block(code: Code, text: str) -> bytes:
    """The headers that end a call."""
    told = text.encode("utf-8", "replace")
    if not told.isascii() or not text.isprintable() or b"%" in told:
        told = b"".join(b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in told)
    status = literal(b"grpc-status", b"%d" % code)
    return status + literal(b"grpc-message", told) if text else status
