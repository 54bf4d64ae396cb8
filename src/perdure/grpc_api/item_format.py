"""The protocol's bytes for the remote executor: pasts that grow by appending, and work items."""

import operator
from collections.abc import Iterator, Sequence
from typing import cast

from perdure.contracts.records import PendingActivity
from perdure.core.events import HistoryEvent
from perdure.core.identifiers import EntityId
from perdure.core.instance import Origin
from perdure.core.registry import Operation
from perdure.execution.remote_items import EncodedPast, PastForm, TurnToSend
from perdure.formats.protobuf.entities import entity_item
from perdure.formats.protobuf.events import Frames, HistoryWriter, history_chunks, past_frames
from perdure.formats.protobuf.work_items import (
    HEALTH_PING,
    activity_item,
    orchestrator_item,
    streaming_item,
    stripped,
)


class ProtocolPast:
    """One execution's past as the field ``pastEvents``. Events of a turn that was sent are not encoded again."""

    __slots__ = ("_encoded", "_events", "_frames", "_writer")

    def __init__(self, origin: Origin, history: Sequence[HistoryEvent]) -> None:
        self._writer = HistoryWriter(origin.instance_id, origin.execution_id)
        self._encoded = bytearray(self._writer.append(history))
        self._events: Sequence[HistoryEvent] = ()
        self._frames: Frames = []

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._encoded)

    def encoded(self) -> bytes:
        """All of it. Not copied: it is to be used before anything is appended."""
        return cast("bytes", self._encoded)

    def frames(self, events: Sequence[HistoryEvent]) -> Frames:
        """The events of the turn that is sent now."""
        if self._events is not events:
            self._events, self._frames = events, self._writer.frames(events)
        return self._frames

    def append(self, events: Sequence[HistoryEvent]) -> None:
        """More of the past. Raises ValueError for text that cannot be encoded."""
        count = len(self._events)
        # What an episode adds begins with what its worker was told, unless it took only some of that.
        if 1 < count <= len(events) and all(map(operator.is_, self._events[1:], events[1:count])):
            self._encoded += self._writer.settle(self._frames, events[count:])
        else:
            self._encoded += self._writer.append(events)
        self._events, self._frames = (), []

    def chunks(self) -> Iterator[bytes]:
        """All of it as ``HistoryChunk``s."""
        return history_chunks(past_frames(bytes(self._encoded)))


class ProtocolItems:
    """See ``ItemFormat``."""

    ping = HEALTH_PING

    def past(self, origin: Origin, history: Sequence[HistoryEvent]) -> ProtocolPast:
        """Encode a committed history."""
        return ProtocolPast(origin, history)

    def turn(self, token: str, turn: TurnToSend, form: PastForm) -> bytes:
        """One turn of an orchestration."""
        past: EncodedPast = turn.past
        assert isinstance(past, ProtocolPast)
        origin, frames = turn.origin, past.frames(turn.events)
        if form is PastForm.ASKED_FOR:
            return streaming_item(
                instance_id=origin.instance_id,
                execution_id=origin.execution_id,
                new=frames,
                token=token,
                span=turn.span,
            )
        return orchestrator_item(
            instance_id=origin.instance_id,
            execution_id=origin.execution_id,
            past=past.encoded() if form is PastForm.WHOLE else stripped(bytes(past.encoded())),
            new=frames,
            token=token,
            span=turn.span,
        )

    def batch(self, token: str, entity: EntityId, state: str | None, operations: Sequence[Operation]) -> bytes:
        """Operations of an entity."""
        return entity_item(entity, state, operations, token=token)

    def activity(self, token: str, activity: PendingActivity) -> bytes:
        """One run of an activity."""
        return activity_item(activity, token)
