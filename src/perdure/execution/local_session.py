"""A live program kept between episodes."""

from collections.abc import Sequence

from perdure.core.actions import Fail, TurnResult
from perdure.core.errors import NotRegistered
from perdure.core.events import HistoryEvent
from perdure.core.failures import failure_of
from perdure.core.instance import Origin
from perdure.core.registry import Registry
from perdure.core.replay.replayer import Replayer


class LocalSession:
    """One orchestration's program in this process; the history it was opened with is replayed by its first turn."""

    __slots__ = ("_history", "_registry", "_replayer", "origin")

    def __init__(self, registry: Registry, origin: Origin, history: Sequence[HistoryEvent]) -> None:
        self.origin = origin
        self._registry = registry
        self._history: Sequence[HistoryEvent] | None = history
        self._replayer: Replayer | None = None

    def advance(self, events: Sequence[HistoryEvent]) -> TurnResult:
        """Run one turn; called on a turn thread, one call at a time. Never raises for what user code does."""
        replayer = self._replayer
        if replayer is None:
            try:
                definition = self._registry.orchestrator(self.origin.name)
            except NotRegistered as error:
                return TurnResult(ending=Fail(failure_of(error)))
            replayer = self._replayer = Replayer(definition, self.origin.instance_id)
            history, self._history = self._history, None
            if history:
                replayer.replay(history)
        return replayer.advance(events)

    def charge(self) -> int:
        """Bytes it holds beside the fixed charge: what waits to be replayed."""
        return 0 if self._history is None else 200 * len(self._history)

    def close(self) -> None:
        """Close the program. Twice-safe."""
        replayer, self._replayer = self._replayer, None
        self._history = None
        if replayer is not None:
            replayer.close()
