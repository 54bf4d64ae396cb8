"""What all portable workers share: what they were given to run, and their start and stop."""

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.working.described_failures import ExceptionPropertiesProvider, describer
from durabletask.working.functions import Definitions, Functions, define
from durabletask.working.options import (
    ActivityWorkItemFilter,
    ConcurrencyOptions,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    VersioningOptions,
    VersionMatchStrategy,
    WorkItemFilters,
)
from durabletask.working.runtime import Runtime
from durabletask.working.start import WorkerStart
from durabletask.working.user_loop import UserLoop

F = TypeVar("F", bound=Callable[..., Any])
W = TypeVar("W", bound="WorkerBase")

SCHEDULED_TASKS = 2
LARGE_PAYLOADS = 3

_UNSET: Any = object()


class WorkerBase:
    """Functions, options, start and stop. Registration ends with ``start``; a stopped worker may start again."""

    def __init__(
        self,
        *,
        concurrency_options: ConcurrencyOptions | None,
        maximum_timer_interval: timedelta | None,
        data_converter: DataConverter | None,
        emit_trace_spans: bool,
        exception_properties_provider: ExceptionPropertiesProvider | None,
        logger: logging.Logger,
    ) -> None:
        if maximum_timer_interval is not None and maximum_timer_interval <= timedelta(0):
            raise ValueError(f"maximum_timer_interval must be positive, not {maximum_timer_interval}.")
        self._functions = Functions()
        self._concurrency = concurrency_options or ConcurrencyOptions()
        self._maximum_timer_interval = maximum_timer_interval
        self._converter = data_converter or DEFAULT_DATA_CONVERTER
        self._emit_trace_spans = emit_trace_spans
        self._properties_provider = exception_properties_provider
        self._logger = logger
        self._versioning: VersioningOptions | None = None
        self._filters: WorkItemFilters | None = None
        self._makes_filters = False
        self._capabilities: set[int] = set()
        self._runtime: Runtime | None = None
        self._start: WorkerStart | None = None
        self._turnover = threading.Lock()

    @property
    def concurrency_options(self) -> ConcurrencyOptions:
        """How much it does at once."""
        return self._concurrency

    @property
    def maximum_timer_interval(self) -> timedelta | None:
        """Longer timers are made of several; None: of one."""
        return self._maximum_timer_interval

    @property
    def emit_trace_spans(self) -> bool:
        """Whether spans are made; the trace's context travels in either case."""
        return self._emit_trace_spans

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._runtime is not None

    def add_orchestrator(self, fn: Callable[..., Any], *, name: str | None = None) -> str:
        """Register an orchestrator; returns its name.

        Raises ValueError for a name that is taken, a lambda without a name or a function marked as something else,
        TypeError for an async generator, RuntimeError while the worker runs.
        """
        self._check_stopped("Orchestrators")
        return self._functions.add_orchestrator(fn, name)

    def add_orchestration(self, fn: Callable[..., Any], *, name: str | None = None) -> str:
        """``add_orchestrator``."""
        return self.add_orchestrator(fn, name=name)

    def add_activity(self, fn: Callable[..., Any], *, name: str | None = None) -> str:
        """Register an activity; returns its name. Raises as ``add_orchestrator``."""
        self._check_stopped("Activities")
        return self._functions.add_activity(fn, name)

    def add_entity(self, fn: Callable[..., Any], name: str | None = None) -> str:
        """Register an entity function, or a DurableEntity class; returns the name as given. Raises ValueError."""
        self._check_stopped("Entities")
        return self._functions.add_entity(fn, name)

    def add_all(self, *functions_or_modules: Any) -> None:
        """Register what is marked by @task.orchestration, @task.activity and @task.entity. Raises ValueError."""
        self._check_stopped("Functions")
        self._functions.add_marked(functions_or_modules)

    def orchestrator(self, name: str | None = None) -> Callable[[F], F]:
        """A decorator that registers an orchestrator and leaves the function as it is."""

        def register(function: F) -> F:
            self.add_orchestrator(function, name=name)
            return function

        return register

    def activity(self, name: str | None = None) -> Callable[[F], F]:
        """A decorator that registers an activity and leaves the function as it is."""

        def register(function: F) -> F:
            self.add_activity(function, name=name)
            return function

        return register

    def entity(self, name: str | None = None) -> Callable[[F], F]:
        """A decorator that registers an entity and leaves the function or class as it is."""

        def register(function: F) -> F:
            self.add_entity(function, name)
            return function

        return register

    def add_capability(self, capability: int) -> None:
        """Announce a WORKER_CAPABILITY_… to the server."""
        self._check_stopped("Capabilities")
        self._capabilities.add(int(capability))

    def configure_scheduled_tasks(self) -> None:
        """Run schedules: the entity that keeps them, and the orchestrator that clients drive it by. Twice-safe."""
        self._check_stopped("Schedules")
        if SCHEDULED_TASKS in self._capabilities:
            return
        from durabletask.scheduled.operation import execute_schedule_operation_orchestrator
        from durabletask.scheduled.schedule_entity import ENTITY_NAME, Schedule

        self._functions.add_entity(Schedule, ENTITY_NAME)
        self._functions.add_orchestrator(execute_schedule_operation_orchestrator)
        self._capabilities.add(SCHEDULED_TASKS)

    def use_versioning(self, version: VersioningOptions) -> None:
        """Run only orchestrations of versions that fit."""
        self._check_stopped("Versioning options")
        self._versioning = version

    def use_work_item_filters(self, filters: WorkItemFilters | None = _UNSET) -> None:
        """Take only what fits: without an argument what is registered at the start, None: everything.

        Raises TypeError for anything else.
        """
        self._check_stopped("Work item filters")
        if filters is _UNSET:
            self._filters, self._makes_filters = None, True
        elif filters is None or isinstance(filters, WorkItemFilters):
            self._filters, self._makes_filters = filters, False
        else:
            raise TypeError(f"use_work_item_filters takes WorkItemFilters or None, not a {type(filters).__name__}.")

    def start(self) -> WorkerStart:
        """Begin to work, and return at once; await what it returns to know that work can come.

        Raises RuntimeError when the worker runs already, and what is wrong with an address or options that can never
        be connected with.
        """
        with self._turnover:
            if self._runtime is not None:
                raise RuntimeError("The worker is already running.")
            user_loop = UserLoop()
            definitions = define(
                self._functions,
                self._converter,
                describe=describer(self._properties_provider),
                longest_timer=self._maximum_timer_interval,
                run_coroutine=user_loop.run,
            )
            runtime = self._make_runtime(definitions, user_loop)
            start = WorkerStart()
            try:
                runtime.begin(start)
            except BaseException:
                runtime.stop()
                raise
            self._runtime, self._start = runtime, start
            return start

    def stop(self) -> None:
        """Take no more work and return when all in hand is done. Twice-safe."""
        with self._turnover:
            runtime, start = self._runtime, self._start
            if runtime is None or start is None:
                return
            start.stopped()
            try:
                runtime.stop()
            finally:
                self._runtime = self._start = None

    async def aclose(self) -> None:
        """``stop``, without blocking the loop."""
        await asyncio.to_thread(self.stop)

    def __enter__(self: W) -> W:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self: W) -> W:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _make_runtime(self, definitions: Definitions, user_loop: UserLoop) -> Runtime:
        raise NotImplementedError

    def _work_item_filters(self) -> WorkItemFilters | None:
        """What the worker takes; None: everything."""
        if not self._makes_filters:
            return self._filters
        versioning = self._versioning
        is_strict = versioning is not None and versioning.match_strategy == VersionMatchStrategy.STRICT
        versions = [versioning.version or ""] if versioning is not None and is_strict else []
        functions = self._functions
        return WorkItemFilters(
            [OrchestrationWorkItemFilter(name, versions) for name in functions.orchestrators],
            [ActivityWorkItemFilter(name, versions) for name in functions.activities],
            [EntityWorkItemFilter(name) for name in functions.entities],
        )

    def _check_stopped(self, what: str) -> None:
        if self._runtime is not None:
            raise RuntimeError(f"{what} cannot be changed while the worker is running; stop it first.")
