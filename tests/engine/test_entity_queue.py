"""What comes for an entity while a batch of it is in user code waits behind what that batch leaves."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from perdure.contracts.executor import EntityTurn
from perdure.core import messages as ms
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.registry import OperationOutcome
from perdure.core.status import RuntimeStatus
from perdure.engine.entity_episode import LiveEntity

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HERE = "@counter@a"


def _signals(count: int) -> list[ms.Envelope]:
    return [ms.Envelope(HERE, ms.OperationRequest(f"op{number}")) for number in range(count)]


def _begun(queue: list[ms.Envelope], operations_max: int) -> tuple[LiveEntity, EntityTurn]:
    """An entity whose first batch is in user code."""
    origin = Origin(HERE, InstanceKind.ENTITY, "counter", "", T0)
    live = LiveEntity(InstanceRecord(origin, Progress(RuntimeStatus.Running, T0)), operations_max)
    live.queue = list(queue)
    turn = live.begin(T0, cast(Any, None)).turn
    assert isinstance(turn, EntityTurn)
    return live, turn


@pytest.mark.parametrize("count", [2, 3])
def test_what_comes_meanwhile_is_not_lost_with_a_batch_that_ends_early(count: int) -> None:
    queue = _signals(count)
    request = ms.Envelope(HERE, ms.LockRequest(ms.ReplyTo("one", "one-1", 2), "one-1:0", (HERE,)))
    live, turn = _begun(queue, 2)
    live.queue.append(request)
    turn.result = [OperationOutcome("1")]
    assert live.finish().consumed == queue[:1]
    assert live.queue == [*queue[1:], request]


@pytest.mark.parametrize("count", [2, 3])
def test_what_comes_meanwhile_is_not_lost_with_a_batch_that_is_taken_back(count: int) -> None:
    queue, (first, second) = _signals(count), _signals(2)
    live, _ = _begun(queue, 2)
    live.queue.append(first)
    live.take_back(second)
    assert [id(envelope) for envelope in live.queue] == [id(envelope) for envelope in [*queue, first, second]]
