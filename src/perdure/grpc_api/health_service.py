"""The standard health service, ``grpc.health.v1.Health``: its two messages are so small that they are written here."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from perdure.formats.protobuf.service import SERVICE
from perdure.grpc_api.calls import Handlers
from perdure.grpc_api.codes import Code
from perdure.grpc_api.server_calls import Handler, ServerCall

HEALTH = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING, _SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"
"""Field 1, the status, as a varint."""
KNOWN = frozenset({"", SERVICE, HEALTH})
_NAME_FIELD = 0x0A
STARTING_SECONDS = 0.2
"""So often a server that is not ready yet is looked at for those who watch it."""


class Health:
    """Answers whether the server takes calls; anybody may ask. ``is_ready`` is asked at each call."""

    def __init__(self, is_ready: Callable[[], bool], stopping: asyncio.Event) -> None:
        self._is_ready = is_ready
        self._stopping = stopping

    def handlers(self) -> Handlers:
        """By method name."""
        return {
            "Check": Handler(self._check),
            "Watch": Handler(self._watch, streams=True),
        }

    async def _check(self, raw: bytes, call: ServerCall) -> bytes:
        name = await _service_name(raw, call)
        if name not in KNOWN:
            await call.abort(Code.NOT_FOUND, f"There is no service '{name}' here.")
        return self._status()

    async def _watch(self, raw: bytes, call: ServerCall) -> None:
        name = await _service_name(raw, call)
        told = self._status() if name in KNOWN else _SERVICE_UNKNOWN
        await call.write(told)
        # A server that is just starting says nothing when it is ready, so it is asked.
        while told == _NOT_SERVING and not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(STARTING_SECONDS):
                    await self._stopping.wait()
            if (told := self._status()) == _SERVING:
                await call.write(told)
        await self._stopping.wait()
        if told == _SERVING:
            await call.write(_NOT_SERVING)

    def _status(self) -> bytes:
        return _SERVING if self._is_ready() and not self._stopping.is_set() else _NOT_SERVING


async def _service_name(raw: bytes, call: ServerCall) -> str:
    """The request's only field, a text."""
    if not raw:
        return ""
    length = raw[1] if len(raw) > 1 else -1
    if raw[0] != _NAME_FIELD or not 0 <= length < 0x80 or len(raw) != 2 + length:
        await call.abort(Code.INVALID_ARGUMENT, "The request is not a HealthCheckRequest.")
    return raw[2:].decode("utf-8", "replace")
