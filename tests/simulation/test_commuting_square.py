"""The commuting square on what a batch of an entity leaves behind: no false alarm, and no silence."""

import random
from datetime import UTC, datetime

import msgspec
import pytest

from perdure.core import messages as ms
from perdure.core.decisions import DecisionLimits
from perdure.core.entities.batch import run_batch
from perdure.core.entities.decisions import decide_batch
from perdure.core.entities.scheduling import next_batch
from perdure.core.identifiers import read_entity_id
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.status import RuntimeStatus
from perdure.testing.simulation.programs import LEDGER, Activities, simulated_registry
from perdure.testing.simulation.square import decided_anew, difference

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HERE, BEYOND = f"@{LEDGER}@a", f"@{LEDGER}@b"
REGISTRY = simulated_registry(Activities(random.Random(1)))
BEFORE = InstanceRecord(Origin(HERE, InstanceKind.ENTITY, LEDGER, "", T0), Progress(RuntimeStatus.Running, T0))


def _signal() -> ms.Envelope:
    return ms.Envelope(HERE, ms.OperationRequest("add", '"x"'))


def _request() -> ms.Envelope:
    return ms.Envelope(HERE, ms.LockRequest(ms.ReplyTo("one", "one-1", 2), "one-1:0", (HERE, BEYOND)))


def _release() -> ms.Envelope:
    return ms.Envelope(HERE, ms.LockRelease("one", "one-1:0", (BEYOND,)))


def _commits(queue: list[ms.Envelope], operations_max: int):
    batch = next_batch(queue, None, operations_max)
    outcomes = run_batch(REGISTRY.entity(LEDGER).open(read_entity_id(HERE), None), None, batch.operations)
    return decide_batch(BEFORE.origin, BEFORE.progress, batch, outcomes, T0)


@pytest.mark.parametrize("operations_max", [1, 2, 3])
def test_a_request_that_its_release_takes_back_may_have_stood_behind_what_waits(operations_max: int) -> None:
    made = _commits([_signal(), _signal(), _request(), _release()], operations_max)
    assert len(made.consumed) == min(operations_max, 2) + 2
    assert difference(made, decided_anew(REGISTRY, DecisionLimits(), BEFORE, [], made)) is None


def test_a_release_that_goes_on_where_the_request_did_not_is_found() -> None:
    made = _commits([_request(), _release()], 1)
    request, release = made.outbox
    assert isinstance(request.message, ms.LockRequest)
    wrong = msgspec.structs.replace(made, outbox=[release])
    assert difference(wrong, decided_anew(REGISTRY, DecisionLimits(), BEFORE, [], wrong)) is not None
