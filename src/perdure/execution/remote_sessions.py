"""The server's side of an orchestration that runs at workers: its past, kept encoded."""

from collections.abc import Sequence

from perdure.contracts.executor import OrchestrationSession, OrchestrationTurn
from perdure.core.events import HistoryEvent, OrchestratorStarted
from perdure.core.instance import Origin
from perdure.execution.remote_items import EncodedPast, ItemFormat, Work

CHARGE_PER_EVENT = 200


class RemoteSession:
    """One execution. Nothing is encoded before a worker takes its first turn."""

    __slots__ = ("_format", "_history", "_past", "origin", "span")

    def __init__(self, item_format: ItemFormat, origin: Origin, history: Sequence[HistoryEvent]) -> None:
        self.origin = origin
        self.span: str | None = None
        """What the turns of this execution share in traces, as its workers said; known with its past."""
        self._format = item_format
        self._history = list(history)
        self._past: EncodedPast | None = None

    def past(self) -> EncodedPast:
        """The committed history. Raises ValueError when it cannot be encoded."""
        if self._past is None:
            self._past = self._format.past(self.origin, self._history)
            self._note_span(self._history)
            self._history = []
        return self._past

    def follow(self, events: Sequence[HistoryEvent]) -> None:
        """An episode of this execution is committed; ``events`` are what it appended."""
        if self._past is None:
            self._history.extend(events)
        else:
            self._past.append(events)
            self._note_span(events)

    def _note_span(self, events: Sequence[HistoryEvent]) -> None:
        for event in events:
            if type(event) is OrchestratorStarted and event.span is not None:
                self.span = event.span

    def charge(self) -> int:
        """Bytes it holds beside the fixed charge."""
        return CHARGE_PER_EVENT * len(self._history) if self._past is None else self._past.size

    def close(self) -> None:
        """Let go of the past. Twice-safe."""
        self._history, self._past = [], None


def session_of(work: Work) -> RemoteSession:
    """The session whose turn the work is."""
    turn = work.subject
    assert isinstance(turn, OrchestrationTurn)
    session: OrchestrationSession = turn.session
    assert isinstance(session, RemoteSession), "a remote executor was given a session of another one"
    return session
