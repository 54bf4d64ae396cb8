"""The gRPC server, on the engine's loop."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace

from perdure.formats.protobuf.backend_service import RPCS as BACKEND_RPCS
from perdure.formats.protobuf.backend_service import SERVICE as BACKEND_SERVICE
from perdure.formats.protobuf.service import SERVICE
from perdure.grpc_api.backend_service import BACKEND_CALLS
from perdure.grpc_api.calls import Door, Handlers
from perdure.grpc_api.entity_service import EntityCalls
from perdure.grpc_api.health_service import HEALTH
from perdure.grpc_api.http2.connection import Connection, Shared
from perdure.grpc_api.http2.limits import Limits
from perdure.grpc_api.management_service import MANAGEMENT_CALLS
from perdure.grpc_api.query_service import QUERY_CALLS, QUERY_STREAMS
from perdure.grpc_api.server_calls import CallAnswers, Handler

RECEIVE_BYTES_MAX = 64 * 1024 * 1024
HANDSHAKE_SECONDS = 30.0
SILENT_SECONDS = 19.0
"""A caller that was silent for so long is asked whether it lives; with no answer for as long its connection ends, and
what it holds goes to others: a paused worker, or one behind a cut cable, sends no farewell. With the pauses between two
looks that is within 40 seconds."""
_BACKLOG = 1024
_LOOK_SECONDS_MAX = 0.5
_LOOKS = 4
"""In the shortest time that something may stand still."""


class PortTaken(Exception):
    """The address cannot be listened on."""


class GrpcServer:
    """Serves until it is stopped; ``start`` and ``stop`` belong to one loop."""

    def __init__(
        self,
        receive_bytes_max: int = RECEIVE_BYTES_MAX,
        silent_seconds: float = SILENT_SECONDS,
        limits: Limits | None = None,
        connections_max: int | None = None,
    ) -> None:
        limits = Limits(silent_seconds=silent_seconds) if limits is None else limits
        if connections_max is not None:
            limits = replace(limits, connections_max=connections_max)
        # One message of the largest size must fit, whatever the limit for all of them.
        unfinished = max(limits.unfinished_bytes_max, 2 * receive_bytes_max)
        limits = replace(
            limits,
            unfinished_bytes_max=unfinished,
            all_unfinished_bytes_max=max(limits.all_unfinished_bytes_max, 2 * unfinished),
        )
        self._answers = CallAnswers(receive_bytes_max)
        self._shared = Shared(self._answers, limits)
        self._sockets: list[tuple[socket.socket, ssl.SSLContext | None]] = []
        self._listening: list[asyncio.Server] = []
        self._looking: asyncio.TimerHandle | None = None

    def mount(self, handlers: Mapping[str, Handler], service: str = SERVICE) -> None:
        """Answer these calls of a service."""
        for name, handler in handlers.items():
            self._answers.handlers[f"/{service}/{name}"] = handler

    def mount_door(self, door: Door) -> None:
        """Answer the calls of the scheduler's service, and those of scalers."""
        handlers: dict[str, Handler] = door.work_handlers()
        for name, answer in {**MANAGEMENT_CALLS, **QUERY_CALLS, **EntityCalls().calls()}.items():
            handlers[name] = door.unary(name, answer)
        for name, stream in QUERY_STREAMS.items():
            handlers[name] = door.stream(name, stream)
        self.mount(handlers)
        backend = {name: door.unary(name, answer, BACKEND_RPCS) for name, answer in BACKEND_CALLS.items()}
        self.mount(backend, BACKEND_SERVICE)

    def mount_health(self, handlers: Handlers) -> None:
        """Answer the standard health calls."""
        self.mount(handlers, HEALTH)

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Take the address; returns the port, which is a free one for 0. Raises PortTaken."""
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        host = host.strip("[]")
        try:
            bound = _bound(host, port)
        except OSError as error:
            raise PortTaken(f"{host}:{port}: {error.strerror or error}") from error
        self._sockets += [(each, tls) for each in bound]
        return bound[0].getsockname()[1]

    async def start(self) -> None:
        """Take calls from here on."""
        loop = asyncio.get_running_loop()
        for bound, tls in self._sockets:
            seconds = None if tls is None else HANDSHAKE_SECONDS
            self._listening.append(
                await loop.create_server(
                    lambda: Connection(self._shared),
                    sock=bound,
                    ssl=tls,
                    backlog=_BACKLOG,
                    ssl_handshake_timeout=seconds,
                )
            )
        self._look()

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, and cut off those under way after ``grace_seconds``. Twice-safe."""
        for server in self._listening:
            server.close()
        for bound, _ in self._sockets:
            bound.close()
        self._listening.clear()
        self._sockets.clear()
        connections = self._shared.connections
        for connection in list(connections):
            connection.drain()
        await self._until_gone(grace_seconds)
        calls = list(self._answers.under_way)
        for call in calls:
            call.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CUT_OFF_SECONDS):
                for call in calls:
                    await call.finished()
        for connection in list(connections):
            connection.close()
        await self._until_gone(_LAST_BYTES_SECONDS)
        for connection in list(connections):
            connection.abort()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _until_gone(self, seconds: float) -> None:
        shared = self._shared
        ends_at = time.monotonic() + seconds
        while shared.connections and (left := ends_at - time.monotonic()) > 0:
            shared.gone.clear()
            try:
                async with asyncio.timeout(left):
                    await shared.gone.wait()
            except TimeoutError:
                return

    def _look(self) -> None:
        limits = self._shared.limits
        shortest = min(limits.silent_seconds, limits.unfinished_seconds, limits.stalled_seconds)
        pause = min(shortest / _LOOKS, _LOOK_SECONDS_MAX)
        self._looking = asyncio.get_running_loop().call_later(pause, self._look)
        now = time.monotonic()
        for connection in list(self._shared.connections):
            connection.look(now)


_NOT_HERE = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))
_CUT_OFF_SECONDS = 5.0
"""How long a call that is cut off may take to end."""
_LAST_BYTES_SECONDS = 0.5
"""How long peers may take to read the last answers."""


def _bound(host: str, port: int) -> list[socket.socket]:
    """Sockets for all addresses of a name, on one port; without those that this machine only knows by name."""
    bound: list[socket.socket] = []
    missing = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            bound.append(_bound_to(family, (address[0], port, *address[2:])))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                for each in bound:
                    each.close()
                raise
            missing = error
        else:
            port = bound[0].getsockname()[1]
    if not bound:
        raise missing
    return bound


def _bound_to(family: int, address: tuple[str | int, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound
