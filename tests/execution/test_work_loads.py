"""What a remote executor says of the work it has, and workers that want nothing more."""

import asyncio
import time

from perdure.contracts.executor import EntityTurn, ServedKind
from perdure.contracts.records import PendingActivity
from perdure.contracts.work_load import WorkLoad
from perdure.core.actions import TurnResult
from perdure.core.identifiers import EntityId
from perdure.core.registry import Operation
from perdure.execution.remote_items import ItemKind, RemoteOptions
from perdure.execution.worker_terms import WorkFilters
from support.remote_stage import EXECUTION, Caller, RemoteStage, on_virtual_time


def loads_of(stage: RemoteStage) -> dict[tuple[str, str], tuple[int, int, float]]:
    return {
        (load.kind.value, load.name): (load.pending, load.active, round(load.oldest_seconds or 0.0, 3))
        for load in stage.executor.work_loads()
    }


def test_loads_are_told_by_kind_and_name() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        assert stage.executor.work_loads() == []
        turn = await stage.turn("a", version="1")
        await asyncio.sleep(10)
        await stage.turn("b", version="2")
        stage.activity("charge")
        await stage.executor.advance([EntityTurn(EntityId("counter", "x"), None, [Operation("add", None, True)])])
        await asyncio.sleep(5)
        assert loads_of(stage) == {
            ("orchestrator", "order"): (2, 0, 15.0),
            ("activity", "charge"): (1, 0, 5.0),
            ("entity", "counter"): (1, 0, 5.0),
        }
        worker = stage.worker(filters=WorkFilters({"order": None}, {}, frozenset()))
        # What is set aside for a stream that nobody reads is not with the worker yet.
        assert loads_of(stage)["orchestrator", "order"][:2] == (2, 0)
        item = await worker.take()
        assert item["instance"] == "a"
        assert loads_of(stage)["orchestrator", "order"] == (1, 1, 5.0)
        await stage.settle(turn, worker.finish(item, TurnResult()))
        assert loads_of(stage)["orchestrator", "order"][:2] == (1, 0)
        await worker.take()
        assert loads_of(stage)["orchestrator", "order"] == (0, 1, 0.0)

    on_virtual_time(scenario)


def test_what_rests_and_what_a_lost_worker_had_count_too() -> None:
    async def scenario() -> None:
        stage = RemoteStage(RemoteOptions(activity_grace_seconds=30))
        worker = stage.worker()
        stage.activity("charge")
        for _ in range(3):
            lease = worker.lease(await worker.take(), ItemKind.ACTIVITY)
            assert lease is not None
            stage.executor.give_back(lease)
        charge = "activity", "charge"
        assert loads_of(stage) == {charge: (1, 0, 1.0)}
        await worker.take()
        worker.end()
        assert loads_of(stage) == {charge: (0, 1, 0.0)}
        await asyncio.sleep(31)
        assert loads_of(stage) == {charge: (1, 0, 34.0)}

    on_virtual_time(scenario)


def test_a_turn_that_is_recalled_keeps_its_age() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        turn = await stage.turn()
        await asyncio.sleep(7)
        assert stage.executor.recall(turn)
        await stage.next_turn(turn)
        assert loads_of(stage)["orchestrator", "order"] == (1, 0, 7.0)

    on_virtual_time(scenario)


def test_a_large_backlog_is_counted_at_once() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        stage.executor.start_activities(
            [PendingActivity(n, "order-1", EXECUTION, n, n, f"act{n % 100}") for n in range(50_000)]
        )
        times: list[float] = []
        loads: list[WorkLoad] = []
        # The best of three, and this thread's own time: neither a collection of garbage nor other programs count.
        for _ in range(3):
            began = time.thread_time()
            loads = stage.executor.work_loads()
            times.append(time.thread_time() - began)
        assert (len(loads), sum(load.pending for load in loads)) == (100, 50_000)
        assert min(times) < 0.05

    on_virtual_time(scenario)


def test_a_draining_worker_finishes_what_it_has_and_gets_nothing_more() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        leaving = stage.worker("leaving")
        turn = await stage.turn("a")
        item = await leaving.take()
        # Set aside for it, not taken.
        await stage.turn("b")
        assert not stage.executor.drain_worker(Caller("nobody", "ipv4:nobody"))
        assert stage.executor.drain_worker(leaving.caller)
        assert stage.executor.drain_worker(leaving.caller)
        await stage.turn("c", name="other")
        assert await leaving.takes_nothing()
        assert not stage.executor.serves(ServedKind.ORCHESTRATOR, "order", None)
        staying = stage.worker("staying")
        assert {(await staying.take())["instance"] for _ in range(2)} == {"b", "c"}
        await stage.settle(turn, leaving.finish(item, TurnResult()))
        assert leaving.stream.in_hand == [0, 0, 0]
        leaving.end()

    on_virtual_time(scenario)
