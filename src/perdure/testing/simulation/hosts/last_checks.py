"""When all is calm and done: nothing is left, partitions are even, idle hosts are quiet, and takeover is quick."""

import asyncio
from collections import Counter
from typing import Protocol

from perdure.testing.simulation.hosts.audit import HostsAudit
from perdure.testing.simulation.hosts.front import asked_of
from perdure.testing.simulation.hosts.host import Host
from perdure.testing.simulation.hosts.sharing import Sharing
from perdure.testing.simulation.hosts.storage import AuditedMemory
from perdure.testing.simulation.hosts.weather import Weather
from perdure.testing.simulation.programs import write_json

CALM_SECONDS = 60.0
IDLE_SECONDS = 30.0
IDLE_CALLS_MAX = 0.5
LEASE_SECONDS = 10.0
TAKEOVER_SECONDS = LEASE_SECONDS + 5.0
SWEEP_SECONDS = 3.5
PUSH_SECONDS = 0.1
WORK_SECONDS = 2.0
SHARED_SECONDS = WORK_SECONDS + 5 * SWEEP_SECONDS
"""Each of three turns and an activity is found by a sweep, and so is what came of the activity."""


class Scene(Protocol):
    """What is looked at."""

    seed: int
    audit: HostsAudit
    memory: AuditedMemory
    weather: Weather
    sharing: Sharing

    def running(self) -> list[Host]: ...


class LastChecks:
    """Of one run, once the weather is over. All raise Violation."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._audit = scene.audit
        self._memory = scene.memory

    async def run(self) -> None:
        """All of them; then every host stops."""
        await asyncio.sleep(CALM_SECONDS)
        await self._last_timers_are_due()
        await self._nothing_is_left()
        self._partitions_are_even()
        await self._idle_hosts_are_quiet()
        await self._waits_are_pushed()
        await self._work_is_shared_without_hints()
        await self._takeover_is_quick()
        await self._all_stop()

    async def _last_timers_are_due(self) -> None:
        """Timers of what has ended stay until then."""
        dues = [sent.due_at for sent in self._audit.shadow.rows.values() if sent.due_at is not None]
        if dues:
            await asyncio.sleep(max(0.0, (max(dues) - self._memory.now()).total_seconds()) + 2 * SWEEP_SECONDS)

    async def _nothing_is_left(self) -> None:
        shadow, require = self._audit.shadow, self._audit.require
        require(not shadow.rows, f"messages are left: {shadow.rows}")
        require(not shadow.activities, f"activities are left: {shadow.activities}")
        waiting = [envelope for host in self._scene.running() for envelope in host.view.in_flight()]
        require(not waiting, f"messages have no row: {waiting}")
        locked = [instance for instance in shadow.instances.values() if instance.progress.locked_by is not None]
        require(not locked, f"locks are left: {locked}")
        require(not self._memory.offered.up, f"offers are left: {self._memory.offered.up}")
        async for finding in self._memory.rows.verify(liveness=True):
            require(False, f"verify found {finding}")

    def _partitions_are_even(self) -> None:
        rows = self._memory.partitions.values()
        counts = Counter(row.owner for row in rows)
        hosts = len(self._scene.running())
        least, most = len(rows) // hosts, -(-len(rows) // hosts)
        self._audit.require(None not in counts, f"partitions are free: {rows}")
        self._audit.require(
            all(least <= count <= most for count in counts.values()) and len(counts) == min(hosts, len(rows)),
            f"O5: {hosts} hosts hold {sorted(counts.values())} of {len(rows)} partitions",
        )

    async def _idle_hosts_are_quiet(self) -> None:
        hosts = self._scene.running()
        before = [host.way.asked.copy() for host in hosts]
        await asyncio.sleep(IDLE_SECONDS)
        for host, counts in zip(hosts, before, strict=True):
            asked = host.way.asked - counts
            # Of a horizon that is far nearer than it ever is.
            del asked["read due"]
            rate = asked.total() / IDLE_SECONDS
            self._audit.require(
                rate < IDLE_CALLS_MAX, f"{host.view.name} is idle and asks {rate:.2f} a second: {asked}"
            )

    async def _waits_are_pushed(self) -> None:
        """Also when no hint arrives, in every other run."""
        self._scene.weather.is_mute = self._scene.seed % 2 == 1
        bound = WORK_SECONDS + (2 * SWEEP_SECONDS if self._scene.weather.is_mute else PUSH_SECONDS)
        hosts = self._scene.running()
        await asyncio.gather(*(self._wait(host, f"wait-{n}", bound) for n, host in enumerate(hosts)))
        self._scene.weather.is_mute = False

    async def _work_is_shared_without_hints(self) -> None:
        """Where the code of an orchestrator and that of its activities are at different hosts."""
        hosts, sharing, weather = self._scene.running(), self._scene.sharing, self._scene.weather
        if not sharing.has_parts or len(hosts) < 2:
            return
        sharing.divide(hosts[0], hosts[1:])
        weather.is_mute = True
        await asyncio.gather(*(self._wait(host, f"shared-{n}", SHARED_SECONDS) for n, host in enumerate(hosts)))
        weather.is_mute = False
        sharing.have_all(hosts)

    async def _wait(self, host: Host, instance_id: str, seconds: float) -> None:
        await self._begin(host, instance_id)
        loop = asyncio.get_running_loop()
        began = loop.time()
        record = await asked_of(host, "wait_for_completion", instance_id, 2 * seconds)
        ended = loop.time() - began
        self._audit.require(record is not None and ended < seconds, f"{host.view.name} waited {ended:.2f} s: {record}")

    async def _begin(self, host: Host, instance_id: str) -> None:
        given = write_json({"program": [["timer", WORK_SECONDS], ["activity"]]})
        await asked_of(host, "start", "program_at_call", instance_id=instance_id, input=given)

    async def _takeover_is_quick(self) -> None:
        hosts = self._scene.running()
        if len(hosts) < 2:
            return
        victim, other = hosts[0], hosts[-1]
        instance_id = self._an_id_of(victim)
        if instance_id is None:
            return
        await self._begin(other, instance_id)
        began = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(asked_of(other, "wait_for_completion", instance_id, 30.0))
        await victim.kill()
        record = await waiting
        seconds = asyncio.get_running_loop().time() - began
        self._audit.require(
            record is not None and seconds < TAKEOVER_SECONDS + WORK_SECONDS, f"O4: takeover took {seconds:.2f} s"
        )
        await asyncio.sleep(LEASE_SECONDS * 3)
        self._partitions_are_even()

    def _an_id_of(self, host: Host) -> str | None:
        """An instance id of a partition that this host holds."""
        rows, name = self._memory.partitions, host.view.name
        ids = (f"taken-over-{number}" for number in range(100))
        return next((i for i in ids if self._memory.name_of(rows[self._audit.partition_of(i)].owner) == name), None)

    async def _all_stop(self) -> None:
        for host in self._scene.running():
            await host.stop(30.0)
        rows = self._memory.partitions.values()
        self._audit.require(all(row.owner is None for row in rows), f"partitions were not given back: {rows}")
