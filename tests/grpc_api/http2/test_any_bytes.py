"""Frames and bytes of any kind, in any order: an answer, or the end of a stream or connection, and never a failure."""

import asyncio
import logging
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.grpc_api.http2.frames import PREFACE, SETTINGS, frame
from support.http2_peer import REQUEST, SERVICE, Served, framed, peer_of, served, within

GREETING = PREFACE + frame(SETTINGS, 0, 0, b"")
CALL = b"\x83\x86\x44\x12/test.Service/Echo\x5f\x10application/grpc"
KINDS = st.one_of(st.integers(0, 10), st.integers(0, 255))
FLAGS = st.one_of(st.sampled_from([0, 1, 4, 5, 8, 13, 32, 37, 45]), st.integers(0, 255))
STREAMS = st.one_of(st.sampled_from([0, 1, 1, 3, 3, 5, 7, 2, (1 << 31) - 1, 1 << 31]), st.integers(0, 2**32 - 1))
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"",
            CALL,
            CALL,
            b"\x83\x86\xc0\xbf\xbe",
            framed(b"hello"),
            framed(b"x" * 20),
            b"\0\0\0\0",
            b"\0" * 8,
            b"\x7f\xff\xff\xff",
            b"\0\0\0\x08",
            b"\0\x04\0\0\0\0",
            b"\0\x04\x7f\xff\xff\xff",
            b"\0\x01\0\0\0\0",
            b"\0\x05\0\0\x40\0",
            b"\x02" + CALL + b"\0\0",
            b"\0\0\0\0\x10" + CALL,
            b"x" * 5_000,
        ]
    ),
)
FRAMES = st.builds(frame, KINDS, FLAGS, STREAMS, BODIES)
NewLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
FEW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def throw(server: Served, sent: bytes, cuts: list[int]) -> None:
    """Send it in pieces, and see that the server goes on."""
    async with peer_of(server.port, greets=False) as peer:
        for start, stop in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            peer.send(sent[start:stop])
            await asyncio.sleep(0)
        peer.end_sending()
        while await peer.frame() is not None:
            pass
    async with peer_of(server.port) as other:
        assert await other.is_answered()


def cuts_of(sent: bytes, places: list[int]) -> list[int]:
    return sorted({place % (len(sent) + 1) for place in places})


@pytest.mark.parametrize("new_loop", LOOPS)
@given(frames=st.lists(FRAMES, max_size=25), places=st.lists(st.integers(0, 10_000), max_size=6))
@FEW
def test_any_frames(
    caplog: pytest.LogCaptureFixture, new_loop: NewLoop, frames: list[bytes], places: list[int]
) -> None:
    sent = GREETING + b"".join(frames)

    async def scenario() -> None:
        async with served(stalled_seconds=5.0) as server:
            await throw(server, sent, cuts_of(sent, places))

    with caplog.at_level(logging.WARNING):
        within(scenario(), new_loop)
    assert not caplog.records


@pytest.mark.parametrize("new_loop", LOOPS)
@given(sent=st.binary(max_size=400), is_greeted=st.booleans(), places=st.lists(st.integers(0, 500), max_size=6))
@FEW
def test_any_bytes(
    caplog: pytest.LogCaptureFixture, new_loop: NewLoop, sent: bytes, is_greeted: bool, places: list[int]
) -> None:
    sent = (GREETING if is_greeted else b"") + sent

    async def scenario() -> None:
        async with served() as server:
            await throw(server, sent, cuts_of(sent, places))

    with caplog.at_level(logging.WARNING):
        within(scenario(), new_loop)
    assert not caplog.records


@given(
    sizes=st.lists(st.sampled_from([0, 1, 1_000, 16_379, 16_380, 70_000, 99_000]), min_size=1, max_size=6),
    window=st.sampled_from([2_000, 65_535, 1 << 20]),
    table_bytes=st.sampled_from([0, 4_096, 65_536]),
)
@settings(FEW, max_examples=25)
def test_another_implementation_as_client(sizes: list[int], window: int, table_bytes: int) -> None:
    """Calls of h2, which checks what it gets by rules of its own, with windows of any size."""

    async def scenario() -> None:
        async with served() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
            client.initiate_connection()
            client.update_settings(
                {
                    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window,
                    h2.settings.SettingCodes.HEADER_TABLE_SIZE: table_bytes,
                }
            )
            bodies = {2 * number + 1: framed(b"x" * size) for number, size in enumerate(sizes)}
            unsent, got, ended = dict(bodies), dict.fromkeys(bodies, b""), dict[int, str]()
            for stream in bodies:
                client.send_headers(stream, [*{**REQUEST, ":path": f"/{SERVICE}/Echo"}.items()])
            while len(ended) < len(bodies):
                for stream, body in list(unsent.items()):
                    while body and (
                        room := min(client.local_flow_control_window(stream), client.max_outbound_frame_size)
                    ):
                        client.send_data(stream, body[:room], end_stream=len(body) <= room)
                        body = unsent[stream] = body[room:]
                    if not body:
                        del unsent[stream]
                writer.write(client.data_to_send())
                received = await reader.read(100_000)
                assert received, "the server ended the connection"
                for event in client.receive_data(received):
                    if isinstance(event, h2.events.DataReceived):
                        assert event.stream_id
                        assert event.data is not None
                        got[event.stream_id] += event.data
                        client.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                    elif isinstance(event, h2.events.TrailersReceived):
                        assert event.stream_id
                        assert event.headers
                        ended[event.stream_id] = dict(event.headers)["grpc-status"]  # type: ignore[index, assignment]
            assert got == bodies
            assert set(ended.values()) == {"0"}
            writer.close()

    within(scenario())
