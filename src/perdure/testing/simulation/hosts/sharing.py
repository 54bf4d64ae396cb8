"""What makes hosts of one run share their work: little room for activities, and code that not every host has."""

import random
from collections.abc import Sequence
from typing import Any

from perdure.contracts.executor import Executor, ServedKind
from perdure.contracts.records import PendingActivity
from perdure.contracts.storage import Storage
from perdure.core.registry import Registry
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local import ExecutionLimits, LocalExecutor, inline_turns
from perdure.execution.offering_executor import offering
from perdure.execution.user_loop import UserLoop
from perdure.testing.away_executor import AwayExecutor, PromptWork
from perdure.testing.simulated_turns import simulated_turns
from perdure.testing.simulation.faults import AWAY, STUCK_SECONDS, Faults
from perdure.testing.simulation.hosts.audit import HostView
from perdure.testing.simulation.hosts.code import Code, Name, PartialExecutor, names_of
from perdure.testing.simulation.hosts.executor import HostExecutor
from perdure.testing.simulation.hosts.host import Host

LITTLE_ROOM = "little room"
PARTS_OF_CODE = "parts of the code"
UNBOUNDED = 1_000_000
_LIMITS = ExecutionLimits(threads_max=1, activities_max=1)


class Sharing:
    """Drawn by the seed. Each kind is on in two of five runs."""

    def __init__(self, seed: int, registry: Registry, faults: Faults) -> None:
        self._chance = random.Random(f"{seed} sharing")
        self._registry = registry
        self._faults = faults
        self._names = names_of(registry)
        self.kinds = frozenset(kind for kind in (LITTLE_ROOM, PARTS_OF_CODE) if self._chance.random() < 0.4)
        self._room = self._chance.choice([1, 1, 2, 3]) if LITTLE_ROOM in self.kinds else UNBOUNDED
        self._is_away = faults.has(AWAY)
        self.has_parts = PARTS_OF_CODE in self.kinds

    def code(self) -> Code:
        """Of a new host."""
        return Code(self._names, self._some() if self.has_parts else self._names)

    def strike(self, host: Host) -> None:
        """Now and then a host gets other workers."""
        if self.has_parts and self._chance.random() < 0.15:
            host.gets_code(self._some())

    def have_all_somewhere(self, hosts: Sequence[Host]) -> None:
        """From here on every code is at one host at least."""
        if not self.has_parts:
            return
        parts: list[set[Name]] = [set(self._some()) for _ in hosts]
        for name in self._names:
            self._chance.choice(parts).add(name)
        for host, part in zip(hosts, parts, strict=True):
            host.gets_code(part)

    def divide(self, first: Host, others: Sequence[Host]) -> None:
        """Activities at one host, everything else at the others."""
        activities = [name for name in self._names if name[0] is ServedKind.ACTIVITY]
        first.gets_code(activities)
        for host in others:
            host.gets_code(name for name in self._names if name not in activities)

    def have_all(self, hosts: Sequence[Host]) -> None:
        """From here on every code is everywhere."""
        for host in hosts:
            host.gets_code(self._names)

    def executor(self, view: HostView, storage: Storage, code: Code) -> Executor:
        """A host's, which shares its work."""

        def seconds(activity: PendingActivity) -> float:
            view.activity_begins(activity)
            return self._faults.activity_seconds(activity)

        is_away = self._is_away or self.has_parts
        activities = InlineActivities(self._registry, seconds, concurrent_max=self._room)
        turns = inline_turns if is_away else simulated_turns(self._faults.turn_seconds, STUCK_SECONDS)
        local = _Workers(view, self._registry, UserLoop(), _LIMITS, turns, activities)
        if not is_away:
            return offering(HostExecutor(local, view), storage, serves=local.serves)
        away = AwayExecutor(local, self._faults if self._is_away else PromptWork())
        if not self.has_parts:
            return offering(HostExecutor(away, view), storage, serves=away.serves)
        partial = HostExecutor(PartialExecutor(away, code), view)
        return offering(partial, storage, serves=code.serves, leaves=code.leaves)

    def _some(self) -> list[Name]:
        return [name for name in self._names if self._chance.random() < 0.6]


class _Workers(LocalExecutor):
    """Tells which activities wait for it; those of a worker that is gone do so again."""

    def __init__(self, view: HostView, *parts: Any) -> None:
        super().__init__(*parts)
        self._view = view

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        for activity in activities:
            self._view.activity_waits(activity)
        super().start_activities(activities)
