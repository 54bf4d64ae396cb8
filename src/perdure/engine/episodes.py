"""The two ends of an episode: what an instance takes in, and what it makes of its turn. An error stays its own."""

from collections.abc import Callable, Sequence
from datetime import datetime

from perdure.contracts.executor import Executor, Turn
from perdure.contracts.observer import EpisodeFailed, Fact, VersionRejected
from perdure.contracts.records import Round
from perdure.core.checkpoint import Checkpoint
from perdure.core.failures import failure_of
from perdure.core.messages import Envelope
from perdure.engine.live import Begun, Episode, LiveInstance
from perdure.engine.orchestration_episode import LiveOrchestration
from perdure.engine.rejections import Rejections
from perdure.engine.settlements import Settlements


class Episodes:
    """Of one runner."""

    def __init__(
        self, executor: Executor, rejections: Rejections, settlements: Settlements, announce: Callable[[Fact], None]
    ) -> None:
        self._executor = executor
        self._rejections = rejections
        self._settlements = settlements
        self._announce = announce

    def begin_all(
        self, ready: Sequence[LiveInstance], now: datetime, round_: Round, episodes: list[Episode]
    ) -> tuple[list[tuple[LiveInstance, Turn]], dict[str, list[Envelope]]]:
        """Begin an episode of each; gives the turns that must run, and by instance what it holds back."""
        begun: list[tuple[LiveInstance, Turn]] = []
        held: dict[str, list[Envelope]] = {}
        for live in ready:
            beginning = self._begin(live, now)
            if beginning.kept:
                held[live.instance_id] = beginning.kept
            if beginning.dropped:
                round_.discarded.extend(beginning.dropped)
            if beginning.turn is not None:
                begun.append((live, beginning.turn))
            elif beginning.checkpoint is not None:
                episodes.append((live, beginning.checkpoint))
            elif beginning.rejected is not None:
                self._reject(live, beginning.rejected)
        return begun, held

    def _begin(self, live: LiveInstance, now: datetime) -> Begun:
        envelopes = live.queue
        try:
            return live.begin(now, self._executor)
        except Exception as error:
            # An error of ours, or a state we did not think of: it must not be everybody's.
            self._announce(EpisodeFailed(live.instance_id, error))
            return live.refuse(envelopes, now, failure_of(error))

    def _reject(self, live: LiveInstance, reason: str) -> None:
        assert isinstance(live, LiveOrchestration), "only orchestrations have versions"
        if self._rejections.add(live.instance.origin):
            self._announce(VersionRejected(live.instance_id, reason))

    def finish(self, live: LiveInstance) -> Checkpoint:
        """What its turn, which has ended, commits."""
        if live.turn is not None and live.turn.settled is not None:
            self._settlements.owe_turn(live.turn)
        try:
            return live.finish()
        except Exception as error:
            self._announce(EpisodeFailed(live.instance_id, error))
            return live.fail(failure_of(error))
