"""A task hub whose instances are moved by hand: checkpoints go through the storage contract, no engine runs."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from perdure.client import ClientOptions, TaskHubClient
from perdure.contracts.records import Hold, PartitionLease, ReusePolicy, Round
from perdure.contracts.storage import Storage
from perdure.core import events as ev
from perdure.core.checkpoint import Checkpoint, Creation
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.messages import AnyMessage, Envelope, StartExecution
from perdure.core.status import RuntimeStatus

START = datetime(2026, 2, 3, 4, 5, 6, 250_000, tzinfo=UTC)


class SteppedClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class SteeredHub:
    """``client`` is real; ``settle`` and ``put_entity`` do what an engine would have done."""

    storage: Storage
    clock: SteppedClock
    client: TaskHubClient
    _leases: list[PartitionLease] = field(default_factory=list[PartitionLease])

    @classmethod
    def over(cls, storage: Storage, clock: SteppedClock, options: ClientOptions | None = None) -> Self:
        return cls(storage, clock, TaskHubClient(storage, clock, options))

    async def settle(
        self, instance_id: str, status: RuntimeStatus, *events: ev.HistoryEvent, **progress: Any
    ) -> InstanceRecord:
        """Commit one episode that ends in ``status``; it has begun before when there is a history."""
        record = await self.storage.get(instance_id)
        assert record is not None
        origin, last_seq = record.origin, record.progress.last_seq
        episode: list[ev.HistoryEvent] = [ev.OrchestratorStarted(self.clock.now())]
        if last_seq < 0:
            episode.append(ev.ExecutionStarted(origin.name, origin.execution_id, origin.input))
        episode += events
        moved = Progress(
            status, self.clock.now(), last_seq=last_seq + len(episode), episode_at=self.clock.now(), **progress
        )
        await self._commit(Checkpoint(origin, moved, last_seq, [], episode))
        return InstanceRecord(origin, moved)

    async def put_child(self, instance_id: str, parent: ev.ParentLink | None) -> None:
        """Create an orchestration that somebody started as a child, or nobody."""
        origin = Origin(
            instance_id, InstanceKind.ORCHESTRATION, "bill_order", str(uuid.uuid4()), self.clock.now(), parent=parent
        )
        start = Envelope(instance_id, StartExecution(origin.name, origin.execution_id, parent=parent))
        record = InstanceRecord(origin, Progress(RuntimeStatus.Pending, self.clock.now()))
        await self.storage.create_instance(Creation(record, start), ReusePolicy.NON_RUNNING)

    async def put_entity(self, instance_id: str, state: str | None) -> None:
        """Give an entity a state, or take it away."""
        record = await self.storage.get(instance_id)
        if record is None:
            name = instance_id[1:].partition("@")[0]
            origin = Origin(instance_id, InstanceKind.ENTITY, name, "", self.clock.now())
        else:
            origin = record.origin
        progress = Progress(RuntimeStatus.Running, self.clock.now(), state=state)
        await self._commit(Checkpoint(origin, progress, -1, [], []))

    async def hold(self) -> None:
        """Hold the partition until ``take_message``: what is sent meanwhile has no row yet."""
        self._leases = await self.storage.acquire("test")

    async def take_message(self, instance_id: str, status: RuntimeStatus) -> AnyMessage:
        """Wait for the next message, consume it in an episode that ends in ``status``, and let the partition go."""
        [envelope] = await self.storage.receive(Hold.of(*self._leases))
        assert envelope.target == instance_id
        record = await self.storage.get(instance_id)
        assert record is not None
        last_seq = record.progress.last_seq
        progress = Progress(status, self.clock.now(), last_seq=last_seq + 1, episode_at=self.clock.now())
        episode: list[ev.HistoryEvent] = [ev.OrchestratorStarted(self.clock.now())]
        checkpoint = Checkpoint(record.origin, progress, last_seq, [envelope], episode)
        await self.storage.commit(Hold.of(*self._leases), Round([checkpoint]))
        await self.storage.release(self._leases)
        return envelope.message

    async def _commit(self, checkpoint: Checkpoint) -> None:
        leases = await self.storage.acquire("test")
        await self.storage.commit(Hold.of(*leases), Round([checkpoint]))
        await self.storage.release(leases)

    async def inbox(self, instance_id: str) -> list[AnyMessage]:
        """The messages that wait for an instance and are due."""
        return [envelope.message for envelope in await self.envelopes(instance_id)]

    async def envelopes(self, instance_id: str, at: datetime | None = None) -> list[Envelope]:
        """The same with their envelopes; those due by ``at``."""
        leases = await self.storage.acquire("test")
        found = await self.storage.read_inbox(Hold.of(*leases), instance_id, at or self.clock.now())
        await self.storage.release(leases)
        return found
