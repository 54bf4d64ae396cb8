"""A signal's span hangs under the span of whoever sent it, as far as the signal says."""

from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from perdure.contracts.observer import EpisodeCommitted
from perdure.core.checkpoint import Checkpoint
from perdure.core.entities.decisions import decide_batch
from perdure.core.entities.scheduling import Batch
from perdure.core.instance import InstanceKind, Origin, Progress
from perdure.core.messages import Envelope, OperationRequest
from perdure.core.registry import EntitySignal, OperationOutcome
from perdure.core.status import RuntimeStatus
from perdure.telemetry.spans import Spans
from perdure.telemetry.tracing import Traces, TracingObserver

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def origin_of(instance_id: str) -> Origin:
    return Origin(instance_id, InstanceKind.ENTITY, "counter", "e", T0)


def taking(instance_id: str, envelope: Envelope, outcome: OperationOutcome) -> Checkpoint:
    batch = Batch(None, [envelope], consumed=[envelope])
    return decide_batch(origin_of(instance_id), Progress(RuntimeStatus.Running, T0), batch, [outcome], T0)


@pytest.mark.parametrize(("context", "parent"), [(TRACE, 0xB7AD6B7169203331), (None, None), ("no context", None)])
def test_a_signal_that_an_entity_sends_carries_its_context_to_the_other(
    context: str | None, parent: int | None
) -> None:
    exported = InMemorySpanExporter()
    observer = TracingObserver(Spans(SimpleSpanProcessor(exported), "test"), Traces())
    signal = EntitySignal("@counter@b", "add", "1", trace_context=context)
    first = Envelope("@counter@a", OperationRequest("pass on"))
    sent = taking("@counter@a", first, OperationOutcome("1", signals=(signal,)))
    [passed] = sent.outbox
    observer.announce(EpisodeCommitted(taking("@counter@b", passed, OperationOutcome("1"))))
    [span] = exported.get_finished_spans()
    assert (None if span.parent is None else span.parent.span_id) == parent
