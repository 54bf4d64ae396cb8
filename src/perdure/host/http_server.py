"""The HTTP server: uvicorn with bounds on what a request's head may be and how long it may take."""

import asyncio
import socket
import ssl
import time
from email.utils import formatdate
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_BYTES_MAX = 64 * 1024
HEADER_LINES_MAX = 100
TARGET_BYTES_MAX = 8 * 1024
HEAD_SECONDS_MAX = 30.0

_REASONS = {400: "Bad Request", 408: "Request Timeout", 414: "URI Too Long", 431: "Request Header Fields Too Large"}


class _HeadRefused(Exception):
    """The request's head breaks a bound; the parser passes it up as a parse error."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. A head that is too long, too slow or not HTTP gets one short answer and the connection closes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refusal = 400
        self._head_bytes = 0
        self._header_lines = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self._head_too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self._head_too_slow)
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX + TARGET_BYTES_MAX and not self.transport.is_closing():
            # A line without an end reaches no callback; what has come in is already too much.
            self._refuse(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        now = int(time.time())
        if now != getattr(self.server_state, "dated_at", None):
            self.server_state.dated_at = now  # type: ignore[attr-defined]
            self.server_state.default_headers = [(b"date", formatdate(now, usegmt=True).encode("ascii"))]

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > TARGET_BYTES_MAX:
            self._refusal = 414
            raise _HeadRefused

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_lines += 1
        if self._header_lines > HEADER_LINES_MAX or len(name) + len(value) > HEAD_BYTES_MAX:
            self._refusal = 431
            raise _HeadRefused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = self._header_lines = 0

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal)

    def _refuse(self, status: int) -> None:
        reason = _REASONS[status]
        answer = f"HTTP/1.1 {status} {reason}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        self.transport.write(answer.encode("ascii"))
        self.transport.close()

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self._in_head and not self.transport.is_closing():
            if self._head_bytes:
                self._refuse(408)
            else:
                self.transport.close()

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class HttpServer:
    """Serves an ASGI application on a socket that is bound already. Idle, it does nothing at all."""

    def __init__(self, app: ASGIApp) -> None:
        self._config = uvicorn.Config(
            app, http=BoundedHttpProtocol, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, timeout_keep_alive=60,
        )  # fmt: skip
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, bound: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Take requests from here on; with ``tls`` encrypted ones only."""
        config, state = self._config, self._state
        config.load()
        loop = asyncio.get_running_loop()

        def connection() -> BoundedHttpProtocol:
            return BoundedHttpProtocol(config=config, server_state=state, app_state={}, _loop=loop)

        limit = None if tls is None else HEAD_SECONDS_MAX
        self._server = await loop.create_server(
            connection, sock=bound, backlog=config.backlog, ssl=tls, ssl_handshake_timeout=limit
        )

    def stop_listening(self) -> None:
        """Take no new connections; those that are idle close. Twice-safe."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._state.connections):
            connection.shutdown()

    async def finish(self, seconds: float) -> bool:
        """Wait for the requests under way; False when some are cut off after ``seconds``."""
        tasks = set(self._state.tasks)
        if not tasks:
            return True
        _, unfinished = await asyncio.wait(tasks, timeout=seconds)
        for task in unfinished:
            task.cancel()
        return not unfinished


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError; a port in use is EADDRINUSE."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)
        bound.set_inheritable(False)
    except BaseException:
        bound.close()
        raise
    return bound
