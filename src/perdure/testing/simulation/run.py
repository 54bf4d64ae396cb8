"""One run from one seed: clients play, faults strike, every commit is checked; then all must come to an end."""

import asyncio
import random
import traceback
import uuid
from collections.abc import Callable
from datetime import timedelta

import msgspec

from perdure.client import ClientOptions
from perdure.contracts.errors import Unavailable
from perdure.contracts.executor import Executor
from perdure.contracts.observer import EpisodeFailed, Fact, PartitionFailed
from perdure.contracts.records import ReusePolicy
from perdure.execution.local import inline_turns
from perdure.storage.memory.storage import MemoryStorage
from perdure.storage.options import Durability, Placement, StorageOptions
from perdure.storage.sqlite.storage import SqliteStorage
from perdure.testing.away_executor import AwayExecutor
from perdure.testing.faulty_storage import FaultyStorage, FileStorage
from perdure.testing.in_process_hub import CrashableStorage, InProcessHub
from perdure.testing.simulated_loop import NothingLeftToDo, SimulatedClock, SimulatedLoop, run_simulated
from perdure.testing.simulated_turns import simulated_turns
from perdure.testing.simulation.audit import Audit, Violation
from perdure.testing.simulation.audited_parts import AuditedExecutor, AuditedStorage, client_name
from perdure.testing.simulation.clients import ScriptedClient
from perdure.testing.simulation.faults import AWAY, STUCK_SECONDS, Faults
from perdure.testing.simulation.programs import Activities, simulated_registry
from perdure.testing.simulation.settling import settle
from perdure.testing.simulation.workload import Workload

PLAY_SECONDS_MAX = 3600.0
CALM_SECONDS = 300.0

OpenStore = Callable[[SimulatedClock], CrashableStorage]


class Outcome(msgspec.Struct, frozen=True):
    """What one run came to. ``trace`` is equal for equal runs; ``violation`` None means that all held."""

    seed: int
    trace: str
    violation: str | None
    commits: int
    instances: int
    activity_runs: int
    answers: int
    unknown_answers: int
    crashes: int
    stops: int
    store_errors: int
    late_turns: int
    stuck_turns: int
    recalls: int
    lost_results: int
    virtual_seconds: float
    fault_kinds: tuple[str, ...]


def memory_store(clock: SimulatedClock) -> CrashableStorage:
    """A store in dictionaries."""
    return MemoryStorage(clock=clock)


def sqlite_store(path: str) -> OpenStore:
    """A store in a SQLite file, written in the loop's turn. The file must be new for each run."""
    options = StorageOptions(durability=Durability.RELAXED, placement=Placement.INLINE)
    return lambda clock: FileStorage(lambda: SqliteStorage(path, clock, options))


def run_seed(seed: int, open_store: OpenStore = memory_store) -> Outcome:
    """Run one seed to its end."""
    simulation: list[Simulation] = []

    async def main(loop: SimulatedLoop) -> None:
        simulation.append(Simulation(seed, loop, open_store))
        await simulation[0].run()

    violation: str | None = None
    try:
        run_simulated(main)
    except (Violation, NothingLeftToDo) as error:
        violation = str(error)
    return simulation[0].outcome(violation)


class Simulation:
    """The parts of one run."""

    def __init__(self, seed: int, loop: SimulatedLoop, open_store: OpenStore) -> None:
        self._seed = seed
        self._loop = loop
        self._clock = SimulatedClock(loop)
        self._chance = random.Random(f"{seed} at any time")
        self._faults = Faults.drawn(seed)
        activities = Activities(random.Random(f"{seed} activities"))
        registry = simulated_registry(activities)
        options = self._faults.options()
        self.audit = Audit(registry, options.decisions, self._clock, loop)
        self._storage = AuditedStorage(open_store(self._clock), self.audit)
        self._is_away = self._faults.has(AWAY)
        self._away: list[AwayExecutor] = []
        """Of each process."""
        self._crashed = asyncio.Event()
        self._starting = asyncio.Lock()
        self._is_calm = False
        ids = random.Random(f"{seed} ids")
        reuse = random.Random(f"{seed} reuse").choice(
            [ReusePolicy.NON_RUNNING, ReusePolicy.NON_RUNNING, ReusePolicy.ANY]
        )
        self.audit.reuse = reuse
        self._hub = InProcessHub(
            registry,
            self._clock,
            store=self._storage,
            storage=FaultyStorage(self._storage, self._faults, self._crash),
            options=options,
            turns=inline_turns if self._is_away else simulated_turns(self._faults.turn_seconds, STUCK_SECONDS),
            activity_delay=self._faults.activity_seconds,
            observers=[self],
            wrap_executor=self._wrap_executor,
            client_options=ClientOptions(
                reuse=reuse,
                new_id=lambda: f"{ids.getrandbits(128):032x}",
                new_execution_id=lambda: str(uuid.UUID(int=ids.getrandbits(128))),
            ),
        )
        workload = Workload(random.Random(f"{seed} workload"), reuse)
        self._clients = [
            ScriptedClient(self._hub.client, self._clock, self.audit, script) for script in workload.scripts()
        ]

    def outcome(self, violation: str | None) -> Outcome:
        shadow, clients, faults = self.audit.shadow, self._clients, self._faults
        return Outcome(
            seed=self._seed,
            trace=self.audit.trace,
            violation=violation,
            commits=shadow.commit_count,
            instances=len(shadow.instances),
            activity_runs=self.audit.run_count,
            answers=sum(client.answer_count for client in clients),
            unknown_answers=sum(client.unknown_count for client in clients),
            crashes=faults.crash_count,
            stops=faults.stop_count,
            store_errors=faults.error_count,
            late_turns=faults.late_turn_count,
            stuck_turns=faults.stuck_turn_count,
            recalls=sum(away.recall_count for away in self._away),
            lost_results=faults.lost_result_count,
            virtual_seconds=self._loop.time(),
            fault_kinds=tuple(sorted(faults.kinds)),
        )

    def _wrap_executor(self, executor: Executor) -> Executor:
        if self._is_away:
            executor = AwayExecutor(executor, self._faults)
            self._away.append(executor)
        return AuditedExecutor(executor, self.audit)

    async def run(self) -> None:
        """Play, settle, stop. Raises Violation."""
        story = asyncio.create_task(self._story())
        await asyncio.wait([story, self.audit.failed], return_when=asyncio.FIRST_COMPLETED)
        if not self.audit.failed.done():
            await story
            return
        story.cancel()
        await asyncio.gather(story, return_exceptions=True)
        await self._hub.kill()
        raise self.audit.failed.result()

    async def _story(self) -> None:
        await self._hub.start()
        watch = asyncio.create_task(self._keep_alive())
        weather = asyncio.create_task(self._bad_weather())
        plays = [asyncio.create_task(client.play()) for client in self._clients]
        try:
            _, unanswered = await asyncio.wait(plays, timeout=PLAY_SECONDS_MAX)
            self.audit.require(not unanswered, f"{len(unanswered)} clients were never answered")
            await asyncio.gather(*plays)
            self._is_calm = True
            await weather
            self._faults.end()
            if (behind := self._clock.latest - self._clock.now()) > timedelta():
                self._clock.jump(behind)
            client_name.set("settler")
            await settle(self.audit, self._hub.client)
        finally:
            for task in (watch, weather, *plays):
                task.cancel()
            await asyncio.gather(watch, weather, *plays, return_exceptions=True)
        await self._end()

    def _crash(self) -> None:
        """The process dies in the middle of whatever it does."""
        if self._faults.crashes_left and not self._crashed.is_set():
            self._faults.crashes_left -= 1
            self._faults.crash_count += 1
            self.audit.note("crash")
            self._storage.crash()
            self._crashed.set()

    @property
    def wants(self) -> frozenset[type]:
        """Observer: what it is told."""
        return frozenset({EpisodeFailed, PartitionFailed})

    def announce(self, fact: Fact) -> None:
        """Observer: an engine that ends by itself, or stumbles over an instance, is a violation."""
        if isinstance(fact, EpisodeFailed):
            self.audit.report(f"'{fact.instance_id}': {''.join(traceback.format_exception(fact.error))}")
        if isinstance(fact, PartitionFailed) and not self._crashed.is_set():
            story = "".join(traceback.format_exception(fact.error))
            self.audit.report(f"the engine ended by itself: {story}")

    async def _keep_alive(self) -> None:
        """Start the process again after each crash."""
        while True:
            await self._crashed.wait()
            async with self._starting:
                await self._hub.kill()
                await asyncio.sleep(self._chance.choice([0.0, 0.1, 20.0]))
                self._crashed.clear()
                await self._start()

    async def _start(self) -> None:
        try:
            await self._hub.start()
        except Unavailable:
            if not self._crashed.is_set():
                raise

    async def _bad_weather(self) -> None:
        """Whatever strikes at any time, until the clients are done."""
        while not self._is_calm:
            await asyncio.sleep(self._chance.choice([0.0003, 0.02, 0.3, 2.0, 10.0]))
            if self._hub.worker is None:
                continue
            if self._faults.has("clock jumps") and self._chance.random() < 0.2:
                self._clock.jump(timedelta(hours=self._chance.choice([-1, 1])))
            if self._faults.has("crash at any time") and self._chance.random() < 0.1:
                self._crash()
            elif self._faults.has("graceful restarts") and self._chance.random() < 0.1:
                await self._restart_gracefully()

    async def _restart_gracefully(self) -> None:
        self.audit.note("stop")
        self._faults.stop_count += 1
        try:
            await self._hub.stop(self._chance.choice([0.0, 1.0, 30.0]))
        except Unavailable:
            if not self._crashed.is_set():
                raise
        await asyncio.sleep(self._chance.choice([0.0, 0.1, 5.0]))
        async with self._starting:
            if not self._crashed.is_set() and self._hub.worker is None:
                await self._start()

    async def _end(self) -> None:
        """All that was owed is paid, the store is sound, and the process stops in good order."""
        await asyncio.sleep(CALM_SECONDS)
        shadow = self.audit.shadow
        self.audit.require(not shadow.rows, f"messages are left: {shadow.rows}")
        self.audit.require(not shadow.activities, f"activities are left: {shadow.activities}")
        self.audit.require(not shadow.in_flight, f"messages have no row: {shadow.in_flight}")
        locked = [instance for instance in shadow.instances.values() if instance.progress.locked_by is not None]
        self.audit.require(not locked, f"locks are left: {locked}")
        async for finding in self._storage.verify(liveness=True):
            self.audit.require(False, f"verify found {finding}")
        if self._away:
            self.audit.require(self._away[-1].unsettled == 0, "a result was never settled")
        self.audit.require(await self._hub.stop(), "an activity was left running")
        await self._storage.close()
