"""Small neutral functions, and a hub on virtual time that counts what its store is asked."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from perdure.contracts.records import Committed, Hold, Round
from perdure.contracts.storage import Storage
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.registry import (
    ActivityDefinition,
    EntityDefinition,
    Operation,
    OperationOutcome,
    OrchestratorDefinition,
    Registry,
)
from perdure.core.replay.definition import Program, Returned
from perdure.core.replay.recorder import Recorder
from perdure.testing.in_process_hub import InProcessHub
from perdure.testing.simulated_loop import SimulatedClock, run_simulated
from perdure.testing.storage_shell import StorageShell
from support.replay_world import FUNCTIONS, text


class WatchedStorage(StorageShell):
    """Keeps the rounds that were committed and counts the reads."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.rounds: list[Round] = []
        self.calls: Counter[str] = Counter()
        self.before_commit: Callable[[Round], Awaitable[None]] | None = None

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        self.calls["commit"] += 1
        if self.before_commit is not None:
            await self.before_commit(round_)
        committed = await super().commit(hold, round_)
        self.rounds.append(round_)
        return committed

    async def load(self, hold: Hold, instance_ids: Any) -> Any:
        self.calls["load"] += 1
        return await super().load(hold, instance_ids)

    async def read_due(self, hold: Hold, after: Any, until: Any) -> Any:
        self.calls["read_due"] += 1
        return await super().read_due(hold, after, until)

    async def read_inbox(self, hold: Hold, instance_id: str, now: Any) -> Any:
        self.calls["read_inbox"] += 1
        return await super().read_inbox(hold, instance_id, now)

    async def get(self, instance_id: str) -> Any:
        self.calls["get"] += 1
        return await super().get(instance_id)


class Functions:
    """A registry that is filled with decorators."""

    def __init__(self) -> None:
        self.registry = Registry()

    def orchestrator(self, code: Callable[[Recorder, str | None], Any]) -> Callable[[Recorder, str | None], Any]:
        def begin(recorder: Recorder, input: str | None) -> Program | Returned:
            begun = code(recorder, input)
            return begun if hasattr(begun, "send") else Returned(begun)

        def write(value: Any) -> str | None:
            return None if value is None else msgspec.json.encode(value).decode()

        self.registry.add_orchestrator(OrchestratorDefinition(code.__name__, begin, write, FUNCTIONS))
        return code

    def activity(self, code: Callable[[str | None], str | None]) -> Callable[[str | None], str | None]:
        self.registry.add_activity(ActivityDefinition(code.__name__, lambda call: code(call.input)))
        return code

    def counter(self) -> None:
        """An entity whose operation ``add`` counts and whose operation ``fail`` fails."""
        self.registry.add_entity(EntityDefinition("counter", _Counter))


class _Counter:
    def __init__(self, entity: EntityId, state: str | None) -> None:
        self._count = int(state or 0)

    def run(self, operation: Operation) -> OperationOutcome:
        if operation.name == "fail":
            return OperationOutcome(None, failure=FailureDetails("ValueError", "no"))
        self._count += int(operation.input or 1)
        return OperationOutcome(str(self._count), str(self._count))

    def roll_back(self, state: str | None) -> None:
        self._count = int(state or 0)


def on_virtual_time(scenario: Callable[[SimulatedClock], Awaitable[None]]) -> None:
    """Run a scenario on a loop of its own."""
    run_simulated(lambda loop: scenario(SimulatedClock(loop)))


def small_hub(functions: Functions, clock: SimulatedClock, **parts: Any) -> tuple[InProcessHub, WatchedStorage]:
    """A hub on memory storage that can be watched."""
    hub = InProcessHub(functions.registry, clock, **parts)
    watched = WatchedStorage(hub.store)
    hub = InProcessHub(functions.registry, clock, store=hub.store, storage=watched, **parts)
    return hub, watched


__all__ = ["Functions", "WatchedStorage", "on_virtual_time", "small_hub", "text"]
