"""Where the server listens, and who may speak there: addresses, TLS, and what is not HTTP/2."""

import asyncio
import socket
import ssl
from pathlib import Path

import grpc.aio
import pytest

from perdure.grpc_api.http2.frames import PREFACE, SETTINGS, frame
from perdure.grpc_api.server import GrpcServer, PortTaken
from perdure.host.certificates import OWN_FILE, tls_context
from perdure.host.options import HttpsOptions
from support.http2_peer import SERVICE, Calls, within


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


HOSTS = ["127.0.0.1", "localhost", "0.0.0.0", *(["::1", "[::1]", "::"] if _has_ipv6() else [])]


def serving(calls: Calls) -> GrpcServer:
    server = GrpcServer()
    server.mount(calls.handlers(), SERVICE)
    return server


def encrypted(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    context = tls_context(HttpsOptions(), folder=folder, names=["localhost", "127.0.0.1"])
    return context, (folder / OWN_FILE).read_bytes()


def test_over_tls_callers_speak_http2_or_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        context, pem = encrypted(tmp_path)
        server = serving(Calls())
        port = server.listen("127.0.0.1", 0, context)
        await server.start()
        credentials = grpc.ssl_channel_credentials(pem)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            assert await channel.unary_unary(f"/{SERVICE}/Echo")(b"x" * 500_000) == b"x" * 500_000
            many = channel.unary_stream(f"/{SERVICE}/Many")(b"3000000")
            assert sum([len(part) async for part in many]) == 3_000_000

        others = ssl.create_default_context(cadata=pem.decode())
        for protocols in ([], ["http/1.1"]):
            if protocols:
                others.set_alpn_protocols(protocols)
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=others)
            writer.write(PREFACE + frame(SETTINGS, 0, 0, b""))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(9)
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(PREFACE + frame(SETTINGS, 0, 0, b""))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(50)
        writer.close()
        await server.stop(0)

    within(scenario())


def test_a_caller_without_the_certificate_that_is_asked_for_is_not_let_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        context, pem = encrypted(tmp_path)
        context.load_verify_locations(tmp_path / OWN_FILE)
        context.verify_mode = ssl.CERT_REQUIRED
        server = serving(Calls())
        port = server.listen("127.0.0.1", 0, context)
        await server.start()
        without = grpc.ssl_channel_credentials(pem)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", without) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(f"/{SERVICE}/Echo")(b"", timeout=5)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        await server.stop(0)

    within(scenario())


@pytest.mark.parametrize("host", HOSTS)
def test_it_listens_where_it_is_told_to(host: str) -> None:
    async def scenario() -> None:
        calls = Calls()
        server = serving(calls)
        port = server.listen(host, 0)
        # Who comes before the start waits for it.
        address = "[::1]" if ":" in host else "127.0.0.1"
        async with grpc.aio.insecure_channel(f"{address}:{port}") as channel:
            asking = asyncio.ensure_future(channel.unary_unary(f"/{SERVICE}/Look")(b""))
            await asyncio.sleep(0)
            await server.start()
            await asking
        assert calls.seen[0][2].startswith("ipv6:[::1]:" if ":" in host else "ipv4:127.0.0.1:")
        await server.stop(0)

    within(scenario())


def test_a_port_that_is_taken_is_said_to_be() -> None:
    async def scenario() -> None:
        server, other = serving(Calls()), serving(Calls())
        port = server.listen("127.0.0.1", 0)
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}"):
            other.listen("127.0.0.1", port)
        with pytest.raises(PortTaken, match="nowhere"):
            other.listen("nowhere.invalid", 0)
        await server.start()
        await server.stop(0)
        assert other.listen("127.0.0.1", port) == port
        await other.stop(0)
        await other.stop(0)

    within(scenario())
