"""A remote executor with workers of the test's own: what was sent is read by a format that is plain JSON."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perdure.contracts.executor import OrchestrationTurn, Turn
from perdure.contracts.records import PendingActivity
from perdure.core import events as ev
from perdure.core.actions import TurnResult
from perdure.core.identifiers import EntityId
from perdure.core.instance import InstanceKind, Origin
from perdure.core.registry import Operation
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import ItemKind, PastForm, RemoteOptions, TurnToSend
from perdure.execution.remote_leases import Lease
from perdure.execution.worker_streams import WorkerStream
from perdure.execution.worker_terms import WorkerTerms
from perdure.testing.simulated_loop import run_simulated

T0 = datetime(2026, 1, 1, tzinfo=UTC)
EXECUTION = "11111111-1111-1111-1111-111111111111"


@dataclass(frozen=True)
class Caller:
    """Who answers."""

    worker: str | None
    peer: str


class PlainPast:
    """The names of the kinds of events; ``padding`` makes it as large as a test wants."""

    padding = 0

    def __init__(self, events: Sequence[ev.HistoryEvent]) -> None:
        self.kinds = [type(event).__name__ for event in events]

    @property
    def size(self) -> int:
        return len(self.kinds) * self.padding

    def append(self, events: Sequence[ev.HistoryEvent]) -> None:
        self.kinds += [type(event).__name__ for event in events]

    def chunks(self) -> Iterator[bytes]:
        for kind in self.kinds:
            yield kind.encode()


class PlainFormat:
    """Items as JSON. ``padding`` bytes are sent for each event of the past, a tenth of it when stripped."""

    ping = b"{}"

    def __init__(self, padding: int = 0) -> None:
        self.padding = padding
        self.encoded_pasts = 0

    def past(self, origin: Origin, history: Sequence[ev.HistoryEvent]) -> PlainPast:
        self.encoded_pasts += 1
        past = PlainPast(history)
        past.padding = self.padding
        return past

    def turn(self, token: str, turn: TurnToSend, form: PastForm) -> bytes:
        past = turn.past
        assert isinstance(past, PlainPast)
        size = {PastForm.WHOLE: past.size, PastForm.STRIPPED: past.size // 10, PastForm.ASKED_FOR: 0}[form]
        return _item(
            token,
            form=form.name,
            padding="x" * size,
            instance=turn.origin.instance_id,
            past=past.kinds if form is not PastForm.ASKED_FOR else [],
            new=[type(event).__name__ for event in turn.events],
            span=turn.span,
        )

    def batch(self, token: str, entity: EntityId, state: str | None, operations: Sequence[Operation]) -> bytes:
        return _item(
            token,
            entity=str(entity),
            state=state,
            operations=[operation.name for operation in operations],
            inputs=[operation.input for operation in operations],
        )

    def activity(self, token: str, activity: PendingActivity) -> bytes:
        return _item(token, activity=activity.name, input=activity.input, number=activity.number)


def _item(token: str, **parts: Any) -> bytes:
    return json.dumps({"token": token, **parts}).encode()


class PlainWorker:
    """One worker with one stream, which it reads when the test says so."""

    def __init__(self, executor: RemoteExecutor, terms: WorkerTerms) -> None:
        self.executor = executor
        self.terms = terms
        self.caller = Caller(terms.worker if terms.names_itself else None, terms.peer)
        self.stream: WorkerStream = executor.connect(terms)

    async def take(self) -> dict[str, Any]:
        """The next item; pings are passed over."""
        while (item := await self.executor.next_item(self.stream)) == PlainFormat.ping:
            pass
        assert item is not None, "the stream has ended"
        return json.loads(item)

    async def takes_nothing(self) -> bool:
        """Whether there is nothing for it now."""
        reading = asyncio.ensure_future(self.take())
        await settle_down()
        is_silent = not reading.done()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return is_silent

    def lease(self, item: dict[str, Any], kind: ItemKind = ItemKind.ORCHESTRATION) -> Lease | None:
        """What it holds, by its token."""
        return self.executor.lease_of(item["token"], self.caller, kind=kind, instance_id="")

    def held(self, item: dict[str, Any]) -> Lease:
        """The same, which must be there."""
        lease = self.lease(item, ItemKind.ORCHESTRATION)
        assert lease is not None
        return lease

    def finish(self, item: dict[str, Any], result: TurnResult | None = None) -> "asyncio.Task[None]":
        """Answer a turn; done when the answer is durable."""
        lease = self.held(item)
        return asyncio.ensure_future(self.executor.finish_turn(lease, result or TurnResult()))

    def end(self) -> None:
        """Its stream is lost."""
        self.executor.disconnect(self.stream)


class RemoteStage:
    """The executor and shorthand for its use."""

    def __init__(self, options: RemoteOptions | None = None, padding: int = 0) -> None:
        self.format = PlainFormat(padding)
        self.executor = RemoteExecutor(self.format, options)
        self._numbers = 0

    def worker(self, name: str = "w1", **terms: Any) -> PlainWorker:
        """A worker that connects."""
        return PlainWorker(self.executor, WorkerTerms(name, f"ipv4:{name}", **{"names_itself": True, **terms}))

    async def turn(
        self, id: str = "order-1", name: str = "order", version: str | None = None, history: int = 0
    ) -> OrchestrationTurn:
        """A turn that is out, of a session with so many events behind it."""
        origin = Origin(id, InstanceKind.ORCHESTRATION, name, EXECUTION, T0, version=version)
        past = [ev.EventRaised("past")] * history
        return await self.next_turn(OrchestrationTurn(self.executor.open(origin, past), []))

    async def next_turn(self, before: OrchestrationTurn) -> OrchestrationTurn:
        """The next turn of the same session."""
        turn = OrchestrationTurn(before.session, [ev.OrchestratorStarted(T0), ev.EventRaised("new")])
        assert list(await self.executor.advance([turn])) == [turn]
        return turn

    async def settle(self, turn: Turn, answer: "asyncio.Task[None]") -> None:
        """The engine takes the late turn and commits it; the worker's answer is acknowledged."""
        assert await self.executor.late_turns() == [turn]
        assert turn.settled is not None
        turn.settled()
        await answer

    def activity(self, name: str = "charge", input: str | None = None, version: str | None = None) -> PendingActivity:
        """An activity that is out."""
        self._numbers += 1
        pending = PendingActivity(
            self._numbers, "order-1", EXECUTION, self._numbers, self._numbers, name, input, version
        )
        self.executor.start_activities([pending])
        return pending


async def settle_down() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


def on_virtual_time(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario on a loop of its own."""
    run_simulated(lambda loop: scenario())
