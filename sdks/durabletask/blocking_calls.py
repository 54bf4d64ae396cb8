"""The methods of clients whose calls block: each is the coroutine of ``AsyncCalls``, run to its end."""

from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from typing import Any, TypeVar

from durabletask.async_calls import AsyncCalls
from durabletask.blocking_methods import BlockingMethods
from durabletask.driving import Driver
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.states import OrchestrationQuery, OrchestrationState

T = TypeVar("T")


class BlockingCalls(BlockingMethods):
    """What is asked of a task hub. Arguments, answers and errors are those of ``AsyncCalls``."""

    def __init__(self, calls: AsyncCalls, driver: Driver) -> None:
        self._awaited = calls
        self._driver = driver

    @property
    def _calls(self) -> AsyncCalls:
        return self._awaited

    def _run(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._driver.block(begin)

    @property
    def emit_trace_spans(self) -> bool:
        """Whether spans are made; contexts are passed on in any case."""
        return self._calls.emit_trace_spans

    def iter_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> Iterator[OrchestrationState]:
        """The same, a page at a time as they are asked for."""
        walk = self._calls.walk_orchestration_states(orchestration_query)
        while not walk.is_over:
            yield from self._driver.block(walk.next_page)

    def signal_entity(
        self,
        entity_instance_id: EntityInstanceId,
        operation_name: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Ask an entity for an operation, not before ``signal_time``; returns once the request is stored."""
        return self._run(lambda: self._calls.signal_entity(entity_instance_id, operation_name, input, signal_time))

    def close(self) -> None:
        """Let go of the connection; never of a channel that was given. Twice-safe."""
        return self._run(lambda: self._calls.close())
