"""The gRPC server, on the engine's loop."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
import grpc.aio

from perdure.formats.protobuf.backend_service import RPCS as BACKEND_RPCS
from perdure.formats.protobuf.backend_service import SERVICE as BACKEND_SERVICE
from perdure.formats.protobuf.service import SERVICE
from perdure.grpc_api.backend_service import BACKEND_CALLS
from perdure.grpc_api.callers_that_left import log_without_them
from perdure.grpc_api.calls import Door, Handlers
from perdure.grpc_api.entity_service import EntityCalls
from perdure.grpc_api.health_service import HEALTH
from perdure.grpc_api.management_service import MANAGEMENT_CALLS
from perdure.grpc_api.query_service import QUERY_CALLS, QUERY_STREAMS

RECEIVE_BYTES_MAX = 64 * 1024 * 1024
PING_SECONDS_MIN = 5
PENDING_MAX = 50_000
"""So many calls may arrive at once."""
SILENT_SECONDS = 20.0
"""A caller that was silent for so long is asked whether it lives; with no answer for as long its connection ends, and
what it holds goes to others: a paused worker, or one behind a cut cable, sends no farewell."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM texts. ``client_roots``: callers must show a certificate that one of these has signed."""

    key: bytes
    certificates: bytes
    client_roots: bytes | None = None


class PortTaken(Exception):
    """The address cannot be listened on."""


class GrpcServer:
    """Serves until it is stopped; ``start`` and ``stop`` belong to one loop."""

    def __init__(self, receive_bytes_max: int = RECEIVE_BYTES_MAX, silent_seconds: float = SILENT_SECONDS) -> None:
        log_without_them()
        self._server = grpc.aio.server(options=_options(receive_bytes_max, round(silent_seconds * 1000)))

    def mount(self, handlers: Handlers, service: str = SERVICE) -> None:
        """Answer these calls of a service."""
        found: Mapping[str, grpc.RpcMethodHandler[bytes, bytes]] = dict(handlers)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, dict(found)),))

    def mount_door(self, door: Door) -> None:
        """Answer the calls of the scheduler's service, and those of scalers."""
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = door.work_handlers()
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

    def listen(self, host: str, port: int, tls: ServerTls | None = None) -> int:
        """Take the address; returns the port, which is a free one for 0. Raises PortTaken."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if tls is None:
                bound = self._server.add_insecure_port(address)
            else:
                credentials = grpc.ssl_server_credentials(
                    [(tls.key, tls.certificates)], tls.client_roots, tls.client_roots is not None
                )
                bound = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise PortTaken(str(error)) from error
        if not bound:
            raise PortTaken(address)
        return bound

    async def start(self) -> None:
        """Take calls from here on."""
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, and cut off those under way after ``grace_seconds``. Twice-safe."""
        await asyncio.shield(self._server.stop(grace_seconds))


def _options(receive_bytes_max: int, silent_milliseconds: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", receive_bytes_max),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", silent_milliseconds),
        ("grpc.keepalive_timeout_ms", silent_milliseconds),
        ("grpc.http2.ping_timeout_ms", silent_milliseconds),
        ("grpc.http2.max_pings_without_data", 0),
        # Clients may ask often whether we live, also between calls; none is sent away for it (grpc.md §1.2).
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_SECONDS_MIN * 1000),
        ("grpc.http2.max_ping_strikes", 0),
        # From a thousand calls on that have only just arrived, gRPC ends some at random as CANCELLED, which no client
        # tries again. A burst is not more than the engine takes; when it is, that is said (RESOURCE_EXHAUSTED).
        ("grpc.server.max_pending_requests", PENDING_MAX),
        ("grpc.server.max_pending_requests_hard_limit", 2 * PENDING_MAX),
        # A second server on the same port would get half of the calls.
        ("grpc.so_reuseport", 0),
    ]
