"""Weather strikes: hosts crash, stand still, come and go; ways and the store itself are cut off."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, Protocol

from perdure.testing.simulation.hosts.audit import HostsAudit
from perdure.testing.simulation.hosts.host import Host
from perdure.testing.simulation.hosts.sharing import Sharing
from perdure.testing.simulation.hosts.storage import AuditedMemory
from perdure.testing.simulation.hosts.way import WayState
from perdure.testing.simulation.hosts.weather import Weather

CRASHES_MAX = 6
HOSTS_MAX = 5


class Scene(Protocol):
    """What is struck."""

    audit: HostsAudit
    memory: AuditedMemory
    weather: Weather
    sharing: Sharing

    def running(self) -> list[Host]: ...

    async def add_host(self) -> Host: ...


class Blows:
    """Strikes until ``is_calm``; then everything under way comes to its end."""

    def __init__(self, scene: Scene) -> None:
        self.is_calm = False
        self.crash_count = 0
        self.stop_count = 0
        self.pause_count = 0
        self.cut_count = 0
        self.outage_count = 0
        self._scene = scene
        self._spells: set[asyncio.Task[None]] = set()
        self._to_come = 0
        """Hosts that are to come for others."""

    async def strike(self) -> None:
        """Blow after blow."""
        weather = self._scene.weather
        while not self.is_calm:
            await asyncio.sleep(weather.choose(0.0003, 0.02, 0.3, 2.0, 10.0))
            if hosts := self._scene.running():
                self._strike_one(self._victim(hosts), len(hosts))
                self._strike_all(hosts)
        await asyncio.gather(*self._spells)

    def _victim(self, hosts: Sequence[Host]) -> Host:
        """Every other time one that does the work of others, if any does."""
        choose = self._scene.weather.choose
        names = self._scene.memory.doers()
        doers = [host for host in hosts if host.view.name in names]
        return choose(*doers) if doers and choose(True, False) else choose(*hosts)

    def _strike_one(self, host: Host, count: int) -> None:
        happens, choose = self._scene.weather.happens, self._scene.weather.choose
        self._scene.sharing.strike(host)
        if happens("clock jumps", 0.1):
            host.clock.jump(timedelta(hours=choose(-1, 1)))
        if happens("hosts crash", 0.1) and self.crash_count < CRASHES_MAX:
            self._begin(self._crash(host, choose(0.0, 1.0, 20.0)))
        elif happens("hosts stand still", 0.1):
            self._begin(self._stand_still(host, choose(0.5, 4.0, 12.0, 31.0)))
        elif happens("hosts come and go", 0.1):
            if count > 1 and choose(True, False):
                self._begin(self._leave(host, choose(0.0, 1.0, 30.0)))
            elif count + self._to_come < HOSTS_MAX:
                self._begin(self._come(0.0))
        elif happens("hosts are cut off", 0.1):
            self._begin(self._cut([host], choose(WayState.REFUSING, WayState.SILENT), choose(0.5, 4.0, 12.0, 40.0)))
            host.way.break_off(at_store=False)
        elif happens("answers are lost", 0.2):
            self._begin(self._cut([host], WayState.DEAF, choose(0.0, 0.0002, 0.3, 3.0)))

    def _strike_all(self, hosts: Sequence[Host]) -> None:
        happens, choose = self._scene.weather.happens, self._scene.weather.choose
        if happens("the store goes away", 0.04):
            self.outage_count += 1
            self._begin(self._cut(hosts, choose(WayState.REFUSING, WayState.SILENT), choose(1.0, 8.0, 30.0)))
        elif happens("the store restarts", 0.06):
            self.outage_count += 1
            for host in hosts:
                host.way.break_off(at_store=True)
            self._begin(self._cut(hosts, WayState.REFUSING, choose(0.0, 1.0, 5.0)))

    async def _crash(self, host: Host, seconds: float) -> None:
        self.crash_count += 1
        self._note("crash", host)
        await host.kill()
        await self._come(seconds)

    async def _come(self, seconds: float) -> None:
        self._to_come += 1
        await asyncio.sleep(seconds)
        self._to_come -= 1
        await self._scene.add_host()

    async def _leave(self, host: Host, grace_seconds: float) -> None:
        self.stop_count += 1
        self._note("stop", host)
        await host.stop(grace_seconds)

    async def _stand_still(self, host: Host, seconds: float) -> None:
        self.pause_count += 1
        self._note("pause", host)
        host.pause()
        await asyncio.sleep(seconds)
        host.wake()

    async def _cut(self, hosts: Sequence[Host], state: WayState, seconds: float) -> None:
        self.cut_count += 1
        self._note(state.name, *hosts)
        for host in hosts:
            host.way.turn(state)
        await asyncio.sleep(seconds)
        for host in hosts:
            host.way.turn(WayState.OPEN)

    def _note(self, what: str, *hosts: Host) -> None:
        self._scene.audit.note(what, [host.view.name for host in hosts])

    def _begin(self, spell: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(spell)
        self._spells.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._spells.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._scene.audit.report(f"a blow failed: {error!r}")
