"""Which worker gets what: filters, limits, the least loaded first, pings, streams that are not read."""

import asyncio

import pytest

from perdure.contracts.executor import ServedKind
from perdure.execution.remote_items import ItemKind, LaneKey, RemoteOptions
from perdure.execution.worker_streams import AHEAD_MAX
from perdure.execution.worker_terms import WorkerTerms, WorkFilters, united
from support.remote_stage import PlainFormat, RemoteStage, on_virtual_time, settle_down

NOTHING = WorkFilters({}, {}, frozenset())


def orchestration(name: str, version: str = "") -> LaneKey:
    return LaneKey(ItemKind.ORCHESTRATION, name, version)


@pytest.mark.parametrize(
    ("filters", "lane", "takes"),
    [
        (None, orchestration("order"), True),
        (None, LaneKey(ItemKind.ENTITY, "counter"), True),
        (NOTHING, orchestration("order"), False),
        (NOTHING, LaneKey(ItemKind.ACTIVITY, "charge"), False),
        (NOTHING, LaneKey(ItemKind.ENTITY, "counter"), False),
        (WorkFilters({"order": None}, {}, frozenset()), orchestration("order", "2.0"), True),
        (WorkFilters({"order": None}, {}, frozenset()), orchestration("Order"), False),
        (WorkFilters({"order": None}, {}, frozenset()), LaneKey(ItemKind.ACTIVITY, "order"), False),
        (WorkFilters({"order": frozenset({"1", "2"})}, {}, frozenset()), orchestration("order", "2"), True),
        (WorkFilters({"order": frozenset({"1", "2"})}, {}, frozenset()), orchestration("order"), False),
        (WorkFilters({"order": frozenset({""})}, {}, frozenset()), orchestration("order"), True),
        (WorkFilters({}, {"charge": frozenset({"1"})}, frozenset()), LaneKey(ItemKind.ACTIVITY, "charge", "1"), True),
        (WorkFilters({}, {}, frozenset({"counter"})), LaneKey(ItemKind.ENTITY, "counter"), True),
        (WorkFilters({}, {}, frozenset({"counter"})), LaneKey(ItemKind.ENTITY, "other"), False),
    ],
)
def test_filters(filters: WorkFilters | None, lane: LaneKey, takes: bool) -> None:
    assert WorkerTerms("w1", filters=filters).take(lane) is takes


def test_entries_of_one_name_are_taken_together() -> None:
    entries = [("a", ["1"]), ("a", ["2"]), ("b", ["1"]), ("b", []), ("b", ["2"]), ("c", [])]
    assert united(entries) == {"a": frozenset({"1", "2"}), "b": None, "c": None}


def test_work_waits_for_a_worker_that_takes_it() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        executor = stage.executor
        only_charge = WorkFilters({}, {"charge": None}, frozenset())
        charger = stage.worker("charger", filters=only_charge)
        await stage.turn()
        ship = stage.activity("ship")
        charge = stage.activity("charge")
        assert executor.serves(ServedKind.ACTIVITY, "charge", None)
        assert not executor.serves(ServedKind.ACTIVITY, "ship", None)
        assert (await charger.take())["number"] == charge.number
        assert await charger.takes_nothing()
        shipper = stage.worker("shipper", filters=WorkFilters({"order": None}, {"ship": None}, frozenset()))
        taken = [await shipper.take(), await shipper.take()]
        assert {item.get("number", item.get("instance")) for item in taken} == {ship.number, "order-1"}
        assert [terms.worker for terms in executor.connected()] == ["charger", "shipper"]
        shipper.end()
        assert not executor.serves(ServedKind.ACTIVITY, "ship", None)

    on_virtual_time(scenario)


def test_versions_route_work() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        old = stage.worker("old", filters=WorkFilters({"order": frozenset({"1", ""})}, {}, frozenset()))
        new = stage.worker("new", filters=WorkFilters({"order": frozenset({"2"})}, {}, frozenset()))
        for version in (None, "1", "2", "3"):
            await stage.turn(f"v{version}", version=version)
        assert [(await old.take())["instance"] for _ in range(2)] == ["vNone", "v1"]
        assert (await new.take())["instance"] == "v2"
        assert await old.takes_nothing()
        assert await new.takes_nothing()

    on_virtual_time(scenario)


def test_a_limit_holds_for_its_kind_and_an_answer_makes_room() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker(limits=(1, 2, 0))
        for n in range(3):
            await stage.turn(f"order-{n}")
            stage.activity()
        taken = [await worker.take() for _ in range(3)]
        assert await worker.takes_nothing()
        assert sorted("instance" in item for item in taken) == [False, False, True]
        [turn] = [item for item in taken if "instance" in item]
        answer = worker.finish(turn)
        assert (await worker.take())["instance"] == "order-1"
        assert await worker.takes_nothing()
        [late] = await stage.executor.late_turns()
        assert late.settled is not None
        late.settled()
        await answer

    on_virtual_time(scenario)


def test_a_worker_without_limits_gets_the_servers_own() -> None:
    async def scenario() -> None:
        stage = RemoteStage(RemoteOptions(limit_per_kind=20))
        worker = stage.worker(limits=(0, 0, 0))
        for _ in range(30):
            stage.activity()
        for _ in range(20):
            await worker.take()
        assert await worker.takes_nothing()

    on_virtual_time(scenario)


def test_the_least_loaded_worker_gets_the_next_item() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        workers = [stage.worker(f"w{n}", limits=(0, limit, 0)) for n, limit in enumerate((10, 10, 40))]
        for _ in range(30):
            stage.activity()
            for worker in workers:
                await worker.takes_nothing()
        taken = {worker.terms.worker: worker.stream.in_hand[ItemKind.ACTIVITY] for worker in workers}
        assert taken == {"w0": 5, "w1": 5, "w2": 20}

    on_virtual_time(scenario)


def test_equal_workers_take_turns() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        workers = [stage.worker(f"w{n}") for n in range(3)]
        for _ in range(9):
            stage.activity()
        numbers = [[(await worker.take())["number"] for _ in range(3)] for worker in workers]
        assert numbers == [[1, 4, 7], [2, 5, 8], [3, 6, 9]]

    on_virtual_time(scenario)


def test_workers_whose_connections_never_wait_share_what_is_there_at_once() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        workers = [stage.worker(f"w{n}") for n in range(3)]
        taken: list[list[bytes | None]] = [[], [], []]

        async def take_all(number: int) -> None:
            while (item := await stage.executor.next_item(workers[number].stream)) is not None:
                taken[number].append(item)

        taking = [asyncio.ensure_future(take_all(number)) for number in range(3)]
        await settle_down()
        for _ in range(150):
            stage.activity()
        await settle_down()
        assert sum(map(len, taken)) == 150
        assert min(map(len, taken)) >= 50 - AHEAD_MAX
        for take in taking:
            take.cancel()
        await asyncio.gather(*taking, return_exceptions=True)

    on_virtual_time(scenario)


def test_a_stream_that_is_not_read_keeps_little_from_the_others() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        stage.worker("reads-nothing")
        reader = stage.worker("reads")
        for _ in range(100):
            stage.activity()
        for _ in range(100 - AHEAD_MAX):
            await reader.take()
        assert await reader.takes_nothing()

    on_virtual_time(scenario)


def test_no_kind_starves_another() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        for n in range(50):
            await stage.turn(f"order-{n}")
        stage.activity()
        worker = stage.worker()
        first = [await worker.take() for _ in range(2 * AHEAD_MAX + 1)]
        assert any("activity" in item for item in first)

    on_virtual_time(scenario)


def test_many_names_that_nobody_takes_cost_the_others_nothing() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        for n in range(12_000):
            stage.activity(f"unknown-{n}")
        worker = stage.worker(filters=WorkFilters({}, {"charge": None}, frozenset()))
        stage.activity("charge")
        assert (await worker.take())["activity"] == "charge"
        taker = stage.worker("takes-everything", limits=(0, 20_000, 0))
        numbers = [(await taker.take())["number"] for _ in range(12_000)]
        assert numbers == sorted(numbers)

    on_virtual_time(scenario)


def test_hundreds_of_workers_share_evenly_and_the_last_one_with_room_is_found() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        workers = [stage.worker(f"w{n}", limits=(0, 4, 0)) for n in range(300)]

        def in_hand() -> list[int]:
            return [worker.stream.in_hand[ItemKind.ACTIVITY] for worker in workers]

        for each in range(1, 5):
            for _ in workers:
                stage.activity()
            assert in_hand() == [each] * 300
        lease = workers[123].lease(await workers[123].take(), ItemKind.ACTIVITY)
        assert lease is not None
        answering = asyncio.ensure_future(stage.executor.finish_activity(lease, "1"))
        await stage.executor.activity_results()
        assert in_hand()[123] == 3
        stage.activity()
        assert in_hand() == [4] * 300
        answering.cancel()

    on_virtual_time(scenario)


def test_of_hundreds_of_workers_another_one_gets_what_was_given_back() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        workers = [stage.worker(f"w{n}", limits=(0, 1 if n < 250 else 2, 0)) for n in range(300)]
        for _ in workers:
            stage.activity()
        lease = workers[0].lease(await workers[0].take(), ItemKind.ACTIVITY)
        assert lease is not None
        stage.executor.give_back(lease)
        assert workers[0].stream.in_hand[ItemKind.ACTIVITY] == 0
        assert sum(worker.stream.in_hand[ItemKind.ACTIVITY] for worker in workers) == 300

    on_virtual_time(scenario)


def test_a_silent_stream_gets_pings_and_only_while_it_reads() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker()
        executor, loop = stage.executor, asyncio.get_running_loop()
        assert await executor.next_item(worker.stream) == PlainFormat.ping
        assert loop.time() == 30
        await asyncio.sleep(1000)
        assert await executor.next_item(worker.stream) == PlainFormat.ping
        assert loop.time() == 1030
        reading = asyncio.ensure_future(executor.next_item(worker.stream))
        await asyncio.sleep(20)
        stage.activity()
        await settle_down()
        assert b"charge" in (reading.result() or b"")
        assert await executor.next_item(worker.stream) == PlainFormat.ping
        assert loop.time() == 1080

    on_virtual_time(scenario)


def test_a_ping_that_is_due_is_sent_also_when_what_came_with_it_cannot_be() -> None:
    async def scenario() -> None:
        stage = RemoteStage(RemoteOptions(item_bytes_max=1000))
        worker = stage.worker()
        reading = asyncio.ensure_future(stage.executor.next_item(worker.stream))
        await settle_down()
        worker.stream.wake_silent()
        stage.activity(input="x" * 2000)
        await settle_down()
        assert reading.result() == PlainFormat.ping

    on_virtual_time(scenario)


def test_a_recalled_turn_keeps_its_place() -> None:
    async def scenario() -> None:
        stage = RemoteStage()
        executor = stage.executor
        turns = [await stage.turn(f"order-{n}") for n in range(4)]
        for _ in range(200):
            assert executor.recall(turns[1])
            turns[1] = await stage.next_turn(turns[1])
        assert executor.recall(turns[2])
        worker = stage.worker()
        taken = [(await worker.take())["instance"] for _ in range(3)]
        assert taken == ["order-0", "order-1", "order-3"]
        assert await worker.takes_nothing()

    on_virtual_time(scenario)
