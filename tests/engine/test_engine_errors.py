"""An error of the engine's own over one instance is that instance's failure; an end that nobody asked for is heard."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from perdure.client import ClientOptions
from perdure.contracts.errors import StoreFull
from perdure.contracts.executor import EntityTurn, Executor, OrchestrationSession, Turn
from perdure.contracts.observer import EpisodeFailed, PartitionFailed
from perdure.contracts.records import Hold, PartitionLease, ReusePolicy
from perdure.core.actions import TurnResult
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin
from perdure.core.messages import Envelope, OperationRequest, RaiseEvent
from perdure.core.status import RuntimeStatus
from perdure.engine import runner as runner_module
from perdure.testing.simulated_turns import simulated_turns
from support.small_hub import Functions, on_virtual_time, small_hub, text


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.orchestrator
    def waiting(recorder: Any, input: str | None) -> Any:
        return (yield recorder.wait_for_event("go", text))

    @functions.orchestrator
    def odd(recorder: Any, input: str | None) -> Any:
        return (yield recorder.wait_for_event("go", text))

    return functions


class Facts:
    wants = frozenset({EpisodeFailed, PartitionFailed})

    def __init__(self) -> None:
        self.all: list[Any] = []

    def announce(self, fact: Any) -> None:
        self.all.append(fact)


class OddExecutor:
    """Asks for what no engine knows, for the orchestration ``odd`` and the entity ``@counter@odd``."""

    def __init__(self, inner: Executor, *, opens: bool) -> None:
        self._inner = inner
        self._opens = opens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> OrchestrationSession:
        if origin.name == "odd" and not self._opens:
            raise LookupError("no session today")
        return self._inner.open(origin, history)

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        late = await self._inner.advance(turns)
        for turn in turns:
            if isinstance(turn, EntityTurn):
                if turn.entity.key == "odd":
                    turn.result = []
            elif turn.session.origin.name == "odd":
                turn.result = TurnResult(actions=(object(),))
        return late


@pytest.mark.parametrize("opens", [True, False], ids=["finishing", "beginning"])
def test_an_error_over_one_orchestration_fails_it_and_no_other(functions: Functions, opens: bool):
    async def scenario(clock):
        facts = Facts()
        hub, _ = small_hub(
            functions, clock, observers=[facts], wrap_executor=lambda inner: OddExecutor(inner, opens=opens)
        )
        async with hub:
            other, odd = await asyncio.gather(hub.client.start("waiting"), hub.client.start("odd"))
            record = await hub.client.wait_for_completion(odd, 10)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Failed
            assert record.progress.failure is not None
            assert record.progress.failure.error_type == ("KeyError" if opens else "LookupError")

            await hub.client.raise_event(other, "go", "1")
            record = await hub.client.wait_for_completion(other, 10)
            assert record is not None
            assert record.progress.output == '"1"'
            assert [(type(fact), fact.instance_id) for fact in facts.all] == [(EpisodeFailed, odd)]

    on_virtual_time(scenario)


def test_an_error_over_one_entity_fails_its_operations_and_no_other(functions: Functions):
    async def scenario(clock):
        facts = Facts()
        hub, storage = small_hub(
            functions, clock, observers=[facts], wrap_executor=lambda inner: OddExecutor(inner, opens=True)
        )
        async with hub:
            await asyncio.gather(
                *(storage.send(Envelope(f"@counter@{key}", OperationRequest("add", "2"))) for key in ("odd", "other"))
            )
            other, odd = await storage.get("@counter@other"), await storage.get("@counter@odd")
            assert (other.progress.state, odd.progress.state) == ("2", None)
            assert [fact.instance_id for fact in facts.all] == ["@counter@odd"]

    on_virtual_time(scenario)


def test_a_part_that_is_cancelled_by_itself_is_heard(functions: Functions):
    async def scenario(clock):
        facts = Facts()
        hub, storage = small_hub(functions, clock, observers=[facts])

        async def cancelled(hold: Hold) -> list[Envelope]:
            raise asyncio.CancelledError

        storage.receive = cancelled
        async with hub:
            error = await hub.failed()
            assert "cancelled" in str(error)
            assert [type(fact) for fact in facts.all] == [PartitionFailed]

    on_virtual_time(scenario)


def test_a_stop_whose_release_fails_still_lets_the_executor_go(functions: Functions):
    async def scenario(clock):
        stopped: list[str] = []

        class Watched(OddExecutor):
            async def stop(self) -> None:
                stopped.append("executor")
                await self._inner.stop()

        hub, storage = small_hub(functions, clock, wrap_executor=lambda inner: Watched(inner, opens=True))

        async def refuse(leases: Sequence[PartitionLease]) -> None:
            raise StoreFull("no space")

        storage.release = refuse
        await hub.start()
        with pytest.raises(StoreFull):
            await hub.stop()
        assert stopped == ["executor"]
        await hub.store.close()

    on_virtual_time(scenario)


def test_what_the_replaced_instance_had_not_taken_goes_with_it(functions: Functions):
    """Its sender is answered, and the next instance of that id is not given it, now or after a restart."""

    async def scenario(clock):
        hub, storage = small_hub(
            functions,
            clock,
            turns=simulated_turns(lambda turn: 30.0 if len(turn.events) == 2 else 0.0),
            client_options=ClientOptions(reuse=ReusePolicy.ANY),
        )
        async with hub:
            await hub.client.start("waiting", instance_id="order-1")
            await storage.send(Envelope("order-1", RaiseEvent("go", '"old"')))
            await hub.client.start("waiting", instance_id="order-1")
            await asyncio.sleep(100)
            await hub.restart()
            await asyncio.sleep(100)

            record = await storage.get("order-1")
            assert record.progress.status is RuntimeStatus.Running
            await hub.client.raise_event("order-1", "go", "2")
            record = await hub.client.wait_for_completion("order-1", 100)
            assert record is not None
            assert record.progress.output == '"2"'

    on_virtual_time(scenario)


def test_a_large_backlog_is_taken_piece_by_piece_and_in_order(functions: Functions, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner_module, "MESSAGES_PER_ROUND", 10)

    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        await storage.open()
        for number in range(200):
            await storage.send(Envelope(f"@counter@{number % 50}", OperationRequest("add", "1")))
        most = 0

        async def look(round_: Any) -> None:
            nonlocal most
            assert hub.worker is not None
            most = max(most, len(round_.checkpoints))

        storage.before_commit = look
        async with hub:
            await asyncio.sleep(10)
            records = [await storage.get(f"@counter@{number}") for number in range(50)]
            assert [record.progress.state for record in records] == ["4"] * 50
            assert most == 10

    on_virtual_time(scenario)
