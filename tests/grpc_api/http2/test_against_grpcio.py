"""The same calls to grpcio's server and to ours: the same statuses, texts, trailers and answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from benchmarks.portable.grpcio_server import GrpcioServer

from perdure.grpc_api.codes import Code
from perdure.grpc_api.server import GrpcServer
from perdure.grpc_api.server_calls import Handler
from support.http2_peer import MESSAGE_BYTES_MAX, SERVICE, Calls, within

TEXTS = ["", "plain", "100% of it", "a\nb\tc", "é☃\U0001f600", " spaces ", "x" * 2_000, "%41", "\x7f\0"]


async def _abort(request: bytes, call: Any) -> bytes:
    code, _, text = request.decode().partition(":")
    await call.abort(Code(int(code)), text)
    raise AssertionError


async def _abort_later(request: bytes, call: Any) -> None:
    await call.write(b"one")
    await call.write(b"")
    await _abort(request, call)


async def _tell(request: bytes, call: Any) -> bytes:
    pairs = [pair for pair in call.invocation_metadata() if not pair[0].startswith("user-agent")]
    return repr((sorted(pairs), call.texts.get("a"))).encode()


@asynccontextmanager
async def _channel(make: Callable[..., GrpcServer]) -> AsyncIterator[grpc.aio.Channel]:
    calls = Calls()
    server = make(MESSAGE_BYTES_MAX)
    server.mount(
        {
            **calls.handlers(),
            "Abort": Handler(_abort),
            "AbortLater": Handler(_abort_later, streams=True),
            "Tell": Handler(_tell),
        },
        SERVICE,
    )
    port = server.listen("127.0.0.1", 0)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)


async def _outcome(call: Any) -> tuple[Any, ...]:
    """Answer or answers, status, text, trailers."""
    answers: list[bytes] = []
    try:
        if hasattr(call, "__aiter__"):
            async for answer in call:
                answers.append(answer)
        else:
            answers.append(await call)
    except grpc.aio.AioRpcError:
        pass
    trailers = [pair for pair in await call.trailing_metadata() or ()]
    return answers, await call.code(), await call.details(), trailers


def _both(ask: Callable[[grpc.aio.Channel], Any]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []

    async def scenario() -> None:
        for make in (GrpcioServer, GrpcServer):
            async with _channel(make) as channel:
                found.append(await _outcome(ask(channel)))

    within(scenario())
    return found


def _unary(name: str, request: bytes = b"", **options: Any) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: channel.unary_unary(f"/{SERVICE}/{name}")(request, **options)


def _stream(name: str, request: bytes = b"", **options: Any) -> Callable[[grpc.aio.Channel], Any]:
    return lambda channel: channel.unary_stream(f"/{SERVICE}/{name}")(request, **options)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.UNAVAILABLE])
def test_a_status_and_its_text(text: str, code: Code) -> None:
    theirs, ours = _both(_unary("Abort", f"{code.value}:{text}".encode()))
    assert ours == theirs
    theirs, ours = _both(_stream("AbortLater", f"{code.value}:{text}".encode()))
    assert ours == theirs


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_each_status(code: Code) -> None:
    theirs, ours = _both(_unary("Abort", f"{code.value}:because".encode()))
    assert ours == theirs
    assert ours[1].name == code.name


@pytest.mark.parametrize(
    "ask",
    [
        _unary("Echo", b""),
        _unary("Echo", b"x" * MESSAGE_BYTES_MAX),
        _unary("Echo", b"x" * 5_000, compression=grpc.Compression.Gzip),
        _unary("Echo", b"x" * 5_000, compression=grpc.Compression.Deflate),
        _unary("Large", b"3000000"),
        _stream("Many", b"0"),
        _stream("Many", b"250001"),
        _unary("Tell", metadata=(("a", "1"), ("a", "2"), ("b-bin", b"\0\xff\x80"), ("c", "x y"), ("d", ""))),
        _unary("Tell", metadata=(("authorization", "Bearer "), ("taskhub", "x  y"))),
        _unary("Tell", timeout=30),
    ],
    ids=["empty", "largest", "gzip", "deflate", "large", "none", "many", "metadata", "texts", "deadline"],
)
def test_answers(ask: Callable[[grpc.aio.Channel], Any]) -> None:
    theirs, ours = _both(ask)
    assert ours == theirs
    assert ours[1] is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (_unary("None"), grpc.StatusCode.UNIMPLEMENTED),
        (lambda channel: channel.unary_unary("/other.Service/Echo")(b""), grpc.StatusCode.UNIMPLEMENTED),
        (_unary("Echo", b"x" * (MESSAGE_BYTES_MAX + 1)), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (_unary("Echo", b"x" * 3_000_000), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (_unary("Echo", b"x" * 300_000, compression=grpc.Compression.Gzip), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (_unary("Stay", timeout=0.05), grpc.StatusCode.DEADLINE_EXCEEDED),
        (_stream("Many", b"100000000", timeout=0.05), grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
    ids=["method", "service", "too-large", "far-too-large", "too-large-inside", "late", "late-stream"],
)
def test_what_is_not_answered(ask: Callable[[grpc.aio.Channel], Any], code: grpc.StatusCode) -> None:
    theirs, ours = _both(ask)
    assert (theirs[1], ours[1]) == (code, code)


def test_a_caller_that_cancels_cancels_what_is_done() -> None:
    async def scenario() -> None:
        for make in (GrpcioServer, GrpcServer):
            calls = Calls()
            server = make(MESSAGE_BYTES_MAX)
            server.mount(calls.handlers(), SERVICE)
            port = server.listen("127.0.0.1", 0)
            await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.unary_unary(f"/{SERVICE}/Stay")(b"")
                waiting = asyncio.ensure_future(_outcome(call))
                await calls.until(lambda calls: calls.begun == 1)
                call.cancel()
                await calls.until(lambda calls: calls.cancelled == 1)
                await asyncio.gather(waiting, return_exceptions=True)
            await server.stop(0)

    within(scenario())
