"""Work that one process offers and another one does, and what came of it ↔ JSON text.

It lives only as long as the offer, but processes of two versions may share a hub: a field that is added has a default.
"""

import zlib
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from perdure.contracts.records import PendingActivity
from perdure.core.actions import TurnResult
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin
from perdure.core.registry import Operation, OperationOutcome
from perdure.formats.stored import UnreadableText, write_events

T = TypeVar("T")


class OfferedTurn(msgspec.Struct, omit_defaults=True):
    """One turn of an orchestration. Its past is the stored history, if that has so many events and ends so.

    ``past``: the history itself, where it is not the stored one.
    """

    origin: Origin
    events: list[HistoryEvent]
    past_count: int = 0
    past_end: int = 0
    """See ``end_of``."""
    past: list[HistoryEvent] | None = None


class OfferedBatch(msgspec.Struct, omit_defaults=True):
    """Operations of one entity; ``entity`` is ``@name@key``."""

    entity: str
    state: str | None
    operations: list[Operation]


class Ran(msgspec.Struct, tag=True):
    """The turn has its result."""

    result: TurnResult


class RanBatch(msgspec.Struct, tag=True):
    """The batch, or the first of it, has its outcomes."""

    outcomes: list[OperationOutcome]


class NeedsPast(msgspec.Struct, tag=True):
    """What is stored is not the past of this turn."""


class GaveUp(msgspec.Struct, tag=True):
    """It came to no end there."""


TurnAnswer = Ran | RanBatch | NeedsPast | GaveUp

_encode = msgspec.json.Encoder().encode
_turn = msgspec.json.Decoder(OfferedTurn)
_batch = msgspec.json.Decoder(OfferedBatch)
_activity = msgspec.json.Decoder(PendingActivity)
_answer: msgspec.json.Decoder[TurnAnswer] = msgspec.json.Decoder(TurnAnswer)


def end_of(history: Sequence[HistoryEvent]) -> int:
    """What tells one history from another one of the same length; 0 for none."""
    return zlib.crc32(write_events(history[-1:])) if history else 0


def write_offer(work: OfferedTurn | OfferedBatch | PendingActivity) -> str:
    """Raises UnicodeEncodeError for a lone surrogate."""
    return _encode(work).decode()


def read_offered_turn(text: str) -> OfferedTurn:
    """Raises UnreadableText."""
    return _read(_turn, text)


def read_offered_batch(text: str) -> OfferedBatch:
    """Raises UnreadableText."""
    return _read(_batch, text)


def read_offered_activity(text: str) -> PendingActivity:
    """Raises UnreadableText."""
    return _read(_activity, text)


def write_answer(answer: TurnAnswer) -> str:
    """Raises UnicodeEncodeError for a lone surrogate."""
    return _encode(answer).decode()


def read_answer(text: str) -> TurnAnswer:
    """Raises UnreadableText."""
    return _read(_answer, text)


def _read(decoder: msgspec.json.Decoder[T], text: str) -> T:
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableText(str(error)) from error
