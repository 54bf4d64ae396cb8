"""Calls on our own transport: what handlers see, how calls end, compressed messages, deadlines, big answers."""

import asyncio
import gzip
import logging
import zlib
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
import pytest

from perdure.grpc_api.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ErrorCode,
    frame,
)
from support.http2_peer import MESSAGE_BYTES_MAX, SERVICE, Peer, framed, peer_of, served, within

OK, INVALID, DEADLINE, EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 3, 4, 8, 12, 13


def compressed(peer: Peer, body: bytes, encoding: str | None, flag: int = 1) -> int:
    stream = peer.open(peer.block(_path=f"/{SERVICE}/Echo", grpc_encoding=encoding))
    peer.send(frame(DATA, END_STREAM, stream, framed(body, flag)))
    return stream


@pytest.mark.parametrize(
    ("encoding", "sent", "flag", "status"),
    [
        ("gzip", gzip.compress(b"hello", mtime=0), 1, OK),
        ("deflate", zlib.compress(b"hello"), 1, OK),
        ("gzip", b"hello", 0, OK),
        ("identity", b"hello", 0, OK),
        (None, b"hello", 0, OK),
        ("gzip", gzip.compress(b"x" * (MESSAGE_BYTES_MAX + 1), mtime=0), 1, EXHAUSTED),
        ("gzip", gzip.compress(b"x" * 50_000_000, mtime=0), 1, EXHAUSTED),
        ("snappy", b"hello", 1, UNIMPLEMENTED),
        ("identity", b"hello", 1, INTERNAL),
        (None, b"hello", 1, INTERNAL),
        (None, b"hello", 2, INTERNAL),
        ("gzip", b"hello", 1, INTERNAL),
        ("gzip", gzip.compress(b"hello", mtime=0)[:-3], 1, INTERNAL),
        ("gzip", gzip.compress(b"hello", mtime=0) + b"more", 1, INTERNAL),
        ("gzip", b"", 1, INTERNAL),
    ],
)
def test_messages_may_be_compressed(encoding: str | None, sent: bytes, flag: int, status: int) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            answer = await peer.answer(compressed(peer, sent, encoding, flag))
            assert answer.status == status
            assert answer.body == (framed(b"hello") if status == OK else b"")
            assert await peer.is_answered()

    within(scenario())


@pytest.mark.parametrize(
    "body", [b"", b"\0\0\0\0", framed(b"abc")[:-1], framed(b"abc") + b"d", framed(b"abc") + framed(b"abc")]
)
def test_a_request_is_one_message(body: bytes) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            stream = peer.open(peer.block(_path=f"/{SERVICE}/Echo"))
            peer.send(frame(DATA, END_STREAM, stream, body))
            assert (await peer.answer(stream)).status == INTERNAL
            head_only = peer.open(peer.block(_path=f"/{SERVICE}/Echo"), END_HEADERS | END_STREAM)
            assert (await peer.answer(head_only)).status == INTERNAL
            assert await peer.is_answered()

    within(scenario())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"_method": "GET"}, {":status": "405", "allow": "POST"}),
        ({"content_type": None}, {":status": "415"}),
        ({"content_type": "application/grpcweb"}, {":status": "415"}),
        ({"_path": "/test.Service/None"}, {":status": "200", "grpc-status": "12"}),
        ({"_path": "/"}, {":status": "200", "grpc-status": "12"}),
        ({"content_type": "application/grpc+proto"}, {":status": "200", "grpc-status": "0"}),
        ({"content_type": "application/grpc; charset=x"}, {":status": "200", "grpc-status": "0"}),
        ({"te": None}, {":status": "200", "grpc-status": "0"}),
        ({"_authority": None}, {":status": "200", "grpc-status": "0"}),
    ],
)
def test_what_is_no_call_of_ours_is_told_so(changed: dict[str, str | None], expected: dict[str, str]) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            answer = await peer.answer(peer.ask("Echo", b"", **changed))
            assert {name: answer.headers.get(name) for name in expected} == expected
            assert await peer.is_answered()

    within(scenario())


@pytest.mark.parametrize("timeout", ["", "5", "S", "-1S", "5s", "123456789S", "1.5S", "٣S"])
def test_a_deadline_that_is_none_is_refused(timeout: str) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            assert (await peer.answer(peer.ask("Echo", grpc_timeout=timeout))).status == INVALID

    within(scenario())


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [("99999999H", None), ("2H", 7200), ("3M", 180), ("4S", 4), ("90000m", 90), ("90000000u", 90), (None, None)],
)
def test_handlers_know_how_long_they_may_take(timeout: str | None, seconds: float | None) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            assert (await peer.answer(peer.ask("Look", grpc_timeout=timeout))).status == OK
            left = server.calls.seen[0][1]
            assert (left is None) if seconds is None else seconds - 3 < left <= seconds

    within(scenario())


@pytest.mark.parametrize("timeout", ["0S", "1n", "100m"])
def test_a_deadline_ends_the_call_and_what_it_does(timeout: str) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            assert (await peer.answer(peer.ask("Stay", grpc_timeout=timeout))).status == DEADLINE
            assert await peer.is_answered()
            assert server.calls.begun == server.calls.cancelled
            half = peer.open(peer.block(_path=f"/{SERVICE}/Stay", grpc_timeout=timeout))
            assert (await peer.answer(half)).status == DEADLINE
            assert await peer.is_answered()

    within(scenario())


def test_handlers_see_texts_and_bytes() -> None:
    async def scenario() -> None:
        async with served() as server:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                metadata = (("a", "one"), ("a", "two"), ("b-bin", b"\0\xff"), ("b-bin", b"x"), ("c", "é".encode()))
                await channel.unary_unary(f"/{SERVICE}/Look")(b"", metadata=metadata[:4])
            seen, _, at = server.calls.seen[0]
            assert [pair for pair in seen if pair[0] != "user-agent"] == list(metadata[:4])
            assert at.startswith("ipv4:127.0.0.1:")
            async with peer_of(server.port) as peer:
                assert (await peer.answer(peer.ask("Look", b"", ("b-bin", "AP8=,eA"), ("c", "é")))).status == OK
                assert server.calls.seen[1][0][-3:] == (("b-bin", b"\0\xff"), ("b-bin", b"x"), ("c", "é"))
                assert (await peer.answer(peer.ask("Look", b"", ("b-bin", "A")))).status == INVALID
                assert (await peer.answer(peer.ask("Look", b"", ("b-bin", "A$B=")))).status == INVALID

    within(scenario())


def test_a_mistake_of_a_handler_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            answer = await peer.answer(peer.ask("Fail"))
            assert answer.status == INTERNAL
            assert "secret" not in unquote(answer.headers["grpc-message"])
            assert await peer.is_answered()

    with caplog.at_level(logging.ERROR):
        within(scenario())
    assert "Fail" in caplog.text
    assert "secret" in caplog.text


def test_big_answers_go_on_as_the_windows_widen() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            sizes = [200_000, 150_000, 65_530, 65_531, 0]
            streams = [peer.ask("Large", b"%d" % size) for size in sizes]
            peer.send(frame(WINDOW_UPDATE, 0, 0, b"\0\x01\0\0") * 8)
            for _ in range(9):
                peer.send(*(frame(WINDOW_UPDATE, 0, stream, b"\0\0\x7f\xff") for stream in streams[:4]))
            for stream, size in zip(streams, sizes, strict=True):
                answer = await peer.answer(stream)
                assert (answer.body, answer.status) == (framed(b"x" * size), OK)

    within(scenario())


def test_a_window_may_shrink_below_nothing_and_come_back() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            stream = peer.ask("Large", b"100000")
            await peer.until(lambda seen: seen.kind == DATA)
            peer.send(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\0"), frame(WINDOW_UPDATE, 0, 0, b"\0\x10\0\0"))
            peer.send(frame(PING, 0, 0, b"x" * 8))
            await peer.until(lambda seen: seen.kind == PING)
            peer.send(frame(SETTINGS, 0, 0, b"\0\x04\0\x01\x86\xa5"))
            seen = await peer.frame()
            # The peer has its new window when it reads that we know of it, and not before.
            assert seen is not None
            assert (seen.kind, seen.flags) == (SETTINGS, 1)
            size = 0
            while size < 100_005 - 65_535:
                size += len((await peer.until(lambda seen: seen.kind == DATA and seen.stream == stream)).body)
            assert size == 100_005 - 65_535

    within(scenario())


def test_frames_are_as_large_as_the_peer_takes_them() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port, greets=False) as peer:
            wide = b"\x7f\0\0\0"
            peer.greet(b"\0\x04" + wide + b"\0\x05\0\0\xc0\x00")
            peer.send(frame(WINDOW_UPDATE, 0, 0, wide))
            peer.ask("Large", b"90000")
            sizes = [len((await peer.until(lambda seen: seen.kind == DATA)).body) for _ in range(2)]
            assert sizes == [0xC000, 90_005 - 0xC000]

    within(scenario())


@pytest.mark.parametrize("table_bytes", [0, 100, 4_096, 100_000])
def test_answers_suit_the_table_of_the_peer(table_bytes: int) -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port, greets=False) as peer:
            peer.greet(b"\0\x01" + table_bytes.to_bytes(4, "big"))
            peer.decoder.max_allowed_table_size = table_bytes
            for _ in range(3):
                assert await peer.is_answered()
            # A peer that makes its table smaller later is told of it, too.
            peer.send(frame(SETTINGS, 0, 0, b"\0\x01\0\0\0\0"))
            peer.decoder.max_allowed_table_size = 0
            for _ in range(3):
                assert await peer.is_answered()

    within(scenario())


def test_many_streams_of_answers_take_turns() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            peer.send(frame(SETTINGS, 0, 0, b"\0\x04\x7f\0\0\0"))
            first, second = peer.ask("Large", b"2000000"), peer.ask("Large", b"2000000")
            sizes = {first: 0, second: 0}
            while sum(sizes.values()) < 2_000_000:
                peer.send(frame(WINDOW_UPDATE, 0, 0, b"\0\0\x80\0"))
                seen = await peer.until(lambda seen: seen.kind == DATA)
                sizes[seen.stream] += len(seen.body)
            assert min(sizes.values()) > 800_000

    within(scenario())


def test_a_server_that_stops_ends_what_it_has_and_takes_no_more() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer, peer_of(server.port) as idle:
            peer.send(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x05"))
            stream = peer.ask("Echo", b"slow")
            assert await idle.is_answered()
            await peer.until(lambda seen: seen.kind == DATA)
            stopping = asyncio.ensure_future(server.server.stop(10))
            first = await peer.until(lambda seen: seen.kind == GOAWAY)
            assert (first.code, first.body[:4]) == (ErrorCode.NO_ERROR, b"\x7f\xff\xff\xff")
            asked = await peer.until(lambda seen: seen.kind == PING)
            late = peer.ask("Large", b"0")
            peer.send(frame(PING, 1, 0, asked.body))
            last = await peer.until(lambda seen: seen.kind == GOAWAY)
            assert (last.code, last.body[:4]) == (ErrorCode.NO_ERROR, late.to_bytes(4, "big"))
            refused = peer.ask("Echo")
            assert (await peer.answer(refused)).reset is ErrorCode.REFUSED_STREAM
            peer.send(frame(WINDOW_UPDATE, 0, stream, b"\0\0\1\0"))
            assert (await peer.answer(stream)).status == OK
            assert await peer.ending() is None
            idle.send(frame(PING, 1, 0, (await idle.until(lambda seen: seen.kind == PING)).body))
            assert await idle.ending() is ErrorCode.NO_ERROR
            await stopping
            with pytest.raises(OSError, match=r"[Cc]onnect"):
                await asyncio.open_connection("127.0.0.1", server.port)

    within(scenario())


def test_a_server_that_cannot_wait_cuts_calls_off() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            stream = peer.ask("Stay")
            peer.open(peer.block(_path=f"/{SERVICE}/Echo"))
            await server.calls.until(lambda calls: calls.begun == 1)
            await server.server.stop(0)
            assert server.calls.cancelled == 1
            assert (await peer.answer(stream)).reset is ErrorCode.CANCEL
            assert await peer.ending() is None
            await server.server.stop(0)

    within(scenario())


def test_a_caller_that_leaves_cancels_what_is_done_for_it() -> None:
    async def scenario() -> None:
        async with served() as server:
            async with peer_of(server.port) as peer:
                stream = peer.ask("Stay")
                await server.calls.until(lambda calls: calls.begun == 1)
                peer.send(frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
                await server.calls.until(lambda calls: calls.cancelled == 1)
                peer.ask("Stay")
                peer.ask("Many", b"10000000")
                await server.calls.until(lambda calls: calls.begun == 3)
            await server.calls.until(lambda calls: calls.cancelled == 3)

    within(scenario())


def test_both_of_grpcs_clients_are_served() -> None:
    def blocking(port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}", compression=grpc.Compression.Gzip) as channel:
            echo: Any = channel.unary_unary(f"/{SERVICE}/Echo")
            assert echo(b"x" * 90_000, timeout=5) == b"x" * 90_000
            futures = [echo.future(b"%d" % number, timeout=5) for number in range(200)]
            assert [future.result() for future in futures] == [b"%d" % number for number in range(200)]
            many: Any = channel.unary_stream(f"/{SERVICE}/Many")
            assert sum(len(part) for part in many(b"3000000", timeout=10)) == 3_000_000
            with pytest.raises(grpc.RpcError) as late:
                channel.unary_unary(f"/{SERVICE}/Stay")(b"", timeout=0.1)
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # type: ignore[attr-defined]

    async def scenario() -> None:
        async with served() as server:
            await asyncio.to_thread(blocking, server.port)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                echo = channel.unary_unary(f"/{SERVICE}/Echo")
                answers = await asyncio.gather(*(echo(b"%d" % number, timeout=10) for number in range(500)))
                assert answers == [b"%d" % number for number in range(500)]
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await echo(b"x" * (MESSAGE_BYTES_MAX + 1), timeout=5)
                assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                call = channel.unary_unary(f"/{SERVICE}/Stay")(b"")
                begun = server.calls.begun
                await server.calls.until(lambda calls: calls.begun > begun or calls.begun == 3)
                call.cancel()
                await server.calls.until(lambda calls: calls.begun == calls.ended)

    within(scenario())
