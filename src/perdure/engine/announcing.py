"""What a partition tells its observers. Who wants nothing costs nothing."""

from collections.abc import Sequence

from perdure.contracts.executor import ActivityResult
from perdure.contracts.observer import ActivityEnded, EpisodeCommitted, Fact, HistoryGrown, Observer
from perdure.core.checkpoint import Checkpoint
from perdure.engine.live import Episode, LiveInstance
from perdure.engine.options import EngineOptions


class Announcer:
    """The observers of one partition."""

    def __init__(self, observers: Sequence[Observer], options: EngineOptions) -> None:
        self._observers = observers
        self._wanted = frozenset[type]().union(*(observer.wants for observer in observers))
        self.noticed_seq = options.history_events_noticed - 1
        self.noticed_bytes = options.history_bytes_noticed

    def add(self, observer: Observer) -> None:
        """Tell one more observer from now on."""
        self._observers = [*self._observers, observer]
        self._wanted |= observer.wants

    def announce(self, fact: Fact) -> None:
        """Tell whoever wants such facts."""
        for observer in self._observers:
            if type(fact) in observer.wants:
                observer.announce(fact)

    def ended(self, results: Sequence[ActivityResult]) -> None:
        """Activities have ended; their ends are not durable yet."""
        if ActivityEnded in self._wanted:
            for result in results:
                self.announce(ActivityEnded(result.activity.instance_id, result.activity.name, result.failure))

    def grown(self, live: LiveInstance, checkpoint: Checkpoint) -> None:
        """The history is longer by this checkpoint: tell when that passes a limit, once.

        Need not be called for one that ends below both.
        """
        last_seq, size = checkpoint.progress.last_seq, live.history_bytes
        passes_seq = checkpoint.expected_last_seq < self.noticed_seq <= last_seq
        if passes_seq or size - checkpoint.history_bytes < self.noticed_bytes <= size:
            self.announce(HistoryGrown(live.instance_id, checkpoint.origin.name, last_seq + 1, size))

    def committed(self, episodes: Sequence[Episode]) -> None:
        """These are durable and followed up."""
        if EpisodeCommitted in self._wanted:
            for _, checkpoint in episodes:
                self.announce(EpisodeCommitted(checkpoint))
