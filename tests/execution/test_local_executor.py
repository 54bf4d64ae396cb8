"""What is particular to executors of this process: no user code runs on the engine's loop, whatever happens to it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from perdure.contracts.executor import OrchestrationTurn
from perdure.core import events as ev
from perdure.core.instance import InstanceKind, Origin
from perdure.core.registry import OrchestratorDefinition, Registry
from perdure.core.replay.recorder import Recorder
from perdure.execution.local import ExecutionLimits, LocalExecutor, turn_threads
from perdure.execution.turns import TurnPatience
from perdure.execution.user_loop import UserLoop
from support.replay_world import EXECUTION, FUNCTIONS, text

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT_SECONDS = 20


def on_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), LIMIT_SECONDS))


def test_the_finally_blocks_of_a_program_that_is_let_go_run_on_a_turn_thread():
    ran_on: list[str] = []
    ran = threading.Event()
    registry = Registry()

    def waits(recorder: Recorder, input: str | None) -> Any:
        try:
            yield recorder.wait_for_event("never", text)
        finally:
            ran_on.append(threading.current_thread().name)
            ran.set()

    registry.add_orchestrator(OrchestratorDefinition("waits", waits, lambda value: None, FUNCTIONS))

    async def scenario() -> None:
        limits = ExecutionLimits(threads_max=1, activities_max=1)
        executor = LocalExecutor(registry, UserLoop(), limits, turn_threads(TurnPatience(), []))
        await executor.start()
        session = executor.open(Origin("order-1", InstanceKind.ORCHESTRATION, "waits", EXECUTION, T0), [])
        turn = OrchestrationTurn(session, [ev.OrchestratorStarted(T0), ev.ExecutionStarted("waits", EXECUTION)])
        await executor.advance([turn])
        session.close()
        session.close()
        await asyncio.to_thread(ran.wait, LIMIT_SECONDS)
        await executor.stop()

    on_loop(scenario)
    assert len(ran_on) == 1
    assert ran_on[0].startswith("perdure-turns-")
