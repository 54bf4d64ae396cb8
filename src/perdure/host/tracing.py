"""Where traces enter and leave a host: incoming requests, client calls, activities. Built only when tracing is on."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.client import ClientOptions, TaskHubClient
from perdure.contracts.clock import Clock
from perdure.contracts.records import Replaceable
from perdure.contracts.storage import Storage
from perdure.core.identifiers import EntityId
from perdure.core.registry import ActivityCall, ActivityMode, Registry
from perdure.functions.http_triggers import UserCode
from perdure.functions.invocations import TraceContext, running_trace
from perdure.telemetry.spans import Spans, context_of
from perdure.telemetry.trace_contexts import SpanPlace, activity_span, read_place
from perdure.telemetry.tracing import Traces, TracingObserver

T = TypeVar("T")
CLOSE_SECONDS_MAX = 5.0


class Tracing:
    """All that a host needs to make spans."""

    def __init__(self, spans: Spans, *, with_payloads: bool) -> None:
        self._spans = spans
        self._traces = Traces()
        self.observer = TracingObserver(spans, self._traces, with_payloads=with_payloads)

    def client(self, storage: Storage, clock: Clock, options: ClientOptions) -> TaskHubClient:
        """The hub's client."""
        return TracedClient(self._spans, storage, clock, options)

    def loaded(self, registry: Registry, client: TaskHubClient) -> None:
        """The app has been loaded; called on the engine's loop."""
        ActivitySpans(self._spans, self._traces, client, asyncio.get_running_loop()).wrap_all(registry)
        self._spans.serve_users()

    def user_code(self, lanes: UserCode) -> UserCode:
        """The lanes of the app's functions."""
        return TracedUserCode(lanes)

    def door(self, door: ASGIApp) -> ASGIApp:
        """The application in front."""
        return IncomingTraces(door)

    async def close(self) -> None:
        """Send what is left, and do not wait long for a collector that is not there. Twice-safe."""
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self._spans.close), CLOSE_SECONDS_MAX)


class TracedClient(TaskHubClient):
    """A client whose starts, events and signals are spans of the caller's trace, or begin one."""

    def __init__(self, spans: Spans, storage: Storage, clock: Clock, options: ClientOptions) -> None:
        super().__init__(storage, clock, options)
        self._spans = spans

    async def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,
        version: str | None = None,
        start_at: datetime | None = None,
        trace_context: str | None = None,
        tags: dict[str, str] | None = None,
        execution_id: str | None = None,
        reuse: Replaceable | None = None,
    ) -> str:
        """See ``TaskHubClient``."""
        instance_id = self.options.new_id() if instance_id is None else instance_id
        used = self.options.default_version if version is None else version
        title = f"create_orchestration:{name}@({used})" if used else f"create_orchestration:{name}"
        attributes = {"durabletask.type": "client", "durabletask.task.name": name,
                      "durabletask.task.instance_id": instance_id}  # fmt: skip
        with self._spans.around(title, SpanKind.PRODUCER, read_place(trace_context), attributes) as place:
            return await super().start(
                name, instance_id=instance_id, input=input, version=version, start_at=start_at,
                trace_context=place.text(), tags=tags, execution_id=execution_id, reuse=reuse,
            )  # fmt: skip

    async def restart(
        self,
        instance_id: str,
        *,
        new_instance_id: str | None = None,
        version: str | None = None,
        trace_context: str | None = None,
    ) -> str:
        """See ``TaskHubClient``."""
        record = await self.get(instance_id)
        if record is None:
            return await super().restart(instance_id, new_instance_id=new_instance_id, version=version)
        attributes = {"durabletask.type": "client", "durabletask.task.name": record.origin.name,
                      "durabletask.task.instance_id": new_instance_id or ""}  # fmt: skip
        title = f"create_orchestration:{record.origin.name}"
        with self._spans.around(title, SpanKind.PRODUCER, read_place(trace_context), attributes) as place:
            return await super().restart(
                instance_id, new_instance_id=new_instance_id, version=version, trace_context=place.text()
            )

    async def raise_event(self, instance_id: str, name: str, input: str | None = None) -> None:
        """See ``TaskHubClient``."""
        attributes = {"durabletask.type": "event", "durabletask.task.name": name,
                      "durabletask.event.target_instance_id": instance_id}  # fmt: skip
        with self._spans.around(f"orchestration_event:{name}", SpanKind.PRODUCER, None, attributes):
            await super().raise_event(instance_id, name, input)

    async def signal_entity(
        self,
        entity_id: EntityId,
        operation: str,
        input: str | None = None,
        *,
        due_at: datetime | None = None,
        request_id: str | None = None,
        trace_context: str | None = None,
    ) -> None:
        """See ``TaskHubClient``."""
        attributes = {"durabletask.type": "entity", "durabletask.task.operation": "signal_entity",
                      "durabletask.event.target_instance_id": str(entity_id)}  # fmt: skip
        title = f"entity:{entity_id.name}:{operation}"
        with self._spans.around(title, SpanKind.PRODUCER, read_place(trace_context), attributes) as place:
            await super().signal_entity(
                entity_id, operation, input, due_at=due_at, request_id=request_id, trace_context=place.text()
            )


class IncomingTraces:
    """ASGI middleware: what a request causes belongs to the trace that its headers name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        headers = dict(scope.get("headers", ()))
        parent = headers.get(b"traceparent", b"").decode("latin-1")
        state = headers.get(b"tracestate", b"").decode("latin-1")
        place = read_place(f"{parent} {state}")
        token = otel_context.attach(context_of(place))
        try:
            await self._app(scope, receive, send)
        finally:
            otel_context.detach(token)


class TracedUserCode:
    """User code that runs in the context of the request that caused it."""

    def __init__(self, lanes: UserCode) -> None:
        self._lanes = lanes

    def run_sync(self, job: Callable[[], T]) -> Awaitable[T]:
        """On a thread."""
        context = contextvars.copy_context()
        return self._lanes.run_sync(lambda: context.run(job))

    def run_async(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """On the users' loop, which takes the context over by itself."""
        return self._lanes.run_async(begin)


class ActivitySpans:
    """Wraps activities: each run is a span, and what the user's code traces hangs under it."""

    def __init__(self, spans: Spans, traces: Traces, client: TaskHubClient, loop: asyncio.AbstractEventLoop) -> None:
        self._spans = spans
        self._traces = traces
        self._client = client
        self._loop = loop

    def wrap_all(self, registry: Registry) -> None:
        """Replace every activity by its traced form."""
        for key, definition in registry.activities.items():
            wrap = self._on_loop if definition.mode is ActivityMode.LOOP else self._on_thread
            registry.activities[key] = replace(definition, run=wrap(definition.run))

    def _on_thread(self, run: Callable[[ActivityCall], Any]) -> Callable[[ActivityCall], Any]:
        def traced(call: ActivityCall) -> Any:
            parent = self._known(call)
            if parent is None:
                asyncio.run_coroutine_threadsafe(self._learn(call.instance_id), self._loop).result()
                parent = self._known(call)
            with self._around(call, parent):
                return run(call)

        return traced

    def _on_loop(self, run: Callable[[ActivityCall], Any]) -> Callable[[ActivityCall], Any]:
        async def traced(call: ActivityCall) -> Any:
            parent = self._known(call)
            if parent is None:
                learning = asyncio.run_coroutine_threadsafe(self._learn(call.instance_id), self._loop)
                await asyncio.wrap_future(learning)
                parent = self._known(call)
            with self._around(call, parent):
                return await run(call)

        return traced

    def _known(self, call: ActivityCall) -> SpanPlace | None:
        known = self._traces.of(call.instance_id)
        return None if known is None else known[1].at(activity_span(known[0], call.task_id))

    async def _learn(self, instance_id: str) -> None:
        record = await self._client.get(instance_id)
        if record is not None:
            self._traces.learn(record.origin)

    @contextmanager
    def _around(self, call: ActivityCall, parent: SpanPlace | None) -> Iterator[None]:
        attributes = {"durabletask.type": "activity", "durabletask.task.name": call.name,
                      "durabletask.task.instance_id": call.instance_id,
                      "durabletask.task.task_id": call.task_id}  # fmt: skip
        with self._spans.around(f"activity:{call.name}", SpanKind.SERVER, parent, attributes) as place:
            token = running_trace.set(TraceContext(place.traceparent, place.state))
            try:
                yield
            finally:
                running_trace.reset(token)
