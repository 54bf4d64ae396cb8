"""HTTP functions: which one a request is for, and running it in the right lane (functions-host.md §7, §9, §13)."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

from azure.functions.http import HttpRequest

from perdure.execution.time_limits import FunctionTimedOut
from perdure.functions.bindings import ClientTexts, OutputHolder, build_arguments, log_outputs
from perdure.functions.descriptions import RETURN_BINDING, HttpFunction
from perdure.functions.host_settings import HttpSettings
from perdure.functions.http_replies import FAILED, TOO_MANY, HttpReply, UnusableResult, reply_of, reply_to_failure
from perdure.functions.invocations import Invocation, TraceContext, log_timeout
from perdure.functions.routes import RouteMatch, RouteTable

T = TypeVar("T")


class UserCode(Protocol):
    """Where the app's functions run: never on the engine's loop. Both raise FunctionTimedOut."""

    def run_sync(self, job: Callable[[], T]) -> Awaitable[T]:
        """Run a plain function on a thread."""
        ...

    def run_async(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """Run a coroutine on the users' loop."""
        ...


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """A request as the door received it."""

    method: str
    url: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class HttpTriggers:
    """All HTTP functions of an app."""

    def __init__(
        self,
        routes: RouteTable,
        user_code: UserCode,
        clients: ClientTexts,
        settings: HttpSettings,
        disabled: RouteTable | None = None,
    ) -> None:
        """``disabled`` are the functions that a setting turned off."""
        self._routes = routes
        self._disabled = RouteTable((), "") if disabled is None else disabled
        self._user_code = user_code
        self._clients = clients
        self._outstanding_max = settings.max_outstanding_requests
        self._outstanding = 0
        concurrent_max = settings.max_concurrent_requests
        self._slots = None if concurrent_max is None else asyncio.Semaphore(concurrent_max)

    def match(self, method: str, raw_path: str) -> RouteMatch | None:
        """The function for a request; None is a 404."""
        return self._routes.match(method, raw_path)

    def match_disabled(self, method: str, raw_path: str) -> RouteMatch | None:
        """The function for a request, among those that are turned off."""
        return self._disabled.match(method, raw_path)

    async def invoke(self, match: RouteMatch, request: IncomingRequest) -> HttpReply:
        """Run the function. Whatever it does wrong is a logged 500 without a body.

        A store that it could not reach is not its doing: 503, 507 or 429, with Retry-After.
        """
        if self._outstanding_max is not None and self._outstanding >= self._outstanding_max:
            return TOO_MANY
        self._outstanding += 1
        try:
            if self._slots is None:
                return await self._run(match, request)
            async with self._slots:
                return await self._run(match, request)
        finally:
            self._outstanding -= 1

    async def _run(self, match: RouteMatch, request: IncomingRequest) -> HttpReply:
        try:
            if match.function.call.is_async:
                return await self._user_code.run_async(lambda: _answer_async(match, request, self._clients))
            return await self._user_code.run_sync(lambda: _answer(match, request, self._clients))
        except FunctionTimedOut as error:
            log_timeout(match.function.call.name, error)
            return FAILED


def _answer(match: RouteMatch, request: IncomingRequest, clients: ClientTexts) -> HttpReply:
    try:
        with Invocation(match.function.call.name, f"HTTP {request.method}") as invocation:
            arguments = _arguments(match, request, clients, invocation)
            return _reply(match.function, arguments, match.function.call.function(**arguments))
    except BaseException as error:
        # User code, SystemExit included; the invocation has logged it.
        return reply_to_failure(error)


async def _answer_async(match: RouteMatch, request: IncomingRequest, clients: ClientTexts) -> HttpReply:
    try:
        with Invocation(match.function.call.name, f"HTTP {request.method}") as invocation:
            arguments = _arguments(match, request, clients, invocation)
            return _reply(match.function, arguments, await match.function.call.function(**arguments))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return FAILED
    except BaseException as error:
        # As above; a SystemExit would end the loop of all other functions too.
        return reply_to_failure(error)


def _arguments(
    match: RouteMatch, request: IncomingRequest, clients: ClientTexts, invocation: Invocation
) -> dict[str, Any]:
    headers = _joined(request.headers)
    incoming = HttpRequest(
        method=request.method,
        url=request.url,
        headers=headers,
        params=_joined(parse_qsl(request.query, keep_blank_values=True)),
        route_params=match.parameters,
        body_type="bytes",
        body=request.body,
    )
    trace = TraceContext(headers.get("traceparent", ""), headers.get("tracestate", ""))
    arguments = build_arguments(match.function.call, incoming, clients, invocation, trace)
    if match.function.reply_argument not in (None, RETURN_BINDING):
        arguments[match.function.reply_argument] = OutputHolder()
    return arguments


def _reply(function: HttpFunction, arguments: dict[str, Any], returned: Any) -> HttpReply:
    if function.call.outputs:
        log_outputs(function.call, arguments, returned)
    place = function.reply_argument
    if place == RETURN_BINDING:
        return reply_of(returned)
    if returned is not None and not any(output.name == RETURN_BINDING for output in function.call.outputs):
        where = "it has no http output" if place is None else f"its response is the output '{place}'"
        raise UnusableResult(f"The function returned a value, yet {where}.")
    value = None if place is None else arguments[place].value
    return HttpReply(204) if value is None else reply_of(value)


def _joined(pairs: "tuple[tuple[str, str], ...] | list[tuple[str, str]]") -> dict[str, str]:
    """Repeated names become one value with commas between."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
