"""Calls of the service over a channel, which is replaced when it does not recover. Importing this imports gRPC.

``AsyncCaller`` belongs to the loop that makes its first call. ``BlockingCaller`` blocks in any thread: its coroutines
end without ever having waited. ``AwaitedCaller`` makes the same calls on the same channel for any loop.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from durabletask import io_thread
from durabletask.grpc_options import GrpcClientResiliencyOptions
from durabletask.transports.channels import ChannelTerms, async_channel, blocking_channel
from perdure.formats.protobuf.service import Rpc

import grpc  # isort: skip - after channels, whose error says what is missing
import grpc.aio  # isort: skip

RETIRED_SECONDS = 30.0
"""How long calls under way on a channel that was replaced may still take."""

Headers = Callable[[], Awaitable[Sequence[tuple[str, str]]]]
"""Gives the metadata of a call."""


class RpcCaller(Protocol):
    """Both raise ``grpc.RpcError``, and RuntimeError once closed. ``seconds`` None: no deadline."""

    async def unary(self, rpc: Rpc, request: Any, seconds: float | None = None) -> Any:
        """One request, one answer."""
        ...

    async def stream(self, rpc: Rpc, request: Any, seconds: float | None = None) -> list[Any]:
        """One request, all answers."""
        ...

    async def close(self) -> None:
        """Close the channel if it is not the caller's own. Twice-safe."""
        ...


class Failures:
    """Counts failures of the transport in a row, and says when a new channel is due."""

    def __init__(self, options: GrpcClientResiliencyOptions) -> None:
        self._options = options
        self._in_a_row = 0
        self._renewed_at: float | None = None
        self._lock = threading.Lock()

    def passed(self) -> None:
        """The server was reached."""
        self._in_a_row = 0

    def failed(self, rpc: Rpc, code: Any) -> bool:
        """Whether this failure makes a new channel due; the counting begins anew then.

        A deadline of a call that waits for an orchestration is the caller's own, and no failure.
        """
        is_failure = code is grpc.StatusCode.UNAVAILABLE or (
            code is grpc.StatusCode.DEADLINE_EXCEEDED and not rpc.name.startswith("WaitForInstance")
        )
        threshold = self._options.channel_recreate_failure_threshold
        with self._lock:
            if not is_failure or not threshold:
                self._in_a_row = 0
                return False
            self._in_a_row += 1
            now = time.monotonic()
            too_soon = (
                self._renewed_at is not None and now - self._renewed_at < self._options.min_recreate_interval_seconds
            )
            if self._in_a_row < threshold or too_soon:
                return False
            self._in_a_row = 0
            self._renewed_at = now
            return True


class AsyncCaller:
    """Calls over ``grpc.aio``. A channel that was given is neither replaced nor closed."""

    def __init__(
        self,
        terms: ChannelTerms,
        headers: Headers,
        resiliency: GrpcClientResiliencyOptions,
        logger: logging.Logger,
        *,
        interceptors: Sequence[Any] = (),
        channel: grpc.aio.Channel | None = None,
    ) -> None:
        self._terms = terms
        self._headers = headers
        self._logger = logger
        self._interceptors = interceptors
        self._channel = channel
        self._owns_channel = channel is None
        self._failures = Failures(resiliency)
        self._retired: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def unary(self, rpc: Rpc, request: Any, seconds: float | None = None) -> Any:
        """See ``RpcCaller``."""
        call: Any = self._open().unary_unary(
            rpc.path, request_serializer=rpc.request.SerializeToString, response_deserializer=rpc.answer.FromString
        )
        try:
            answer = await call(request, timeout=seconds, metadata=tuple(await self._headers()))
        except grpc.RpcError as error:
            self._note(rpc, error)
            raise
        self._failures.passed()
        return answer

    async def stream(self, rpc: Rpc, request: Any, seconds: float | None = None) -> list[Any]:
        """See ``RpcCaller``."""
        call: Any = self._open().unary_stream(
            rpc.path, request_serializer=rpc.request.SerializeToString, response_deserializer=rpc.answer.FromString
        )
        headers = tuple(await self._headers())
        return [answer async for answer in call(request, timeout=seconds, metadata=headers)]

    async def close(self) -> None:
        """See ``RpcCaller``."""
        self._is_closed = True
        channel, self._channel = self._channel, None
        for task in list(self._retired):
            task.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        if channel is not None and self._owns_channel:
            await channel.close()

    def _open(self) -> grpc.aio.Channel:
        if self._is_closed:
            raise _closed()
        if self._channel is None:
            self._channel = async_channel(self._terms, self._interceptors)
        return self._channel

    def _note(self, rpc: Rpc, error: grpc.RpcError) -> None:
        if self._failures.failed(rpc, _code_of(error)) and self._owns_channel and self._channel is not None:
            old, self._channel = self._channel, None
            _tell_of_renewal(self._logger, self._terms)
            task = asyncio.ensure_future(_close_later(old))
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)


class SharedChannel:
    """A plain ``grpc.Channel`` for any thread. One that was given is neither replaced nor closed."""

    def __init__(
        self,
        terms: ChannelTerms,
        resiliency: GrpcClientResiliencyOptions,
        logger: logging.Logger,
        *,
        interceptors: Sequence[Any] = (),
        channel: grpc.Channel | None = None,
    ) -> None:
        self._terms = terms
        self._logger = logger
        self._interceptors = interceptors
        self._channel = channel
        self._owns_channel = channel is None
        self._failures = Failures(resiliency)
        self._lock = threading.Lock()
        self._retired: dict[grpc.Channel, threading.Timer] = {}
        self._is_closed = False

    def method(self, rpc: Rpc) -> Any:
        """What makes a call. Raises RuntimeError once closed."""
        with self._lock:
            if self._is_closed:
                raise _closed()
            if self._channel is None:
                self._channel = blocking_channel(self._terms, self._interceptors)
            make = self._channel.unary_stream if rpc.answers_stream else self._channel.unary_unary
        return make(
            rpc.path, request_serializer=rpc.request.SerializeToString, response_deserializer=rpc.answer.FromString
        )

    def passed(self) -> None:
        """A call was answered."""
        self._failures.passed()

    def failed(self, rpc: Rpc, error: grpc.RpcError) -> None:
        """A call was not."""
        if not self._failures.failed(rpc, _code_of(error)) or not self._owns_channel:
            return
        with self._lock:
            old, self._channel = self._channel, None
            if old is None:
                return
            timer = self._retired[old] = threading.Timer(RETIRED_SECONDS, self._close_retired, (old,))
            timer.daemon = True
        _tell_of_renewal(self._logger, self._terms)
        timer.start()

    def close(self) -> None:
        """Twice-safe."""
        with self._lock:
            self._is_closed = True
            channel, self._channel = self._channel, None
            retired, self._retired = self._retired, {}
        for old, timer in retired.items():
            timer.cancel()
            old.close()
        if channel is not None and self._owns_channel:
            channel.close()

    def _close_retired(self, channel: grpc.Channel) -> None:
        with self._lock:
            self._retired.pop(channel, None)
        channel.close()


class BlockingCaller:
    """Calls that block the calling thread."""

    def __init__(self, channel: SharedChannel, headers: Headers) -> None:
        self._channel = channel
        self._headers = headers

    async def unary(self, rpc: Rpc, request: Any, seconds: float | None = None) -> Any:
        """See ``RpcCaller``."""
        call = self._channel.method(rpc)
        try:
            answer = call(request, timeout=seconds, metadata=tuple(await self._headers()))
        except grpc.RpcError as error:
            self._channel.failed(rpc, error)
            raise
        self._channel.passed()
        return answer

    async def stream(self, rpc: Rpc, request: Any, seconds: float | None = None) -> list[Any]:
        """See ``RpcCaller``."""
        return list(self._channel.method(rpc)(request, timeout=seconds, metadata=tuple(await self._headers())))

    async def close(self) -> None:
        """See ``RpcCaller``."""
        self._channel.close()


class AwaitedCaller:
    """Calls that are awaited, on any loop."""

    def __init__(self, channel: SharedChannel, headers: Headers) -> None:
        self._channel = channel
        self._headers = headers

    async def unary(self, rpc: Rpc, request: Any, seconds: float | None = None) -> Any:
        """See ``RpcCaller``."""
        call = self._channel.method(rpc)
        headers = tuple(await self._headers())
        try:
            answer = await _awaited(call.future(request, timeout=seconds, metadata=headers))
        except grpc.RpcError as error:
            self._channel.failed(rpc, error)
            raise
        self._channel.passed()
        return answer

    async def stream(self, rpc: Rpc, request: Any, seconds: float | None = None) -> list[Any]:
        """See ``RpcCaller``."""
        answers = self._channel.method(rpc)(request, timeout=seconds, metadata=tuple(await self._headers()))
        return await asyncio.to_thread(list, answers)

    async def close(self) -> None:
        """See ``RpcCaller``."""
        await asyncio.to_thread(self._channel.close)


class IoThreadCaller:
    """An ``AsyncCaller`` on the clients' own thread, for any loop."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    async def unary(self, rpc: Rpc, request: Any, seconds: float | None = None) -> Any:
        """See ``RpcCaller``."""
        return await io_thread.wait_on(lambda: self._caller.unary(rpc, request, seconds))

    async def stream(self, rpc: Rpc, request: Any, seconds: float | None = None) -> list[Any]:
        """See ``RpcCaller``."""
        return await io_thread.wait_on(lambda: self._caller.stream(rpc, request, seconds))

    async def close(self) -> None:
        """See ``RpcCaller``."""
        await io_thread.wait_on(self._caller.close)


async def _awaited(call: Any) -> Any:
    """A call of a plain channel, awaited on the running loop; cancelling the caller cancels the call."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not ended.done():
            ended.set_result(None)

    def tell(_: Any) -> None:
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:
            return  # the loop is closed, and nobody waits on it

    call.add_done_callback(tell)
    try:
        await ended
    except asyncio.CancelledError:
        call.cancel()
        raise
    return call.result()


async def _close_later(channel: grpc.aio.Channel) -> None:
    try:
        await asyncio.sleep(RETIRED_SECONDS)
    finally:
        await channel.close()


def _code_of(error: grpc.RpcError) -> Any:
    code = getattr(error, "code", None)
    return code() if callable(code) else None


def _closed() -> RuntimeError:
    return RuntimeError("The client is closed.")


def _tell_of_renewal(logger: logging.Logger, terms: ChannelTerms) -> None:
    logger.warning("%s was not reached several times in a row; a new channel is opened.", terms.target)
