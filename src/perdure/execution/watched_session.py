"""A session of this process whose turns somebody watches, as for spans (``core.replay.definition.AroundTurn``)."""

from collections.abc import Callable, Sequence

from perdure.contracts.executor import OrchestrationTurn
from perdure.core.actions import TurnResult
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin
from perdure.core.registry import Registry
from perdure.core.replay.definition import AroundTurn
from perdure.execution.local_session import LocalSession


class WatchedSession(LocalSession):
    """Keeps the committed history, to show it with each turn."""

    __slots__ = ("_around", "_past")

    def __init__(
        self,
        registry: Registry,
        origin: Origin,
        history: Sequence[HistoryEvent],
        let_go: Callable[[OrchestrationTurn], None],
        *,
        around: AroundTurn,
    ) -> None:
        super().__init__(registry, origin, history, let_go)
        self._around = around
        self._past = list(history)

    def follow(self, events: Sequence[HistoryEvent]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """An episode of this execution is committed; ``events`` are what it appended."""
        self._past.extend(events)

    def advance(self, events: Sequence[HistoryEvent]) -> TurnResult:
        """See ``LocalSession``."""
        return self._around(self.origin.instance_id, self._past, events, super().advance(events))

    def charge(self) -> int:
        """See ``LocalSession``."""
        return super().charge() + 200 * len(self._past)
