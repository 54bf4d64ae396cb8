"""What the engine announces, as log lines."""

import logging

from perdure.contracts.errors import StorageError
from perdure.contracts.observer import (
    EpisodeFailed,
    Fact,
    HistoryGrown,
    InstanceDamaged,
    MessageDropped,
    PartitionFailed,
    TurnBlocked,
    TurnGivenUp,
    VersionRejected,
)

logger = logging.getLogger("perdure.engine")


class LoggingObserver:
    """Writes what somebody should know; what happens all the time is passed over."""

    wants: frozenset[type] = frozenset(
        {
            EpisodeFailed,
            TurnBlocked,
            TurnGivenUp,
            InstanceDamaged,
            PartitionFailed,
            MessageDropped,
            HistoryGrown,
            VersionRejected,
        }
    )

    def announce(self, fact: Fact) -> None:
        """See ``contracts.observer.Observer``."""
        if isinstance(fact, TurnBlocked):
            logger.warning(
                "'%s' (instance '%s') has not returned for %.0f s; other instances go on without it. It is at:\n%s",
                fact.name, fact.instance_id, fact.seconds, fact.stack,
            )  # fmt: skip
        elif isinstance(fact, TurnGivenUp):
            logger.error(
                "'%s' (instance '%s') has not returned within functionTimeout (%.0f s); its thread is left alone and "
                "the instance goes on from its history in another. It is at:\n%s",
                fact.name, fact.instance_id, fact.seconds, fact.stack,
            )  # fmt: skip
        elif isinstance(fact, VersionRejected):
            logger.warning(
                "Instance '%s' is left as it is. %s It goes on when an app that runs its version is started.",
                fact.instance_id, fact.reason,
            )  # fmt: skip
        elif isinstance(fact, InstanceDamaged):
            logger.error(
                "Instance '%s' is left alone, its history is damaged: %s (see: perdure verify)",
                fact.instance_id, fact.reason,
            )  # fmt: skip
        elif isinstance(fact, EpisodeFailed):
            logger.error(
                "Instance '%s' fails by an error of the engine's own; please report it.",
                fact.instance_id, exc_info=fact.error,
            )  # fmt: skip
        elif isinstance(fact, PartitionFailed):
            # A store that fails is named; anything else is an error of ours, and only its traceback says where.
            shown = None if isinstance(fact.error, StorageError) else fact.error
            logger.critical("The engine stops: %s: %s", type(fact.error).__name__, fact.error, exc_info=shown)
        elif isinstance(fact, HistoryGrown):
            logger.warning(
                "The history of '%s' ('%s') holds %d events in %d bytes; continue_as_new begins a new one.",
                fact.instance_id, fact.name, fact.events, fact.size,
            )  # fmt: skip
        elif isinstance(fact, MessageDropped):
            logger.debug("%s for '%s' was dropped: %s", fact.message, fact.instance_id, fact.reason)
