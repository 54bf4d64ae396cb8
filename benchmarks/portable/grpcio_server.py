"""grpcio's server in the place of ours, under the same doors: what it costs, and another opinion on what is right."""

from collections.abc import Mapping
from typing import Any, NoReturn

import grpc
import grpc.aio

from perdure.formats.protobuf.service import SERVICE
from perdure.grpc_api.codes import Code
from perdure.grpc_api.server import GrpcServer
from perdure.grpc_api.server_calls import CallEnded, Handler

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class GrpcioServer(GrpcServer):
    """See ``GrpcServer``; without TLS."""

    def __init__(self, receive_bytes_max: int = 64 * 1024 * 1024, *_: Any, **__: Any) -> None:
        self._grpcio = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", receive_bytes_max),
                ("grpc.max_send_message_length", -1),
                ("grpc.server.max_pending_requests", 50_000),
                ("grpc.server.max_pending_requests_hard_limit", 100_000),
                ("grpc.so_reuseport", 0),
            ]
        )

    def mount(self, handlers: Mapping[str, Handler], service: str = SERVICE) -> None:
        """Answer these calls of a service."""
        theirs = {name: _theirs(handler) for name, handler in handlers.items()}
        self._grpcio.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, theirs),))

    def listen(self, host: str, port: int, tls: Any = None) -> int:
        """Take the address."""
        return self._grpcio.add_insecure_port(f"{host}:{port}")

    async def start(self) -> None:
        """Take calls from here on."""
        await self._grpcio.start()

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls."""
        await self._grpcio.stop(grace_seconds)


class _Call:
    """grpcio's context as our handlers see a call."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.texts: dict[str, str] = {}
        for name, value in self.invocation_metadata():
            if isinstance(value, str):
                self.texts.setdefault(name, value)

    def invocation_metadata(self) -> Any:
        """All headers."""
        return tuple((name, value) for name, value in self._context.invocation_metadata() or ())

    def peer(self) -> str:
        """The connection."""
        return self._context.peer()

    def time_remaining(self) -> float | None:
        """Until the caller's deadline."""
        left = self._context.time_remaining()
        return None if left is None or left > 10 * 365 * 86400 else max(left, 0.0)

    async def abort(self, code: Code, text: str = "") -> NoReturn:
        """End the call."""
        try:
            await self._context.abort(_CODES[code], text)
        except grpc.aio.AbortError as error:
            raise CallEnded(text) from error
        raise AssertionError("it has ended")

    async def write(self, message: bytes) -> None:
        """Send one message."""
        await self._context.write(message)


def _theirs(handler: Handler) -> Any:
    async def serve(request: bytes, context: Any) -> Any:
        return await handler.answer(request, _Call(context))

    if handler.streams:
        return grpc.unary_stream_rpc_method_handler(serve)  # pyright: ignore[reportArgumentType]
    return grpc.unary_unary_rpc_method_handler(serve)  # pyright: ignore[reportArgumentType]
