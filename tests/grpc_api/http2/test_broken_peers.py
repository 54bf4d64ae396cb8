"""Peers that break a rule of HTTP/2: each loses its stream or its connection, with the code the standard names."""

import pytest

from perdure.grpc_api.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ErrorCode,
    frame,
)
from support.http2_peer import peer_of, served, within

E = ErrorCode
GREETING = PREFACE + frame(SETTINGS, 0, 0, b"")
HEADER_BLOCK = b"\x83\x86\x44\x02/x\x0f\x10\x10application/grpc"
OPEN = frame(HEADERS, END_HEADERS, 1, HEADER_BLOCK)


def setting(number: int, value: int) -> bytes:
    return number.to_bytes(2, "big") + value.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", E.PROTOCOL_ERROR),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", E.PROTOCOL_ERROR),
        (PREFACE + frame(PING, 0, 0, b"x" * 8), E.PROTOCOL_ERROR),
        (PREFACE + frame(SETTINGS, 1, 0, b""), E.FRAME_SIZE_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0, b"x" * 5), E.FRAME_SIZE_ERROR),
        (PREFACE + frame(SETTINGS, 0, 1, b""), E.PROTOCOL_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0, setting(2, 2)), E.PROTOCOL_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0, setting(4, 1 << 31)), E.FLOW_CONTROL_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0, setting(5, 16_383)), E.PROTOCOL_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0, setting(5, 1 << 24)), E.PROTOCOL_ERROR),
        (PREFACE + frame(SETTINGS, 0, 0, setting(99, 1) * 65), E.ENHANCE_YOUR_CALM),
        (GREETING + frame(SETTINGS, 1, 0, b"x" * 6), E.FRAME_SIZE_ERROR),
        (GREETING + frame(PING, 0, 0, b"x" * 7), E.FRAME_SIZE_ERROR),
        (GREETING + frame(PING, 0, 1, b"x" * 8), E.PROTOCOL_ERROR),
        (GREETING + frame(DATA, 0, 0, b"x"), E.PROTOCOL_ERROR),
        (GREETING + frame(DATA, 0, 1, b"x"), E.PROTOCOL_ERROR),
        (GREETING + frame(HEADERS, END_HEADERS, 2, HEADER_BLOCK), E.PROTOCOL_ERROR),
        (GREETING + frame(HEADERS, END_HEADERS, 0, HEADER_BLOCK), E.PROTOCOL_ERROR),
        (GREETING + frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05abc"), E.PROTOCOL_ERROR),
        (GREETING + frame(HEADERS, END_HEADERS | PADDED, 1, b""), E.PROTOCOL_ERROR),
        (GREETING + frame(HEADERS, END_HEADERS | HAS_PRIORITY, 1, b"abc"), E.FRAME_SIZE_ERROR),
        (GREETING + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"), E.COMPRESSION_ERROR),
        (GREETING + frame(CONTINUATION, END_HEADERS, 1, HEADER_BLOCK), E.PROTOCOL_ERROR),
        (GREETING + frame(HEADERS, 0, 1, b"") + frame(PING, 0, 0, b"x" * 8), E.PROTOCOL_ERROR),
        (GREETING + frame(HEADERS, 0, 1, b"") + frame(CONTINUATION, 4, 3, b""), E.PROTOCOL_ERROR),
        (GREETING + OPEN + frame(DATA, PADDED, 1, b"\x02x"), E.PROTOCOL_ERROR),
        (GREETING + frame(PRIORITY, 0, 0, b"x" * 5), E.PROTOCOL_ERROR),
        (GREETING + frame(RST_STREAM, 0, 1, b"\0\0\0\x08"), E.PROTOCOL_ERROR),
        (GREETING + OPEN + frame(RST_STREAM, 0, 1, b"\0\0\x08"), E.FRAME_SIZE_ERROR),
        (GREETING + frame(PUSH_PROMISE, 4, 1, b"\0\0\0\x02"), E.PROTOCOL_ERROR),
        (GREETING + frame(GOAWAY, 0, 1, b"\0" * 8), E.PROTOCOL_ERROR),
        (GREETING + frame(GOAWAY, 0, 0, b"\0" * 7), E.PROTOCOL_ERROR),
        (GREETING + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0"), E.FRAME_SIZE_ERROR),
        (GREETING + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"), E.PROTOCOL_ERROR),
        (GREETING + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), E.FLOW_CONTROL_ERROR),
        (GREETING + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01"), E.PROTOCOL_ERROR),
        (GREETING + frame(DATA, 0, 1, b"x" * 65_537), E.FRAME_SIZE_ERROR),
        (GREETING + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", E.FRAME_SIZE_ERROR),
    ],
)
def test_the_connection_ends(sent: bytes, code: ErrorCode) -> None:
    async def scenario() -> None:
        async with served() as server:
            async with peer_of(server.port, greets=False) as peer:
                peer.send(sent)
                assert await peer.ending() is code
            async with peer_of(server.port) as other:
                assert await other.is_answered()

    within(scenario())


@pytest.mark.parametrize(
    "fields",
    [
        [("Upper", "x")],
        [("", "x")],
        [("a b", "x")],
        [("x\0", "x")],
        [(":path", "/again")],
        [(":odd", "x")],
        [("connection", "close")],
        [("transfer-encoding", "chunked")],
        [("upgrade", "h2c")],
        [("x", "a\r\nb: c")],
        [("x", "a\0")],
        [("te", "gzip")],
        [("content-length", "x")],
        [("content-length", "-1")],
    ],
)
def test_a_request_with_such_headers_is_none(fields: list[tuple[str, str]]) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            assert (await peer.answer(peer.ask("Echo", b"", *fields))).reset is E.PROTOCOL_ERROR
            assert await peer.is_answered()

    within(scenario())


@pytest.mark.parametrize("missing", ["_method", "_scheme", "_path"])
def test_a_request_names_what_it_wants(missing: str) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            assert (await peer.answer(peer.open(peer.block(**{missing: None})))).reset is E.PROTOCOL_ERROR
            assert (await peer.answer(peer.ask("Echo", _path="Echo"))).reset is E.PROTOCOL_ERROR
            assert await peer.is_answered()

    within(scenario())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ((WINDOW_UPDATE, 0, b"\0\0\0\0"), E.PROTOCOL_ERROR),
        ((WINDOW_UPDATE, 0, b"\x7f\xff\xff\xff"), E.FLOW_CONTROL_ERROR),
        ((PRIORITY, 0, b"x" * 4), E.FRAME_SIZE_ERROR),
        ((DATA, 0, b"x"), E.STREAM_CLOSED),
        ((HEADERS, END_HEADERS | END_STREAM, b""), E.STREAM_CLOSED),
    ],
)
def test_one_stream_ends_and_the_others_go_on(sent: tuple[int, int, bytes], code: ErrorCode) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            stream = peer.ask("Stay")
            assert await peer.is_answered()
            peer.send(frame(sent[0], sent[1], stream, sent[2]))
            assert (await peer.answer(stream)).reset is code
            assert await peer.is_answered()
            assert server.calls.begun == server.calls.cancelled == 1

    within(scenario())


@pytest.mark.parametrize(
    ("told", "flags", "trailers", "code"),
    [
        ("7", END_HEADERS | END_STREAM, [], None),
        ("6", END_HEADERS | END_STREAM, [], E.PROTOCOL_ERROR),
        (None, END_HEADERS, [], E.PROTOCOL_ERROR),
        (None, END_HEADERS | END_STREAM, [("x", "y")], None),
        (None, END_HEADERS | END_STREAM, [("X", "y")], E.PROTOCOL_ERROR),
        (None, END_HEADERS | END_STREAM, [(":path", "/")], E.PROTOCOL_ERROR),
    ],
)
def test_a_request_may_end_with_trailers(
    told: str | None, flags: int, trailers: list[tuple[str, str]], code: ErrorCode | None
) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            stream = peer.open(peer.block(_path="/test.Service/Echo", content_length=told))
            peer.send(frame(DATA, 0, stream, b"\0\0\0\0\x02ab"))
            peer.send(frame(HEADERS, flags, stream, peer.encode(trailers)))
            answer = await peer.answer(stream)
            assert (answer.reset, answer.status) == (code, 0 if code is None else None)
            assert await peer.is_answered()

    within(scenario())


def test_more_than_the_windows_allow_is_not_taken() -> None:
    async def scenario() -> None:
        async with served(stream_window=65_535, connection_window=100_000) as server:
            async with peer_of(server.port) as peer:
                stream = peer.open(peer.block(_path="/test.Service/Echo"))
                peer.send(frame(DATA, 0, stream, b"\0\0\1\0\0" + b"x" * 30_000), frame(DATA, 0, stream, b"x" * 40_000))
                assert (await peer.answer(stream)).reset is E.FLOW_CONTROL_ERROR
            async with peer_of(server.port) as peer:
                for size in (49_000, 65_000):
                    stream = peer.open(peer.block(_path="/test.Service/Echo"))
                    peer.send(frame(DATA, 0, stream, b"\0\0\1\0\0" + b"x" * size))
                assert await peer.ending() is E.FLOW_CONTROL_ERROR

    within(scenario())


def test_frames_that_are_unknown_or_say_nothing_to_us_are_passed_over() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            peer.send(
                frame(200, 255, 0, b"abc"),
                frame(200, 255, 77, b"abc"),
                frame(PRIORITY, 0, 5, b"\0\0\0\x05x"),
                frame(GOAWAY, 0, 0, b"\0" * 8),
                frame(SETTINGS, 0, 0, setting(99, 7)),
                frame(SETTINGS, 1, 0, b""),
                frame(PING, 1, 0, b"x" * 8),
            )
            assert await peer.is_answered()
            stream = peer.ask("Echo")
            await peer.answer(stream)
            peer.send(frame(RST_STREAM, 0, stream, b"\0\0\0\x08"), frame(WINDOW_UPDATE, 0, stream, b"\0\0\0\x01"))
            peer.send(frame(PRIORITY, 0, stream, b"\0\0\0\x05x"))
            assert await peer.is_answered()

    within(scenario())


def test_a_request_in_many_pieces_with_padding_and_priority_is_read() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            block = peer.block(_path="/test.Service/Echo")
            sent = (
                frame(HEADERS, PADDED | HAS_PRIORITY, 1, b"\x03" + b"\0\0\0\0\x10" + block[:5] + b"\0\0\0")
                + frame(CONTINUATION, 0, 1, block[5:6])
                + frame(CONTINUATION, 0, 1, b"")
                + frame(CONTINUATION, END_HEADERS, 1, block[6:])
                + frame(DATA, PADDED, 1, b"\x02\0\0\0" + b"\0\0")
                + frame(DATA, 0, 1, b"\0\x03a")
                + frame(DATA, PADDED | END_STREAM, 1, b"\x00bc")
            )
            for at in range(0, len(sent), 7):
                peer.send(sent[at : at + 7])
                await peer.drain()
            answer = await peer.answer(1)
            assert (answer.body, answer.status) == (b"\0\0\0\0\x03abc", 0)

    within(scenario())
