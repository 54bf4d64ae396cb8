"""What every call goes through: who calls, which hub, read the request, answer, or end with a status."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from perdure.client import TaskHubClient
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS, Rpc
from perdure.grpc_api.hub_choice import MANAGES_HUBS, HubChoice, Hubs, ServedHub
from perdure.grpc_api.hub_shares import HubShares
from perdure.grpc_api.long_calls import LongCalls
from perdure.grpc_api.server_calls import CallEnded, Handler, ServerCall
from perdure.grpc_api.statuses import Stopping, status_of

WORK_CALLS = (
    "Hello",
    "CompleteOrchestratorTask",
    "CompleteActivityTask",
    "CompleteEntityTask",
    "AbandonTaskOrchestratorWorkItem",
    "AbandonTaskActivityWorkItem",
    "AbandonTaskEntityWorkItem",
)
WORK_STREAMS = ("GetWorkItems",)
WAITS = frozenset({"WaitForInstanceStart", "WaitForInstanceCompletion"})
"""Calls that may last for hours: whoever gets their answer must still be allowed to."""
BRIEF = frozenset(
    {
        "StartInstance",
        "RaiseEvent",
        "SignalEntity",
        "GetInstance",
        "GetEntity",
        "TerminateInstance",
        "SuspendInstance",
        "ResumeInstance",
        "RewindInstance",
        "RestartInstance",
    }
)
"""Calls that come in floods and are over soon: a hub has so many under way at a time as is its share."""
STANDING_SECONDS = 5.0
"""So often a stream of work items is asked whether its token is still good."""

T = TypeVar("T")


class Call:
    """One call under way."""

    __slots__ = ("_context", "_hub", "_stopping", "headers", "hub_name", "hubs")

    def __init__(
        self, context: ServerCall, hub: ServedHub | None, hub_name: str, hubs: Hubs, stopping: asyncio.Event
    ) -> None:
        self.headers = context.texts
        self.hub_name = hub_name
        self.hubs = hubs
        self._context = context
        self._hub = hub
        self._stopping = stopping

    @property
    def hub(self) -> ServedHub:
        """The hub that is asked."""
        assert self._hub is not None, "a call that manages hubs has none"
        return self._hub

    @property
    def client(self) -> TaskHubClient:
        """The client of that hub."""
        return self.hub.client

    @property
    def context(self) -> ServerCall:
        """The call as the server sees it."""
        return self._context

    async def write(self, item: bytes) -> None:
        """Send one message of a stream; waits while the caller does not read."""
        await self._context.write(item)

    def seconds_left(self) -> float | None:
        """Until the caller's deadline; None without one."""
        return self._context.time_remaining()

    async def unless_stopping(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Await what changes nothing. Raises Stopping when the server stops first."""
        waiter = asyncio.ensure_future(waiting)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({waiter, stop}, return_when=asyncio.FIRST_COMPLETED)
            if waiter.done():
                return waiter.result()
            raise Stopping
        finally:
            stop.cancel()
            if not waiter.done():
                waiter.cancel()
                await asyncio.gather(waiter, return_exceptions=True)


Unary = Callable[[Any, Call], Awaitable[Any]]
"""Request message and call → answer message."""
Streaming = Callable[[Any, Call], Awaitable[None]]
"""Request message and call; encoded messages go to ``Call.write``."""


class Door:
    """Makes the server's method handlers out of ours."""

    def __init__(self, choice: HubChoice) -> None:
        self.choice = choice
        self.stopping = asyncio.Event()
        self._shares = HubShares()
        self._long_calls = LongCalls()

    async def begin(self, name: str, context: ServerCall) -> Call:
        """The call, when the caller may make it. Raises Refused."""
        if self.stopping.is_set():
            raise Stopping
        headers = context.texts
        if name in MANAGES_HUBS:
            return Call(context, None, self.choice.admit(name, headers), self.choice.hubs, self.stopping)
        hub = await self.choice.choose(name, headers)
        return Call(context, hub, hub.name, self.choice.hubs, self.stopping)

    def unary(self, name: str, answer: Unary, rpcs: Mapping[str, Rpc] = RPCS) -> Handler:
        """A call with one answer."""
        read = rpcs[name].request.FromString

        async def serve(raw: bytes, context: ServerCall) -> bytes:
            try:
                call = await self.begin(name, context)
                request = read(raw)
                if name in BRIEF and not _makes_room(request):
                    async with self._shares.asking(call.hub_name.lower()):
                        answered = await answer(request, call)
                elif name in WAITS:
                    with self._long_calls:
                        answered = await answer(request, call)
                    self.choice.admit(name, call.headers)
                else:
                    answered = await answer(request, call)
                return answered.SerializeToString()
            except Exception as error:
                await end(context, error, name)
                raise

        return Handler(serve)

    def stream(self, name: str, answer: Streaming) -> Handler:
        """A call with any number of answers."""
        read = RPCS[name].request.FromString

        async def serve(raw: bytes, context: ServerCall) -> None:
            try:
                await answer(read(raw), await self.begin(name, context))
            except Exception as error:
                await end(context, error, name)
                raise

        return Handler(serve, streams=True)

    def work_handlers(self) -> dict[str, Handler]:
        """The calls of workers, each passed on to the service of its hub."""
        return {
            **{name: self._passed_on(name) for name in WORK_CALLS},
            **{name: self._passed_on_stream(name) for name in WORK_STREAMS},
        }

    def _passed_on(self, name: str) -> Handler:
        async def serve(raw: bytes, context: ServerCall) -> bytes:
            try:
                hub = await self.choice.choose(name, context.texts)
                async with self._shares.answering(hub.name.lower()):
                    return await hub.work_items.unary[name](raw, context)
            except Exception as error:
                await end(context, error, name)
                raise

        return Handler(serve)

    def _passed_on_stream(self, name: str) -> Handler:
        async def serve(raw: bytes, context: ServerCall) -> None:
            try:
                headers = context.texts
                hub = await self.choice.choose(name, headers)
                with self._long_calls:
                    await self._while_allowed(name, headers, hub.work_items.streaming[name](raw, context))
            except Exception as error:
                await end(context, error, name)
                raise

        return Handler(serve, streams=True)

    async def _while_allowed(self, name: str, headers: Mapping[str, str], serving: Awaitable[None]) -> None:
        """Serve a stream for as long as the caller's token is good. Raises Refused when it is not any more."""
        if not self.choice.asks_tokens:
            await serving
            return
        stream = asyncio.ensure_future(serving)
        try:
            while not stream.done():
                await asyncio.wait([stream], timeout=STANDING_SECONDS)
                self.choice.admit(name, headers)
            stream.result()
        finally:
            if not stream.done():
                stream.cancel()
                await asyncio.gather(stream, return_exceptions=True)


def _makes_room(request: Any) -> bool:
    """Whether a start may have to wait until another instance has ended."""
    return isinstance(request, pb.CreateInstanceRequest) and request.HasField("orchestrationIdReusePolicy")


async def end(context: ServerCall, error: Exception, name: str) -> None:
    """End a call with the status of an error; what is an end already is left alone. Always raises otherwise."""
    if isinstance(error, CallEnded):
        return
    code, text = status_of(error, name)
    await context.abort(code, text)


Handlers = Mapping[str, Handler]
