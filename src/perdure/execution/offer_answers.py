"""What an offer asks for, and what came of it: the values in between, in their stored forms."""

import msgspec

from perdure.contracts.executor import ActivityResult, EntityTurn, ServedKind, Turn
from perdure.contracts.offers import Offer
from perdure.core.actions import Fail, TurnResult
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import read_entity_id
from perdure.core.messages import ActivityCompleted, ActivityFailed, Envelope
from perdure.core.registry import OperationOutcome
from perdure.formats.stored_offers import (
    GaveUp,
    OfferedTurn,
    Ran,
    RanBatch,
    TurnAnswer,
    read_offered_batch,
    read_offered_turn,
    write_answer,
)

TakenTurn = EntityTurn | OfferedTurn


def turn_of(offer: Offer) -> TakenTurn:
    """What is to be run. Raises UnreadableText."""
    if offer.kind is ServedKind.ENTITY:
        batch = read_offered_batch(offer.body)
        return EntityTurn(read_entity_id(batch.entity), batch.state, batch.operations)
    return read_offered_turn(offer.body)


def answer_of(turn: Turn) -> str:
    """How a turn ended here, as text; what no store can hold is its failure."""
    if turn.result is None:
        assert turn.is_given_up, "a turn came back without a result"
        return write_answer(GaveUp())
    if isinstance(turn, EntityTurn):
        assert turn.result is not None
        answer: TurnAnswer = RanBatch(turn.result)
        failed: TurnAnswer = RanBatch([OperationOutcome(turn.state, failure=UNSTORABLE) for _ in turn.result])
    else:
        answer = Ran(turn.result)
        failed = Ran(TurnResult(ending=Fail(UNSTORABLE), events_taken=turn.result.events_taken))
    try:
        return write_answer(answer)
    except UnicodeEncodeError:
        return write_answer(failed)


def message_of(result: ActivityResult) -> Envelope:
    """What an instance is told of its activity; what no store can hold is the activity's failure."""
    activity, failure = result.activity, result.failure
    if not _is_storable(result.result if failure is None else failure):
        failure = UNSTORABLE
    if failure is None:
        message = ActivityCompleted(activity.execution_id, activity.seq, result.result)
    else:
        message = ActivityFailed(activity.execution_id, activity.seq, failure)
    return Envelope(activity.instance_id, message, ends_activity=activity.number)


UNSTORABLE = FailureDetails(
    "UnstorableText",
    "A text holds half of a character (a lone surrogate) and cannot be stored.",
    is_non_retriable=True,
)


def _is_storable(value: str | FailureDetails | None) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True
