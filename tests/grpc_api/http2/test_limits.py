"""What a peer may make the server do or keep: each limit, and that nobody else notices when it is reached."""

import asyncio
import logging
from collections.abc import Callable

import grpc
import grpc.aio
import pytest

from perdure.grpc_api.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ErrorCode,
    frame,
)
from support.http2_peer import MESSAGE_BYTES_MAX, SERVICE, Peer, peer_of, served, within

CALM = ErrorCode.ENHANCE_YOUR_CALM
CANCEL = RST_STREAM, b"\0\0\0\x08"
EXHAUSTED = 8
RESOURCE = "/test.Service/Echo"
FEW = {
    "control_frames_at_once": 50,
    "control_frames_per_second": 1.0,
    "control_frames_per_message": 0,
    "resets_at_once": 20,
    "resets_per_second": 1.0,
}


def resets(peer: Peer, number: int) -> None:
    stream = peer.ask("Stay")
    peer.send(frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))


def resets_by_the_server(peer: Peer, number: int) -> None:
    stream = peer.ask("Stay")
    peer.send(frame(WINDOW_UPDATE, 0, stream, b"\0\0\0\0"))


def refused_headers(peer: Peer, number: int) -> None:
    peer.ask("Echo", b"", ("connection", "close"))


def empty_data(peer: Peer, number: int) -> None:
    if not number:
        peer.open(peer.block(_path=RESOURCE))
    peer.send(frame(DATA, 0, 1, b""))


def same(sent: bytes) -> Callable[[Peer, int], None]:
    return lambda peer, number: peer.send(sent)


@pytest.mark.parametrize(
    "flood",
    [
        same(frame(PING, 0, 0, b"x" * 8)),
        same(frame(PING, 1, 0, b"x" * 8)),
        same(frame(SETTINGS, 0, 0, b"")),
        same(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01" * 60)),
        same(frame(SETTINGS, 1, 0, b"")),
        same(frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")),
        same(frame(PRIORITY, 0, 1, b"\0\0\0\0\0")),
        same(frame(99, 0, 1, b"")),
        empty_data,
        resets,
        resets_by_the_server,
        refused_headers,
    ],
    ids=[
        "pings",
        "ping-acks",
        "settings",
        "long-settings",
        "acks",
        "windows",
        "priorities",
        "unknown",
        "empty",
        "resets",
        "bad-windows",
        "bad-heads",
    ],
)
def test_a_flood_ends_its_connection_only(flood: Callable[[Peer, int], None]) -> None:
    async def scenario() -> None:
        async with served(**FEW) as server, peer_of(server.port) as other:
            async with peer_of(server.port) as peer:
                assert await peer.is_answered()
                for number in range(80):
                    flood(peer, number)
                assert await peer.ending() is CALM
            assert await other.is_answered()
            assert server.calls.begun == server.calls.cancelled

    within(scenario())


def test_a_busy_peer_may_send_as_many_of_them_as_its_calls_need() -> None:
    async def scenario() -> None:
        async with served(**{**FEW, "control_frames_per_message": 4}) as server, peer_of(server.port) as peer:
            for _ in range(200):
                peer.send(frame(PING, 0, 0, b"x" * 8), frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01"))
                assert await peer.is_answered()

    within(scenario())


def test_what_was_spent_comes_back_with_time() -> None:
    async def scenario() -> None:
        async with served(**{**FEW, "control_frames_per_second": 1_000_000.0}) as server, peer_of(server.port) as peer:
            for _ in range(300):
                peer.send(frame(PING, 0, 0, b"x" * 8))
                await peer.until(lambda seen: seen.kind == PING)
            assert await peer.is_answered()

    within(scenario())


@pytest.mark.parametrize("size", [0, 1, 10_000])
def test_a_header_block_without_end_ends_its_connection(size: int) -> None:
    async def scenario() -> None:
        async with served() as server:
            async with peer_of(server.port) as peer:
                peer.send(frame(HEADERS, 0, 1, b""))
                for _ in range(40):
                    peer.send(frame(CONTINUATION, 0, 1, b"\x83" * size))
                assert await peer.ending() is CALM
            async with peer_of(server.port) as other:
                assert await other.is_answered()

    within(scenario())


def test_headers_that_are_too_large_are_refused_and_the_connection_goes_on() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            long = await peer.answer(peer.ask("Echo", b"", *((f"x-{number}", "y" * 4_000) for number in range(10))))
            assert (long.status, "32,768" in long.headers["grpc-message"]) == (EXHAUSTED, True)
            many = await peer.answer(peer.ask("Echo", b"", *((f"x-{number}", "y") for number in range(120))))
            assert many.status == EXHAUSTED
            bomb = peer.block(*[("long", "y" * 3_000)] * 5_000, _path=RESOURCE)
            assert len(bomb) < 20_000
            assert (await peer.answer(peer.open(bomb, END_HEADERS | END_STREAM))).status == EXHAUSTED
            assert await peer.is_answered()

    within(scenario())


def test_a_message_is_refused_when_its_size_is_known() -> None:
    async def scenario() -> None:
        async with served() as server, peer_of(server.port) as peer:
            stream = peer.open(peer.block(_path=RESOURCE))
            peer.send(frame(DATA, 0, stream, b"\0" + (MESSAGE_BYTES_MAX + 1).to_bytes(4, "big")))
            refused = await peer.answer(stream)
            assert refused.status == EXHAUSTED
            assert "larger than max (100001 vs. 100000)" in refused.headers["grpc-message"]
            # The rest of it, which was on its way, does no harm.
            peer.send(*(frame(DATA, 0, stream, b"x" * 10_000) for _ in range(10)))
            assert (await peer.answer(peer.ask("Echo", b"x" * 60_000))).status == 0
            assert await peer.is_answered()

    within(scenario())


def test_requests_without_end_have_a_limit_together() -> None:
    async def scenario() -> None:
        async with served(unfinished_bytes_max=1, all_unfinished_bytes_max=1) as server, peer_of(server.port) as other:
            # At least two of the largest messages fit a connection, and four a server.
            for _ in range(3):
                async with peer_of(server.port) as peer:
                    for number in range(1, 5):
                        stream = peer.open(peer.block(_path=RESOURCE))
                        peer.send(frame(DATA, 0, stream, b"\0\0\1\x86\xa0" + b"x" * 60_000))
                        peer.send(frame(DATA, 0, stream, b"x" * 10_000))
                        if number == 3:
                            assert (await peer.answer(stream)).reset is CALM
                            break
                        assert await peer.is_answered()
                assert await other.is_answered()

    within(scenario())


def test_streams_at_once_have_a_limit_that_a_taken_back_call_counts_for_until_it_ends() -> None:
    async def scenario() -> None:
        async with served(streams_max=3) as server, peer_of(server.port) as peer:
            streams = [peer.ask("Linger") for _ in range(3)]
            await server.calls.until(lambda calls: calls.begun == 3)
            for stream in streams:
                peer.send(frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
            assert (await peer.answer(peer.ask("Echo"))).reset is ErrorCode.REFUSED_STREAM
            server.calls.let_go.set()
            await server.calls.until(lambda calls: calls.ended == 3)
            assert await peer.is_answered()

    within(scenario())


def test_connections_have_a_limit() -> None:
    async def scenario() -> None:
        async with served(connections_max=2) as server, peer_of(server.port) as first:
            assert await first.is_answered()
            async with peer_of(server.port) as second, peer_of(server.port) as third:
                assert await second.is_answered()
                ended = await third.until(lambda seen: seen.kind == GOAWAY)
                assert ended.code is ErrorCode.ENHANCE_YOUR_CALM
                assert ended.body[8:] == b"The server has as many connections as it takes, 2."
                assert await third.ending() is None
                second.close()
                assert await second.ending() is None
            async with peer_of(server.port) as fourth:
                assert await fourth.is_answered()

    within(scenario())


def test_a_refused_caller_that_is_still_sending_is_not_reset() -> None:
    """A reset overtakes what it was told: gRPC clients then name the reset as the reason."""

    async def scenario() -> None:
        async with served(connections_max=1) as server, peer_of(server.port) as first:
            assert await first.is_answered()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(PREFACE + frame(SETTINGS, 0, 0, b""))
            assert b"as many connections as it takes" in await reader.read()
            for _ in range(3):
                writer.write(frame(PING, 0, 0, bytes(8)))
                await writer.drain()
                assert await first.is_answered()
            writer.close()
            await writer.wait_closed()

    within(scenario())


def test_connections_that_are_refused_have_a_limit_too() -> None:
    async def scenario() -> None:
        async with (
            served(connections_max=1, refused_at_once=1, unfinished_seconds=0.1) as server,
            peer_of(server.port) as first,
            peer_of(server.port, greets=False) as silent,
        ):
            await silent.until(lambda seen: seen.kind == SETTINGS)
            async with peer_of(server.port) as untold:
                assert await untold.frame() is None
            assert await silent.ending() is None, "who says nothing is not kept"
            assert await first.is_answered()

    within(scenario())


def test_callers_of_a_full_server_read_why_they_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def refusal(channel: grpc.aio.Channel) -> grpc.aio.AioRpcError:
        while True:
            try:
                await channel.unary_unary(f"/{SERVICE}/Echo")(b"?", timeout=1)
            except grpc.aio.AioRpcError as error:
                # A call that was not sent before its connection was refused waits for the next one.
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    return error

    async def scenario() -> None:
        async with served(connections_max=1) as server, peer_of(server.port) as first:
            assert await first.is_answered()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                for _ in range(2):
                    refused = await refusal(channel)
                    assert refused.code() is grpc.StatusCode.UNAVAILABLE
                    assert "as many connections as it takes, 1" in (refused.details() or "")

    within(scenario())
    [said] = [record.getMessage() for record in caplog.records if record.name == "perdure.grpc_api"]
    assert said == "gRPC connections are refused: there are as many as the server takes, 1."


@pytest.mark.parametrize(
    "sent",
    [b"", PREFACE[:5], PREFACE, PREFACE + frame(SETTINGS, 0, 0, b"") + b"\0\0\x05"],
    ids=["nothing", "half-preface", "no-settings", "half-frame"],
)
def test_a_beginning_without_end_is_closed(sent: bytes) -> None:
    async def scenario() -> None:
        async with served(unfinished_seconds=0.1) as server, peer_of(server.port, greets=False) as peer:
            peer.send(sent)
            assert await peer.ending() is None

    within(scenario())


def test_bytes_that_drip_are_closed_all_the_same() -> None:
    async def scenario() -> None:
        async with served(unfinished_seconds=0.1) as server, peer_of(server.port) as peer:
            stream = peer.open(peer.block(_path=RESOURCE))
            peer.send(b"\0\x10\0\0\0" + stream.to_bytes(4, "big"))

            async def drip() -> None:
                while True:
                    peer.send(b"x")
                    await asyncio.sleep(0.01)

            dripping = asyncio.ensure_future(drip())
            assert await peer.ending() is None
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)

    within(scenario())


def test_half_a_request_is_ended_and_the_connection_goes_on() -> None:
    async def scenario() -> None:
        async with served(unfinished_seconds=0.1) as server, peer_of(server.port) as peer:
            stream = peer.open(peer.block(_path=RESOURCE))
            peer.send(frame(DATA, 0, stream, b"\0\0\0\0\x05ab"))
            assert (await peer.answer(stream)).reset is ErrorCode.CANCEL
            assert await peer.is_answered()

    within(scenario())


def test_a_silent_peer_is_asked_and_then_given_up() -> None:
    async def scenario() -> None:
        async with served(silent_seconds=0.1) as server, peer_of(server.port) as peer:
            peer.ask("Stay")
            for _ in range(3):
                asked = await peer.until(lambda seen: seen.kind == PING)
                peer.send(frame(PING, 1, 0, asked.body))
            assert server.calls.cancelled == 0
            await peer.until(lambda seen: seen.kind == PING)
            assert await peer.ending() is None
            assert server.calls.begun == server.calls.cancelled == 1

    within(scenario())


def test_a_stream_that_is_not_read_ends_and_the_connection_goes_on() -> None:
    async def scenario() -> None:
        async with served(stalled_seconds=0.1) as server, peer_of(server.port) as peer:
            stream = peer.ask("Many", b"1000000")
            peer.send(frame(WINDOW_UPDATE, 0, 0, b"\0\x10\0\0"))
            answer = await peer.answer(stream)
            assert (len(answer.body), answer.reset) == (65_535, ErrorCode.CANCEL)
            assert server.calls.cancelled == 1
            assert await peer.is_answered()

    within(scenario())


def test_a_connection_that_is_not_read_ends() -> None:
    async def scenario() -> None:
        async with served(stalled_seconds=0.2, silent_seconds=60.0) as server, peer_of(server.port) as peer:
            wide = b"\x7f\0\0\0"
            peer.send(frame(SETTINGS, 0, 0, b"\0\x04" + wide), frame(WINDOW_UPDATE, 0, 0, wide))
            peer.ask("Many", b"50000000")
            await server.calls.until(lambda calls: calls.cancelled == 1)

    within(scenario())


def test_answers_that_are_not_taken_have_a_limit() -> None:
    async def scenario() -> None:
        async with served(unsent_bytes_max=210_000) as server, peer_of(server.port) as peer:
            streams = [peer.ask("Large", b"90000") for _ in range(4)]
            # 65,535 bytes have left: two wait, and a third does not fit any more.
            assert (await peer.answer(streams[3])).reset is CALM
            peer.send(frame(WINDOW_UPDATE, 0, 0, b"\0\x10\0\0"))
            peer.send(*(frame(WINDOW_UPDATE, 0, stream, b"\0\x10\0\0") for stream in streams[:3]))
            for stream in streams[1:3]:
                answer = await peer.answer(stream)
                assert (len(answer.body), answer.status) == (90_005, 0)

    within(scenario())


def test_nothing_of_it_is_a_failure_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with served(**FEW) as server, peer_of(server.port) as peer:
            for number in range(100):
                resets(peer, number)
            assert await peer.ending() is CALM

    with caplog.at_level(logging.WARNING):
        within(scenario())
    assert not caplog.records
