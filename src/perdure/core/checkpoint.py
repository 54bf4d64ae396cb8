"""Checkpoint: all that one episode commits (architecture.md J6)."""

from enum import IntEnum

import msgspec

from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord, Origin, Progress
from perdure.core.messages import Envelope


class HistoryChange(IntEnum):
    """What becomes of the stored history."""

    APPEND = 0
    REPLACE = 1
    """The old execution's history and pending activities go first (continue-as-new, J5); the origin is written anew."""
    REMOVE = 2
    """The instance goes, its record included; what is in its inbox stays. For entities only."""


class NewActivity(msgspec.Struct, frozen=True, gc=False):
    """An activity this episode scheduled; ``seq`` is that of its TaskScheduled."""

    seq: int
    task_id: int
    name: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    trace_context: str | None = None


class Creation(msgspec.Struct, eq=False):
    """A new instance and the message that starts it.

    ``if_taken`` is what the commit sends instead when a live instance already has that id
    (a child's id): an answer to the parent. A finished instance of that id is replaced, unless ``keeps_finished``:
    then it counts as taken, too.
    ``replaces``: an instance has the id and gives way; only a storage writes it. ``releases`` let go of the locks that
    this one leaves; the commit that makes the creation true sends them.
    ``has_new_id``: its id was made at random for it, so nobody need look whether something has it.
    """

    record: InstanceRecord
    start: Envelope
    if_taken: Envelope | None = None
    keeps_finished: bool = False
    replaces: bool = False
    releases: list[Envelope] = []
    has_new_id: bool = False


class Checkpoint(msgspec.Struct, eq=False):
    """What one episode of one instance makes true, all or nothing.

    ``expected_last_seq`` is asserted in the transaction. ``events`` get the seqs after it (from 0 after REPLACE).
    ``history_bytes`` is the size of the events as stored; only a storage writes it.
    """

    origin: Origin
    progress: Progress
    expected_last_seq: int
    consumed: list[Envelope]
    events: list[HistoryEvent]
    history: HistoryChange = HistoryChange.APPEND
    outbox: list[Envelope] = []
    children: list[Creation] = []
    activities: list[NewActivity] = []
    history_bytes: int = 0
