"""A remote executor whose worker is in this process and runs a registry's functions, each turn by replay."""

import asyncio
from collections.abc import Iterator, Sequence

from perdure.contracts.errors import Unavailable
from perdure.contracts.executor import EntityTurn, OrchestrationTurn, Turn
from perdure.contracts.records import PendingActivity
from perdure.core.events import HistoryEvent
from perdure.core.identifiers import EntityId
from perdure.core.instance import Origin
from perdure.core.registry import Operation, Registry
from perdure.execution.local import ExecutionLimits, LocalExecutor, turn_threads
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import ItemKind, PastForm, TurnToSend
from perdure.execution.remote_leases import Lease
from perdure.execution.remote_sessions import session_of
from perdure.execution.turns import TurnPatience
from perdure.execution.user_loop import UserLoop
from perdure.execution.worker_terms import WorkerTerms


class KeptPast:
    """A past that is not encoded at all."""

    size = 0

    def __init__(self, events: Sequence[HistoryEvent]) -> None:
        self.events = list(events)

    def append(self, events: Sequence[HistoryEvent]) -> None:
        self.events.extend(events)

    def chunks(self) -> Iterator[bytes]:
        return iter(())


class TokensOnly:
    """Items are their token: the worker finds everything else with the lease."""

    ping = b""

    def past(self, origin: Origin, history: Sequence[HistoryEvent]) -> KeptPast:
        return KeptPast(history)

    def turn(self, token: str, turn: TurnToSend, form: PastForm) -> bytes:
        return token.encode()

    def batch(self, token: str, entity: EntityId, state: str | None, operations: Sequence[Operation]) -> bytes:
        return token.encode()

    def activity(self, token: str, activity: PendingActivity) -> bytes:
        return token.encode()


class _Here:
    worker = "in-process"
    peer = "in-process"


class InProcessRemote(RemoteExecutor):
    """Begins and ends with its worker."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(TokensOnly())
        self._users = UserLoop()
        limits = ExecutionLimits(threads_max=4, activities_max=8)
        self._code = LocalExecutor(registry, self._users, limits, turn_threads(TurnPatience(), []))
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[int, asyncio.Future[Turn]] = {}
        self._activities: dict[int, Lease] = {}

    async def start(self) -> None:
        self._users.start()
        await self._code.start()
        for work in (self._serve(), self._take_late(), self._take_results()):
            self._begin(asyncio.ensure_future(work))

    async def stop(self) -> None:
        await super().stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._code.stop()
        self._users.stop()

    def _begin(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        stream = self.connect(WorkerTerms("in-process", "in-process", limits=(2000, 2000, 2000)))
        while (item := await self.next_item(stream)) is not None:
            lease = self.lease_of(item.decode(), _Here(), kind=ItemKind.ORCHESTRATION, instance_id="")
            if lease is None:
                continue
            if isinstance(lease.work.subject, PendingActivity):
                self._activities[lease.work.subject.number] = lease
                self._code.start_activities([lease.work.subject])
            else:
                self._begin(asyncio.ensure_future(self._run(lease, lease.work.subject)))

    async def _run(self, lease: Lease, given: Turn) -> None:
        try:
            if isinstance(given, EntityTurn):
                batch = EntityTurn(given.entity, given.state, given.operations[: lease.sent])
                await self._ended(batch)
                assert batch.result is not None
                await self.finish_batch(lease, batch.result)
                return
            session = session_of(lease.work)
            past = session.past()
            assert isinstance(past, KeptPast)
            turn = OrchestrationTurn(self._code.open(session.origin, past.events), given.events)
            await self._ended(turn)
            turn.session.close()
            assert turn.result is not None
            await self.finish_turn(lease, turn.result)
        except Unavailable:
            # The server stopped first.
            return

    async def _ended(self, turn: Turn) -> None:
        ended: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._running[id(turn)] = ended
        if not await self._code.advance([turn]):
            del self._running[id(turn)]
            return
        await ended

    async def _take_late(self) -> None:
        while True:
            for turn in await self._code.late_turns():
                self._running.pop(id(turn)).set_result(turn)

    async def _take_results(self) -> None:
        while True:
            for result in await self._code.activity_results():
                lease = self._activities.pop(result.activity.number)
                finishing = self.finish_activity(lease, result.result, result.failure)
                self._begin(asyncio.ensure_future(finishing))
