"""``thin_serve serve …``: ``perdure`` with ``thin_http2`` in the place of grpcio's server. For measurements only."""

import asyncio
from typing import Any

from benchmarks.portable.thin_http2 import Connection, Handler
from perdure.cli.main import main
from perdure.formats.protobuf.service import SERVICE
from perdure.grpc_api.server import GrpcServer
from perdure.host import serving


class ThinServer(GrpcServer):
    """The same doors on another transport, without TLS."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._handlers: dict[str, Handler] = {}
        self._at: list[tuple[str, int]] = []
        self._servers: list[asyncio.Server] = []

    def mount(self, handlers: Any, service: str = SERVICE) -> None:
        """Answer these calls of a service."""
        for name, handler in handlers.items():
            answer = handler.unary_stream if handler.response_streaming else handler.unary_unary
            self._handlers[f"/{service}/{name}"] = Handler(answer, handler.response_streaming)

    def listen(self, host: str, port: int, tls: Any = None) -> int:
        """Take the address when it starts."""
        self._at.append((host, port))
        return port

    async def start(self) -> None:
        """Take calls from here on."""
        loop = asyncio.get_running_loop()
        for host, port in self._at:
            self._servers.append(await loop.create_server(lambda: Connection(self._handlers), host, port))

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls."""
        for server in self._servers:
            server.close()


if __name__ == "__main__":
    serving.GrpcServer = ThinServer  # type: ignore[misc]
    main()
