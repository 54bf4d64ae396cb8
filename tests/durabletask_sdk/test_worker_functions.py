"""What a worker may be given, and when."""

import asyncio
import logging
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from durabletask import task
from durabletask.entities import DurableEntity
from durabletask.worker import (
    ConcurrencyOptions,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    VersioningOptions,
    VersionMatchStrategy,
    WorkItemFilters,
)
from durabletask.working.functions import Definitions
from durabletask.working.start import WorkerStart
from durabletask.working.user_loop import UserLoop
from durabletask.working.worker_base import WorkerBase


class QuietRuntime:
    """Connects when it is told to."""

    def __init__(self) -> None:
        self.start: WorkerStart | None = None
        self.stops = 0

    def begin(self, start: WorkerStart) -> None:
        self.start = start

    def stop(self) -> None:
        self.stops += 1


class QuietWorker(WorkerBase):
    """A worker without a hub."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            concurrency_options=None,
            maximum_timer_interval=None,
            data_converter=None,
            emit_trace_spans=True,
            exception_properties_provider=None,
            logger=logging.getLogger("test"),
            **options,
        )
        self.runtimes: list[QuietRuntime] = []
        self.definitions: Definitions | None = None

    def _make_runtime(self, definitions: Definitions, user_loop: UserLoop) -> QuietRuntime:
        self.definitions = definitions
        self.runtimes.append(QuietRuntime())
        return self.runtimes[-1]

    def filters(self) -> WorkItemFilters | None:
        return self._work_item_filters()


@pytest.fixture
def worker() -> Iterator[QuietWorker]:
    worker = QuietWorker()
    yield worker
    worker.stop()


def order(ctx: Any, input: Any) -> Iterator[Any]:
    yield ctx.call_activity("ship")


def ship(ctx: Any, input: Any) -> None:
    """Nothing."""


class Cart(DurableEntity):
    """An entity by class."""


def test_registration_answers_the_name(worker: QuietWorker) -> None:
    assert worker.add_orchestrator(order) == "order"
    assert worker.add_orchestration(order, name="other") == "other"
    assert worker.add_activity(ship) == "ship"
    assert worker.add_entity(Cart) == "Cart"
    assert worker.add_entity(ship, "Basket") == "Basket"
    worker.start()
    assert worker.definitions is not None
    assert set(worker.definitions.orchestrators) == {"order", "other"}
    assert set(worker.definitions.entities) == {"cart", "basket"}


def test_names_are_taken_once(worker: QuietWorker) -> None:
    worker.add_activity(ship)
    with pytest.raises(ValueError, match="'ship' is already registered"):
        worker.add_activity(ship)
    worker.add_entity(Cart)
    with pytest.raises(ValueError, match="'cart' is already registered"):
        worker.add_entity(ship, "CART")


def test_a_function_is_registered_as_what_it_is_marked(worker: QuietWorker) -> None:
    marked = task.activity(ship)
    with pytest.raises(ValueError, match=r"marked as an activity; add it by add_activity"):
        worker.add_orchestrator(marked)
    del marked.__durable_kind__  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", [lambda ctx, input: None, "no function"])
def test_what_has_no_name_or_is_no_function_is_refused(worker: QuietWorker, what: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        worker.add_orchestrator(what)


def test_async_generators_are_refused(worker: QuietWorker) -> None:
    async def endless(ctx: Any, input: Any) -> Any:
        yield 1

    with pytest.raises(TypeError, match="async generator"):
        worker.add_orchestrator(endless)


def test_decorators_register_and_leave_the_function(worker: QuietWorker) -> None:
    @worker.orchestrator()
    def first(ctx: Any, input: Any) -> int:
        return 1

    @worker.activity("second")
    def act(ctx: Any, input: Any) -> int:
        return 2

    @worker.entity()
    def third(ctx: Any, input: Any) -> int:
        return 3

    assert (first(None, None), act(None, None), third(None, None)) == (1, 2, 3)
    worker.start()
    assert worker.definitions is not None
    assert (set(worker.definitions.orchestrators), set(worker.definitions.activities)) == ({"first"}, {"second"})


def test_marked_functions_and_modules_at_once(worker: QuietWorker) -> None:
    module = types.ModuleType("workflows")
    source = """
from durabletask import task
@task.orchestration
def main(ctx, input): return 1
@task.activity(name="named")
def other(ctx, input): return 2
def plain(): ...
"""
    exec(source, module.__dict__)
    sys.modules.setdefault("workflows", module)
    try:
        worker.add_all(module)
    finally:
        del sys.modules["workflows"]
    worker.start()
    assert worker.definitions is not None
    assert (list(worker.definitions.orchestrators), list(worker.definitions.activities)) == (["main"], ["named"])


def test_what_is_not_marked_is_named(worker: QuietWorker) -> None:
    with pytest.raises(ValueError, match=r"'ship' is not marked; decorate it"):
        worker.add_all(ship)


def test_nothing_changes_while_it_runs(worker: QuietWorker) -> None:
    worker.start()
    assert worker.is_running
    for change in (
        lambda: worker.add_activity(ship),
        lambda: worker.add_orchestrator(order),
        lambda: worker.add_entity(Cart),
        lambda: worker.use_versioning(VersioningOptions()),
        lambda: worker.use_work_item_filters(),
        worker.configure_scheduled_tasks,
    ):
        with pytest.raises(RuntimeError, match="while the worker is running"):
            change()
    with pytest.raises(RuntimeError, match=r"^The worker is already running\.$"):
        worker.start()


def test_a_stopped_worker_starts_again(worker: QuietWorker) -> None:
    worker.stop()
    worker.start()
    worker.stop()
    worker.stop()
    worker.start()
    assert [runtime.stops for runtime in worker.runtimes] == [1, 0]


def test_start_is_awaited_or_waited_for_or_ignored(worker: QuietWorker) -> None:
    started = worker.start()
    assert not started.connected
    assert not started.wait(0)
    worker.runtimes[-1].start.opened()  # type: ignore[union-attr]
    assert started.connected
    assert started.wait(0)

    async def awaited() -> None:
        await started

    asyncio.run(awaited())


def test_an_awaiter_of_a_worker_that_stops_gets_an_error(worker: QuietWorker) -> None:
    async def run() -> None:
        async with worker:
            started = worker.start()
            waiting = asyncio.ensure_future(started)
            await asyncio.sleep(0)
            await worker.aclose()
            with pytest.raises(RuntimeError, match="stopped before it was connected"):
                await waiting

    asyncio.run(run())
    assert not worker.is_running


def test_filters_are_made_given_or_none(worker: QuietWorker) -> None:
    worker.add_orchestrator(order)
    worker.add_activity(ship)
    worker.add_entity(Cart)
    assert worker.filters() is None
    worker.use_work_item_filters()
    assert worker.filters() == WorkItemFilters(
        [OrchestrationWorkItemFilter("order")],
        [task_filter("ship")],
        [EntityWorkItemFilter("cart")],
    )
    worker.use_versioning(VersioningOptions("2", match_strategy=VersionMatchStrategy.STRICT))
    made = worker.filters()
    assert made is not None
    assert made.orchestrations[0].versions == ["2"]
    own = WorkItemFilters([OrchestrationWorkItemFilter("a", ["1"])])
    worker.use_work_item_filters(own)
    assert worker.filters() is own
    worker.use_work_item_filters(None)
    assert worker.filters() is None
    with pytest.raises(TypeError, match="WorkItemFilters or None"):
        worker.use_work_item_filters("all")  # type: ignore[arg-type]


def task_filter(name: str) -> Any:
    from durabletask.worker import ActivityWorkItemFilter

    return ActivityWorkItemFilter(name)


def test_names_in_entity_filters_are_entity_names() -> None:
    assert EntityWorkItemFilter("Cart").name == "cart"
    with pytest.raises(ValueError, match="@"):
        EntityWorkItemFilter("@cart")


def test_concurrency_has_defaults_and_bounds() -> None:
    assert ConcurrencyOptions().maximum_concurrent_activity_work_items >= 100
    assert ConcurrencyOptions(maximum_thread_pool_workers=3).maximum_thread_pool_workers == 3
    with pytest.raises(ValueError, match="maximum_concurrent_activity_work_items must be at least 1"):
        ConcurrencyOptions(maximum_concurrent_activity_work_items=0)


def test_schedules_are_configured_once(worker: QuietWorker) -> None:
    worker.configure_scheduled_tasks()
    worker.configure_scheduled_tasks()
    worker.start()
    assert worker.definitions is not None
    assert "schedule" in worker.definitions.entities
    assert "execute_schedule_operation_orchestrator" in worker.definitions.orchestrators
