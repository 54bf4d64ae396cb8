"""Work for remote workers, and how it is put into bytes; neutral: the format itself is handed in."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

import msgspec

from perdure.contracts.executor import EntityTurn, OrchestrationTurn
from perdure.contracts.records import PendingActivity
from perdure.core.events import HistoryEvent
from perdure.core.identifiers import EntityId
from perdure.core.instance import Origin
from perdure.core.registry import Operation


class ItemKind(IntEnum):
    """What a worker can be asked to do; each kind has a limit of its own per worker."""

    ORCHESTRATION = 0
    ACTIVITY = 1
    ENTITY = 2


class EncodedPast(Protocol):
    """The committed history of one execution as bytes, ready to be sent again and again (architecture.md J13)."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    def append(self, events: Sequence[HistoryEvent]) -> None:
        """The episode that ``events`` are is committed."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """All of it, in messages small enough for every worker."""
        ...


class PastForm(IntEnum):
    """How the past travels with an item."""

    WHOLE = 0
    STRIPPED = 1
    """Without the inputs that no worker reads again."""
    ASKED_FOR = 2
    """Not in the item: the worker asks for its chunks."""


class TurnToSend(msgspec.Struct, frozen=True, gc=False):
    """A turn with what its session knows. ``past`` was made by the format that encodes it."""

    origin: Origin
    past: EncodedPast
    events: Sequence[HistoryEvent]
    span: str | None = None


class ItemFormat(Protocol):
    """Turns, batches and activities as the bytes that workers take. Raises ValueError for what cannot be encoded."""

    @property
    def ping(self) -> bytes:
        """An item that asks for nothing."""
        ...

    def past(self, origin: Origin, history: Sequence[HistoryEvent]) -> EncodedPast:
        """Encode a committed history."""
        ...

    def turn(self, token: str, turn: TurnToSend, form: PastForm) -> bytes:
        """One turn of an orchestration."""
        ...

    def batch(self, token: str, entity: EntityId, state: str | None, operations: Sequence[Operation]) -> bytes:
        """Operations of an entity."""
        ...

    def activity(self, token: str, activity: PendingActivity) -> bytes:
        """One run of an activity."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """What workers are given, and for how long they keep it."""

    hub: str = "default"
    limit_per_kind: int = 100 * (os.cpu_count() or 1)
    """For workers that state none: so many items of one kind at once."""
    turn_grace_seconds: float = 10.0
    """So long after a worker's stream is lost its answers to turns and batches still count."""
    activity_grace_seconds: float = 30.0
    backoff_seconds_max: float = 30.0
    ping_seconds: float = 30.0
    """A stream that was silent for so long gets an item that asks for nothing."""
    item_bytes_max: int = 4 * 1024 * 1024
    """What a worker takes in one message; more would end its stream, again and again."""
    streamed_past_bytes: int = 1024 * 1024
    """A longer past is not put into the item of a worker that can ask for it."""
    stripped_past_bytes: int = 3584 * 1024
    """A longer past is sent without what workers never read."""
    entity_operations_max: int = 500
    entity_bytes_max: int = 3584 * 1024
    payload_bytes_max: int = 16 * 1024 * 1024
    partial_bytes_max: int = 64 * 1024 * 1024
    """So much of an answer that comes in parts is kept."""

    def with_items_up_to(self, size: int) -> "RemoteOptions":
        """For workers that take messages of ``size`` bytes."""
        return replace(self, item_bytes_max=size, stripped_past_bytes=size - _SPARE, entity_bytes_max=size - _SPARE)


_SPARE = 512 * 1024
"""Left in a message for what comes beside a past or an entity's state."""


class LaneKey(msgspec.Struct, frozen=True, gc=False):
    """Items that the same workers take. ``asks_past``: only workers that ask for the past can take them."""

    kind: ItemKind
    name: str
    version: str = ""
    asks_past: bool = False


Subject = OrchestrationTurn | EntityTurn | PendingActivity


class Work(msgspec.Struct, eq=False):
    """One piece of work from its arrival until it is answered or taken back."""

    lane: LaneKey
    instance_id: str
    subject: Subject
    abandons: int = 0
    avoid: str | None = None
    """The worker that gave it back; another one is asked first."""
    rests_until: float = 0.0
    """On the loop's clock; it is not offered before, since it was given back."""
    since: float = 0.0
    """On the loop's clock: when it was offered first. No two have the same."""
    is_unwanted: bool = False
    """A turn that was wanted back while a worker had it: it is given up when that worker gives it back or is lost."""
