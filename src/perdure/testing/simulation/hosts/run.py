"""One run of several hosts from one seed: clients play, hosts come and go, ways break; then all must come to an end."""

import asyncio
import random
import traceback
import uuid
from datetime import timedelta
from typing import Any

import msgspec

from perdure.client import ClientOptions, TaskHubClient
from perdure.contracts.observer import EpisodeFailed, Fact, PartitionFailed
from perdure.contracts.records import ReusePolicy
from perdure.testing.simulated_loop import NothingLeftToDo, SimulatedClock, SimulatedLoop, run_simulated
from perdure.testing.simulation.audit import Violation
from perdure.testing.simulation.audited_parts import client_name
from perdure.testing.simulation.clients import ScriptedClient
from perdure.testing.simulation.faults import Faults
from perdure.testing.simulation.hosts.audit import HostsAudit, HostView
from perdure.testing.simulation.hosts.blows import Blows
from perdure.testing.simulation.hosts.front import Front
from perdure.testing.simulation.hosts.host import Host
from perdure.testing.simulation.hosts.last_checks import LastChecks
from perdure.testing.simulation.hosts.sharing import Sharing
from perdure.testing.simulation.hosts.storage import AuditedMemory
from perdure.testing.simulation.hosts.way import ProcessGone
from perdure.testing.simulation.hosts.weather import Weather
from perdure.testing.simulation.programs import Activities, simulated_registry
from perdure.testing.simulation.settling import settle
from perdure.testing.simulation.workload import Workload

PLAY_SECONDS_MAX = 7200.0
HOSTS_MAX = 5
SETTLE_SECONDS = 12.0


class HostsOutcome(msgspec.Struct, frozen=True):
    """What one run came to. ``trace`` is equal for equal runs; ``violation`` None means that all held."""

    seed: int
    trace: str
    violation: str | None
    hosts: int
    commits: int
    instances: int
    activity_runs: int
    answers: int
    unknown_answers: int
    takeovers: int
    crashes: int
    stops: int
    pauses: int
    cuts: int
    outages: int
    lost_answers: int
    offers: int
    claims: int
    claimed_turns: int
    handed_over: int
    repeated_activities: int
    virtual_seconds: float
    fault_kinds: tuple[str, ...]


def run_hosts_seed(seed: int, hosts: int | None = None) -> HostsOutcome:
    """Run one seed to its end, with so many hosts to begin with, or as many as it says."""
    simulation: list[HostsSimulation] = []

    async def main(loop: SimulatedLoop) -> None:
        simulation.append(HostsSimulation(seed, loop, hosts))
        await simulation[0].run()

    violation: str | None = None
    try:
        run_simulated(main)
    except (Violation, NothingLeftToDo) as error:
        violation = str(error)
    return simulation[0].outcome(violation)


class HostsSimulation:
    """The parts of one run."""

    def __init__(self, seed: int, loop: SimulatedLoop, hosts: int | None) -> None:
        self.seed = seed
        self.loop = loop
        loop.set_exception_handler(self._unheard)
        self.clock = SimulatedClock(loop)
        """The store's."""
        self.weather = Weather(seed)
        self.hosts: list[Host] = []
        """All that ever were, in the order of their beginning."""
        self._chance = random.Random(f"{seed} hosts")
        self._count = self._chance.choice([1, 2, 2, 3, 3, 4, HOSTS_MAX]) if hosts is None else hosts
        self._faults = Faults.drawn(seed)
        self._registry = simulated_registry(Activities(random.Random(f"{seed} activities")))
        self._options = self._faults.options()
        self.sharing = Sharing(seed, self._registry, self._faults)
        partitions = self._chance.choice([1, 3, 4, 8])
        self.audit = HostsAudit(self._registry, self._options.decisions, self.clock, loop, partitions)
        reuse = self._chance.choice([ReusePolicy.NON_RUNNING, ReusePolicy.NON_RUNNING, ReusePolicy.ANY])
        self.audit.reuse = reuse
        self.memory = AuditedMemory(self.clock, partitions, self.audit)
        ids = random.Random(f"{seed} ids")
        self._client_options = ClientOptions(
            reuse=reuse,
            new_id=lambda: f"{ids.getrandbits(128):032x}",
            new_execution_id=lambda: str(uuid.UUID(int=ids.getrandbits(128))),
        )
        self._blows = Blows(self)
        self.front: TaskHubClient = Front(self.running, random.Random(f"{seed} front"))  # type: ignore[assignment]
        workload = Workload(random.Random(f"{seed} workload"), reuse)
        self._clients = [ScriptedClient(self.front, self.clock, self.audit, script) for script in workload.scripts()]

    def outcome(self, violation: str | None) -> HostsOutcome:
        shadow, clients, blows = self.audit.shadow, self._clients, self._blows
        return HostsOutcome(
            seed=self.seed,
            trace=self.audit.trace,
            violation=violation,
            hosts=self._count,
            commits=shadow.commit_count,
            instances=len(shadow.instances),
            activity_runs=self.audit.run_count,
            answers=sum(client.answer_count for client in clients),
            unknown_answers=sum(client.unknown_count for client in clients),
            takeovers=self.audit.takeover_count,
            crashes=blows.crash_count,
            stops=blows.stop_count,
            pauses=blows.pause_count,
            cuts=blows.cut_count,
            outages=blows.outage_count,
            lost_answers=sum(host.way.lost_count for host in self.hosts),
            offers=self.memory.offered.offered_count,
            claims=self.memory.offered.claim_count,
            claimed_turns=self.memory.offered.turn_claim_count,
            handed_over=self.memory.handed_over_count,
            repeated_activities=self.audit.runs.repeat_count,
            virtual_seconds=self.loop.time(),
            fault_kinds=tuple(sorted(self.weather.kinds | self.sharing.kinds)),
        )

    async def run(self) -> None:
        """Play, settle, stop. Raises Violation."""
        story = asyncio.create_task(self._story())
        await asyncio.wait([story, self.audit.failed], return_when=asyncio.FIRST_COMPLETED)
        if not self.audit.failed.done():
            await story
            return
        story.cancel()
        await asyncio.gather(story, return_exceptions=True)
        for host in self.hosts:
            await host.kill()
        raise self.audit.failed.result()

    def _unheard(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error that nobody looks at is one of ours, unless its process was killed or the run is over."""
        error = context.get("exception")
        if not isinstance(error, ProcessGone) and not self.audit.failed.done():
            story = "" if error is None else "".join(traceback.format_exception(error))
            self.audit.report(f"{context['message']}: {story}")

    # Hosts

    def running(self) -> list[Host]:
        """Hosts that clients reach."""
        return [host for host in self.hosts if host.is_running]

    async def add_host(self) -> Host:
        """One more; it runs when this returns, unless it was killed meanwhile."""
        chance = self._chance
        rate = 1.0 + chance.choice([-1, 0, 1]) * 0.0002
        clock = SimulatedClock(self.loop, rate)
        clock.jump(timedelta(seconds=chance.choice([-3600.0, -7.0, 0.0, 0.3, 900.0])))
        view = self.audit.view(f"host-{len(self.hosts) + 1}")
        host = Host(
            view=view,
            memory=self.memory,
            clock=clock,
            rate=rate,
            delays=self.weather,
            fates=self.weather,
            code=self.sharing.code(),
            make_executor=self.sharing.executor,
            options=self._options,
            client_options=self._client_options,
            observer=_HostObserver(view),
        )
        self.hosts.append(host)
        await host.start()
        return host

    async def _story(self) -> None:
        await asyncio.gather(*(self.add_host() for _ in range(self._count)))
        weather = asyncio.create_task(self._blows.strike())
        plays = [asyncio.create_task(client.play()) for client in self._clients]
        try:
            _, unanswered = await asyncio.wait(plays, timeout=PLAY_SECONDS_MAX)
            self.audit.require(not unanswered, f"{len(unanswered)} clients were never answered")
            await asyncio.gather(*plays)
            self._blows.is_calm = True
            await weather
        finally:
            for task in (weather, *plays):
                task.cancel()
            await asyncio.gather(weather, *plays, return_exceptions=True)
        self._faults.end()
        self.weather.end()
        if not self.running():
            await self.add_host()
        self.sharing.have_all_somewhere(self.running())
        client_name.set("settler")
        await settle(self.audit, self.front, SETTLE_SECONDS)
        self.sharing.have_all(self.running())
        await LastChecks(self).run()


class _HostObserver:
    """An engine that ends by itself, or stumbles over an instance, is a violation; one that is killed is not."""

    def __init__(self, view: HostView) -> None:
        self._view = view

    @property
    def wants(self) -> frozenset[type]:
        return frozenset({EpisodeFailed, PartitionFailed})

    def announce(self, fact: Fact) -> None:
        if isinstance(fact, EpisodeFailed | PartitionFailed) and not self._view.is_dead:
            story = "".join(traceback.format_exception(fact.error))
            self._view.audit.report(f"{type(fact).__name__} in {self._view.name}: {story}")
