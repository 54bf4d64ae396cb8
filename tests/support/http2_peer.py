"""A gRPC server with a few calls and nothing behind it, and a peer that sends it whatever a test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import hpack

from perdure.grpc_api.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    ErrorCode,
    frame,
)
from perdure.grpc_api.http2.limits import Limits
from perdure.grpc_api.server import GrpcServer
from perdure.grpc_api.server_calls import Handler

SECONDS_MAX = 20
SERVICE = "test.Service"
MESSAGE_BYTES_MAX = 100_000
ASK_ALIVE = frame(PING, 0, 0, b"?" * 8)
REQUEST = {
    ":method": "POST",
    ":scheme": "http",
    ":path": f"/{SERVICE}/Echo",
    ":authority": "here",
    "te": "trailers",
    "content-type": "application/grpc",
}


@dataclass
class Calls:
    """What the server answers, and what it saw."""

    begun: int = 0
    cancelled: int = 0
    ended: int = 0
    seen: list[Any] = field(default_factory=list[Any])
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, is_so: "Callable[[Calls], bool]") -> None:
        """Wait for the counts."""
        while not is_so(self):
            self._changed.clear()
            await self._changed.wait()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.begun += 1
        self._changed.set()
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.ended += 1
            self._changed.set()

    async def echo(self, request: bytes, call: Any) -> bytes:
        """The request again."""
        return request

    async def stay(self, request: bytes, call: Any) -> bytes:
        """Until it is cancelled."""
        with self._counted():
            await asyncio.Event().wait()
        return b""

    async def linger(self, request: bytes, call: Any) -> bytes:
        """When it is cancelled it goes on until it is let go."""
        with self._counted():
            try:
                await asyncio.Event().wait()
            finally:
                await self.let_go.wait()
        return b""

    async def many(self, request: bytes, call: Any) -> None:
        """As many bytes as are asked for, in messages of a thousand and one for the rest."""
        with self._counted():
            for left in range(int(request), 0, -1_000):
                await call.write(b"x" * min(left, 1_000))

    async def large(self, request: bytes, call: Any) -> bytes:
        """As many bytes as are asked for."""
        return b"x" * int(request)

    async def fail(self, request: bytes, call: Any) -> bytes:
        """A mistake of the server's."""
        raise RuntimeError("secret")

    async def look(self, request: bytes, call: Any) -> bytes:
        """What a handler sees."""
        self.seen.append((call.invocation_metadata(), call.time_remaining(), call.peer()))
        return b""

    def handlers(self) -> dict[str, Handler]:
        """By name."""
        unary = {"Echo": self.echo, "Stay": self.stay, "Linger": self.linger, "Large": self.large, "Fail": self.fail}
        return {
            **{name: Handler(answer) for name, answer in unary.items()},
            "Look": Handler(self.look),
            "Many": Handler(self.many, streams=True),
        }


@dataclass
class Served:
    """A running server."""

    calls: Calls
    port: int
    server: GrpcServer


@asynccontextmanager
async def served(**limits: Any) -> AsyncIterator[Served]:
    """A server with these limits, and messages of 100,000 bytes."""
    calls = Calls()
    server = GrpcServer(MESSAGE_BYTES_MAX, limits=Limits(**limits))
    server.mount(calls.handlers(), SERVICE)
    port = server.listen("127.0.0.1", 0)
    await server.start()
    try:
        yield Served(calls, port, server)
    finally:
        await server.stop(0)


@dataclass(frozen=True)
class Seen:
    """One frame that the server sent."""

    kind: int
    flags: int
    stream: int
    body: bytes

    @property
    def code(self) -> ErrorCode:
        """Of what ends a stream or the connection."""
        at = 4 if self.kind == GOAWAY else 0
        return ErrorCode(int.from_bytes(self.body[at : at + 4], "big"))


@dataclass
class Answer:
    """What came back on a stream."""

    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    reset: ErrorCode | None = None
    is_whole: bool = False

    @property
    def status(self) -> int | None:
        """Of the call."""
        found = self.headers.get("grpc-status")
        return None if found is None else int(found)


class Peer:
    """One connection. It answers nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self._next = 1
        self._answers: dict[int, Answer] = {}

    def send(self, *pieces: bytes) -> None:
        """Whatever it is; nothing once the server has ended the connection."""
        if not self._reader.at_eof() and not self._writer.is_closing():
            self._writer.write(b"".join(pieces))

    def greet(self, settings: bytes = b"") -> None:
        """What a connection begins with."""
        self.send(PREFACE, frame(SETTINGS, 0, 0, settings))

    def block(self, *fields: tuple[str, str], **changed: str | None) -> bytes:
        """A header block: a request's headers, changed, and further ones. Underscores stand for ':' and '-'."""
        named = {
            name.replace("_", ":", 1) if name[0] == "_" else name.replace("_", "-"): changed[name] for name in changed
        }
        headers = {**REQUEST, **named}
        return self._encoder.encode([*((k, v) for k, v in headers.items() if v is not None), *fields])

    def encode(self, fields: list[tuple[str, str]]) -> bytes:
        """A header block of these."""
        return self._encoder.encode(fields)

    def open(self, block: bytes, flags: int = END_HEADERS) -> int:
        """Begin a request; its stream."""
        stream, self._next = self._next, self._next + 2
        self.send(frame(HEADERS, flags, stream, block))
        return stream

    def ask(self, call: str, message: bytes = b"", *fields: tuple[str, str], **changed: str | None) -> int:
        """Send a whole request; its stream."""
        stream = self.open(self.block(*fields, **{"_path": f"/{SERVICE}/{call}", **changed}))
        self.send(frame(DATA, END_STREAM, stream, framed(message)))
        return stream

    async def frame(self) -> Seen | None:
        """The next frame; None when the connection has ended."""
        try:
            head = await self._reader.readexactly(9)
            body = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        seen = Seen(head[3], head[4], int.from_bytes(head[5:], "big"), body)
        if seen.kind in (DATA, HEADERS, RST_STREAM):
            self._keep(seen)
        return seen

    async def until(self, is_found: Callable[[Seen], bool]) -> Seen:
        """The next frame of that sort."""
        while (seen := await self.frame()) is not None:
            if is_found(seen):
                return seen
        raise AssertionError("the connection ended before that")

    async def answer(self, stream: int) -> Answer:
        """All that comes back on a stream; what comes on others is kept for whoever asks for it."""
        while not (answer := self._answers.setdefault(stream, Answer())).is_whole:
            assert await self.frame() is not None, "the connection ended before that"
        return answer

    def _keep(self, seen: Seen) -> None:
        of = self._answers.setdefault(seen.stream, Answer())
        if seen.kind == HEADERS:
            of.headers |= {str(name): str(value) for name, value in self.decoder.decode(seen.body)}
        elif seen.kind == DATA:
            of.body += seen.body
        elif of.reset is None:
            of.reset = seen.code
        of.is_whole = of.is_whole or seen.kind == RST_STREAM or bool(seen.flags & END_STREAM)

    async def ending(self) -> ErrorCode | None:
        """Why the connection ends, when it does; what comes before is passed over."""
        code = None
        while (seen := await self.frame()) is not None:
            if seen.kind == GOAWAY:
                code = seen.code
        return code

    async def is_answered(self) -> bool:
        """Whether the connection goes on."""
        answer = await self.answer(self.ask("Echo", b"still here"))
        return answer.body[5:] == b"still here" and answer.status == 0

    async def drain(self) -> None:
        """Wait until what is sent has left."""
        await self._writer.drain()

    def close(self) -> None:
        """End the connection."""
        self._writer.close()

    def end_sending(self) -> None:
        """Send nothing more."""
        # The server may have ended it before.
        with suppress(OSError, RuntimeError):
            self._writer.write_eof()


@asynccontextmanager
async def peer_of(port: int, *, greets: bool = True) -> AsyncIterator[Peer]:
    """A peer of a server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    peer = Peer(reader, writer)
    if greets:
        peer.greet()
    try:
        yield peer
    finally:
        writer.close()


def framed(message: bytes, flag: int = 0) -> bytes:
    """A message as gRPC sends it."""
    return bytes((flag,)) + len(message).to_bytes(4, "big") + message


def within(
    scenario: Coroutine[Any, Any, None],
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> None:
    """Run it on a loop of its own, within its time."""

    async def limited() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await scenario

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(limited())
