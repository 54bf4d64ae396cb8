"""What the engine is told by whoever assembles it."""

from datetime import timedelta

import msgspec

from perdure.core.decisions import DecisionLimits
from perdure.core.versioning import Versioning
from perdure.engine.live_instances import LiveLimits


class EngineOptions(msgspec.Struct, frozen=True):
    """What a worker needs to know besides its parts."""

    decisions: DecisionLimits
    versioning: Versioning
    live: LiveLimits = LiveLimits()
    entity_batch_max: int = 5000
    turns_per_round: int = 256
    transaction_characters: int = 16_000_000
    """So much payload at most goes into one transaction, unless a single episode has more: it shall not take a good
    part of a lease, and store and process both hold it in memory several times over."""
    loaded_bytes: int = 64 * 1024 * 1024
    """About so much is loaded in a round, and comes into memory before it is looked whether that is too much."""
    horizon: timedelta = timedelta(hours=1)
    """Messages due within it are kept in memory; those beyond stay in the store until it moves."""
    history_events_noticed: int = 50_000
    """A history of this many events is announced, once."""
    history_bytes_noticed: int = 50_000_000
    """A history of this size, too."""
