"""A session of this process: one Replayer, opened with history and advanced with new events."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from perdure.contracts.executor import OrchestrationTurn
from perdure.core.actions import Fail, TurnResult
from perdure.core.errors import NotRegistered
from perdure.core.events import HistoryEvent
from perdure.core.failures import failure_of
from perdure.core.instance import Origin
from perdure.core.registry import OutsideDefinition, Registry
from perdure.core.replay.replayer import Replayer

if TYPE_CHECKING:
    from perdure.core.replay.outside_code import OutsideReplayer


class LocalSession:
    """One orchestration's program in this process; the history it was opened with is replayed by its first turn.

    ``let_go`` runs a turn without events, which calls ``end``, where user code may run.
    """

    follow = None
    __slots__ = ("_ended", "_history", "_let_go", "_registry", "_replayer", "origin")

    def __init__(
        self,
        registry: Registry,
        origin: Origin,
        history: Sequence[HistoryEvent],
        let_go: Callable[[OrchestrationTurn], None],
    ) -> None:
        self.origin = origin
        self._let_go = let_go
        self._ended: Replayer | OutsideReplayer | None = None
        self._registry = registry
        self._history: Sequence[HistoryEvent] | None = history
        self._replayer: Replayer | OutsideReplayer | None = None

    def advance(self, events: Sequence[HistoryEvent]) -> TurnResult:
        """Run one turn; called on a turn thread, one call at a time. Never raises for what user code does."""
        replayer = self._replayer
        if replayer is None:
            try:
                definition = self._registry.orchestrator(self.origin.name)
            except NotRegistered as error:
                return TurnResult(ending=Fail(failure_of(error)))
            instance_id = self.origin.instance_id
            if isinstance(definition, OutsideDefinition):
                replayer = _outside_replayer(definition, instance_id)
            else:
                replayer = Replayer(definition, instance_id)
            self._replayer = replayer
            history, self._history = self._history, None
            if history:
                replayer.replay(history)
        return replayer.advance(events)

    @property
    def is_replaying(self) -> bool:
        """Whether its program runs over what it did before."""
        replayer = self._replayer
        return isinstance(replayer, Replayer) and replayer.is_replaying

    def charge(self) -> int:
        """Bytes it holds beside the fixed charge: what waits to be replayed, or text that its program has not taken."""
        if self._history is not None:
            return 200 * len(self._history)
        return self._replayer.charge() if isinstance(self._replayer, Replayer) else 0

    def close(self) -> None:
        """Let the program be closed; its ``finally`` blocks run where turns do. Twice-safe."""
        replayer, self._replayer = self._replayer, None
        self._history = None
        if replayer is not None and not replayer.is_over:
            self._ended = replayer
            self._let_go(OrchestrationTurn(self, []))

    def abandon(self) -> None:
        """Nobody waits for the turn that its program is in: whoever runs that calls ``end`` when it has returned."""
        self._ended, self._replayer = self._replayer, None

    def end(self) -> None:
        """Close the program; called on a turn thread."""
        replayer, self._ended = self._ended, None
        if replayer is not None:
            replayer.close()


def _outside_replayer(definition: OutsideDefinition, instance_id: str) -> "OutsideReplayer":
    # Only guests have such code; a plain app does not pay for its import.
    from perdure.core.replay.outside_code import replayer_of

    return replayer_of(definition, instance_id)
