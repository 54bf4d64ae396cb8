"""Random operations on the reference model and on SQLite: equal answers, equal contents after every step."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from perdure.contracts.errors import CheckpointRefused, Unavailable
from perdure.contracts.records import (
    Backlog,
    CreateOutcome,
    InstanceFilter,
    PendingActivity,
    ReusePolicy,
    Round,
)
from perdure.core.checkpoint import Checkpoint, NewActivity
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.options import Placement
from support.store_factories import MemoryFactory, SqliteFactory
from support.store_stage import Stage, StoreFactory
from support.stored_instances import creation, entity, episode, later, next_execution, raised, started

T = TypeVar("T")

IDS = ("a", "b", "c")
ENTITIES = ("@e@1", "@e@2")
FAR = later(10**8)
ids = st.sampled_from(IDS)
targets = st.sampled_from(IDS + ENTITIES)
dues = st.sampled_from([None, None, later(-5), later(50), later(5_000)])
statuses = st.sampled_from(
    [RuntimeStatus.Running] * 4 + [RuntimeStatus.Completed, RuntimeStatus.Failed, RuntimeStatus.Suspended]
)


class Move(msgspec.Struct, frozen=True):
    """What one instance does in a round; read by both sides alike."""

    target: str
    take: int
    """How many of the messages for it that are at hand it consumes."""
    events: int
    status: RuntimeStatus
    again: bool
    sends: tuple[tuple[str, Any], ...]
    children: tuple[str, ...]
    activities: int
    ends: int
    """How many of its pending activities are over."""
    wrong: bool


moves = st.builds(
    Move,
    target=targets,
    take=st.integers(0, 3),
    events=st.integers(0, 3),
    status=statuses,
    again=st.sampled_from([False, False, False, True]),
    sends=st.lists(st.tuples(targets, dues), max_size=3).map(tuple),
    children=st.lists(st.sampled_from([*IDS, "k1", "k2"]), max_size=2).map(tuple),
    activities=st.integers(0, 2),
    ends=st.integers(0, 2),
    wrong=st.sampled_from([False] * 12 + [True]),
)


class Side:
    """One storage with its engine's memory: messages at hand, pending activities, clients that wait."""

    def __init__(self, factory: StoreFactory, folder: Path) -> None:
        folder.mkdir()
        self.stage = Stage(factory, folder)
        self.at_hand: list[Envelope] = []
        self.pending: list[PendingActivity] = []
        self.clients: list[asyncio.Task[Any]] = []
        self.step = 0

    async def open(self) -> None:
        await self.stage.open()
        await self.take_over()

    async def take_over(self) -> Any:
        [self.stage.lease] = await self.stage.storage.acquire("side")
        backlog: Backlog = await self.stage.storage.recover([self.stage.lease], later(0), FAR)
        self.at_hand = [*backlog.ready, *backlog.due]
        self.pending = list(backlog.activities)
        return [told(backlog.ready), told(backlog.due), backlog.activities]

    async def close(self) -> None:
        await self.stage.close()
        await asyncio.gather(*self.clients, return_exceptions=True)

    async def create(self, instance_id: str, reuse: ReusePolicy, due_at: Any) -> None:
        self.step += 1
        made = creation(instance_id, created_at=later(self.step), due_at=due_at, text=str(self.step))
        self.clients.append(self.stage.creating(made, reuse))
        await settle()

    async def send(self, target: str, due_at: Any) -> None:
        self.step += 1
        self.clients.append(self.stage.sending(raised(target, str(self.step), due_at=due_at)))
        await settle()

    async def wait(self, instance_id: str, wanted: frozenset[RuntimeStatus]) -> None:
        self.clients.append(asyncio.create_task(self.stage.storage.wait_for_status(instance_id, wanted)))
        await settle()

    async def receive(self) -> Any:
        received = self.stage.storage.receive_now(self.stage.held)
        self.at_hand += received
        return told(received)

    async def commit(self, planned: list[Move], keep: int, discard: int) -> Any:
        """Build the round from what is at hand; both sides build the same."""
        self.step += 1
        left = list(self.at_hand)
        checkpoints = [c for move in planned if (c := await self.checkpoint(move, left)) is not None]
        kept = [e for e in left if e.position is None][:keep]
        left = [e for e in left if e not in kept]
        discarded = left[:discard]
        left = left[len(discarded) :]
        try:
            round_ = Round(checkpoints, kept, discarded)
            committed = await self.stage.storage.commit(self.stage.held, round_)
        except CheckpointRefused:
            return "refused"
        self.at_hand = left
        self.pending += committed.activities
        return committed.activities

    async def checkpoint(self, move: Move, left: list[Envelope]) -> Checkpoint | None:
        record = await self.record(move, left)
        if record is None:
            return None
        consumed = [e for e in left if e.target == move.target][: move.take]
        for envelope in consumed:
            left.remove(envelope)
        if move.again and record.origin.kind is InstanceKind.ORCHESTRATION:
            return next_execution(record, consumed, at=later(self.step))
        made = episode(
            record,
            consumed,
            [] if record.origin.kind is InstanceKind.ENTITY else [started(later(self.step))] * move.events,
            status=move.status if record.origin.kind is InstanceKind.ORCHESTRATION else RuntimeStatus.Running,
            at=later(self.step),
            outbox=[raised(target, f"{self.step}", due_at=due_at) for target, due_at in move.sends],
            children=[
                creation(child, created_at=later(self.step), if_taken=raised(move.target, f"taken {child}"))
                for child in move.children
                if child != move.target
            ],
            activities=[NewActivity(self.step + n, n, "work") for n in range(move.activities)],
            state=str(self.step) if move.take else None,
        )
        for activity in [p for p in self.pending if p.instance_id == move.target][: move.ends]:
            self.pending.remove(activity)
            done = Envelope(move.target, raised(move.target).message, ends_activity=activity.number)
            made.consumed.append(done)
        if move.wrong:
            made.expected_last_seq += 1
        return made

    async def record(self, move: Move, left: list[Envelope]) -> InstanceRecord | None:
        """A new instance whose start is at hand and first in line, else the stored one."""
        first = next((e for e in left if e.target == move.target), None)
        if first is not None and move.take and (made := self.stage.record_of(first)) is not None:
            return made
        stored = await self.stage.storage.get(move.target)
        if stored is None and move.target in ENTITIES:
            return entity(move.target, created_at=later(self.step))
        return None if stored is None or stored.progress.status.is_terminal else stored

    async def answers(self) -> Any:
        """What clients have heard so far."""
        await settle()
        heard: list[Any] = []
        for client in self.clients:
            if not client.done():
                heard.append("waits")
            elif (error := client.exception()) is not None:
                heard.append(type(error).__name__)
            else:
                heard.append(client.result())
        return heard

    async def contents(self) -> Any:
        """Everything that can be read."""
        storage = self.stage.storage
        records: list[InstanceRecord] = []
        for kind in InstanceKind:
            records += (await storage.query(InstanceFilter(kind), 1_000)).records
        every = [record.origin.instance_id for record in records]
        loaded = await storage.load(self.stage.held, every)
        found = [f async for f in storage.verify(True)]
        return {
            "records": records,
            "histories": {i: await storage.history(i) for i in every},
            "loaded": {i: (type(x).__name__, x.record, getattr(x, "history", None)) for i, x in loaded.items()},
            "inboxes": {t: told(await storage.read_inbox(self.stage.held, t, FAR)) for t in [*IDS, *ENTITIES, "k1"]},
            "due": told(await storage.read_due(self.stage.held, later(0), FAR)),
            "findings": sorted((f.kind.value, str(f.instance_id), f.what) for f in found),
        }


def told(envelopes: list[Envelope]) -> list[Any]:
    return [(e.target, e.message, e.due_at, e.position, e.ends_activity) for e in envelopes]


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(30):
        await asyncio.sleep(0)


class Storages(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="differential"))
        self.runner = asyncio.Runner()

    @initialize()
    def begin(self) -> None:
        self.sides = [
            Side(MemoryFactory(), self.folder / "memory"),
            Side(SqliteFactory(Placement.INLINE), self.folder / "sqlite"),
        ]
        for side in self.sides:
            self.runner.run(side.open())

    def teardown(self) -> None:
        for side in self.sides:
            self.runner.run(side.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def both(self, act: Callable[[Side], Coroutine[Any, Any, Any]]) -> Any:
        memory, sqlite = (self.runner.run(act(side)) for side in self.sides)
        assert memory == sqlite
        return memory

    @rule(instance_id=ids, reuse=st.sampled_from(ReusePolicy), due_at=dues)
    def create(self, instance_id: str, reuse: ReusePolicy, due_at: Any) -> None:
        self.both(lambda side: side.create(instance_id, reuse, due_at))

    @rule(to=targets, due_at=dues)
    def send(self, to: str, due_at: Any) -> None:
        self.both(lambda side: side.send(to, due_at))

    @rule(instance_id=ids, wanted=st.frozensets(st.sampled_from(RuntimeStatus), min_size=1, max_size=2))
    def wait(self, instance_id: str, wanted: frozenset[RuntimeStatus]) -> None:
        self.both(lambda side: side.wait(instance_id, wanted))

    @rule()
    def receive(self) -> None:
        self.both(Side.receive)

    @rule(
        planned=st.lists(moves, max_size=4, unique_by=lambda move: move.target),
        keep=st.integers(0, 3),
        discard=st.integers(0, 2),
    )
    def commit(self, planned: list[Move], keep: int, discard: int) -> None:
        self.both(Side.receive)
        self.both(lambda side: side.commit(planned, keep, discard))

    @rule(instance_ids=st.lists(st.sampled_from([*IDS, *ENTITIES, "k1"]), max_size=3))
    def purge(self, instance_ids: list[str]) -> None:
        self.both(lambda side: side.stage.storage.purge(instance_ids))

    @rule(
        statuses=st.none() | st.frozensets(st.sampled_from(RuntimeStatus)),
        kind=st.sampled_from(InstanceKind),
        created_from=st.none() | st.integers(0, 30).map(later),
    )
    def purge_matching(self, statuses: frozenset[RuntimeStatus] | None, kind: InstanceKind, created_from: Any) -> None:
        filter_ = InstanceFilter(kind, created_from=created_from, statuses=statuses)
        self.both(lambda side: side.stage.storage.purge_matching(filter_))

    @rule(
        kind=st.sampled_from(InstanceKind),
        statuses=st.none() | st.frozensets(st.sampled_from(RuntimeStatus)),
        id_prefix=st.sampled_from([None, "", "k", "a", "@e@"]),
        name=st.sampled_from([None, "ORCHESTRATOR", "e", "x"]),
        updated_to=st.none() | st.integers(0, 30).map(later),
        existing=st.booleans(),
        limit=st.integers(1, 3),
    )
    def page(
        self, kind: InstanceKind, statuses: Any, id_prefix: Any, name: Any, updated_to: Any, existing: bool, limit: int
    ) -> None:
        filter_ = InstanceFilter(
            kind,
            statuses=statuses,
            id_prefix=id_prefix,
            name=name,
            updated_to=updated_to,
            existing_entities_only=existing,
        )
        page = self.both(lambda side: side.stage.storage.query(filter_, limit))
        while page.next_key is not None:
            key = page.next_key
            page = self.both(lambda side, key=key: side.stage.storage.query(filter_, limit, key))

    @rule()
    def hand_over(self) -> None:
        async def release(side: Side) -> Any:
            await side.stage.storage.release([side.stage.lease])
            return await side.answers()

        self.both(release)
        self.both(Side.take_over)

    @rule(instance_id=ids, reuse=st.sampled_from(ReusePolicy), to=targets)
    def use_without_a_holder(self, instance_id: str, reuse: ReusePolicy, to: str) -> None:
        async def act(side: Side) -> CreateOutcome:
            await side.stage.storage.release([side.stage.lease])
            await settle()
            side.step += 1
            outcome = await side.stage.create(creation(instance_id, created_at=later(side.step)), reuse)
            await side.stage.storage.send(raised(to, str(side.step)))
            return outcome

        self.both(act)
        self.both(Side.take_over)

    @rule()
    def crash(self) -> None:
        async def act(side: Side) -> None:
            await side.stage.crash()
            heard = await asyncio.gather(*side.clients, return_exceptions=True)
            assert all(isinstance(h, Unavailable | CreateOutcome | InstanceRecord | None) for h in heard)

        self.both(act)
        self.both(Side.take_over)

    @invariant()
    def all_is_equal(self) -> None:
        if hasattr(self, "sides"):
            self.both(Side.contents)
            self.both(Side.answers)


Storages.TestCase.settings = settings(
    max_examples=settings().max_examples // 2,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestStorages = Storages.TestCase
