"""The client of a traced host: what a caller says of its trace reaches the entity that it signals."""

import asyncio

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from perdure.client import ClientOptions
from perdure.core.identifiers import EntityId
from perdure.core.messages import OperationRequest
from perdure.host.tracing import Tracing
from perdure.storage.memory.storage import MemoryStorage
from perdure.telemetry.spans import Spans
from perdure.telemetry.trace_contexts import read_place
from support.store_stage import WallClock

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("said", "parent"), [(TRACE, 0xB7AD6B7169203331), (None, None), ("no context", None)])
def test_a_signals_span_hangs_under_its_callers_and_the_entitys_under_the_signals(said: str | None, parent: int | None):
    exported = InMemorySpanExporter()
    tracing = Tracing(Spans(SimpleSpanProcessor(exported), "test"), with_payloads=False)

    async def signalled() -> OperationRequest:
        storage = MemoryStorage()
        await storage.open()
        try:
            client = tracing.client(storage, WallClock(), ClientOptions())
            await client.signal_entity(EntityId("counter", "k"), "add", "1", trace_context=said)
            [held] = await storage.acquire("test")
            [envelope] = (await storage.recover([held], WallClock().now(), WallClock().now())).ready
        finally:
            await storage.close()
        assert isinstance(envelope.message, OperationRequest)
        return envelope.message

    request = asyncio.run(signalled())
    [span] = exported.get_finished_spans()
    assert (None if span.parent is None else span.parent.span_id) == parent
    told = read_place(request.trace_context)
    assert told is not None
    assert span.context is not None
    assert (told.trace_id, told.span_id) == (span.context.trace_id, span.context.span_id)
