"""Activities that nobody has begun are dropped when their instance has no use for them; those that run go on."""

import asyncio
import threading

import pytest

from perdure.contracts.records import PendingActivity
from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode, Registry
from perdure.execution.black_box import NoBox, activity_key
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local_activities import LocalActivities
from perdure.execution.quarantine import Quarantine
from perdure.execution.remote_items import ItemKind
from perdure.execution.user_loop import UserLoop
from support.remote_stage import RemoteStage, on_virtual_time


def pending(number: int, name: str, instance_id: str) -> PendingActivity:
    return PendingActivity(number, instance_id, "execution", number, number, name, str(number))


def of_gone(activity: PendingActivity) -> bool:
    return activity.instance_id == "gone"


@pytest.mark.parametrize("kinds", [("plain",), ("coroutine",), ("plain", "coroutine")], ids="+".join)
def test_only_what_has_begun_runs_in_this_process(kinds: tuple[str, ...]):
    """With both kinds, as with one, the places of what was dropped are free for others."""
    begun: list[str | None] = []
    both = threading.Barrier(3)
    holds = threading.Event()

    def plain(call: ActivityCall) -> str | None:
        begun.append(call.input)
        if not holds.is_set():
            both.wait(30)
            assert holds.wait(30)
        return call.input

    async def coroutine(call: ActivityCall) -> str | None:
        return await asyncio.to_thread(plain, call)

    registry = Registry()
    registry.add_activity(ActivityDefinition("plain", plain))
    registry.add_activity(ActivityDefinition("coroutine", coroutine, ActivityMode.LOOP))

    async def scenario() -> None:
        loop = UserLoop()
        loop.start()
        lane = LocalActivities(registry, loop, threads_max=2, concurrent_max=2, payload_bytes_max=1000, box=NoBox())
        lane.start()
        try:
            lane.begin([pending(n, kinds[n % len(kinds)], "gone") for n in range(40)])
            await asyncio.to_thread(both.wait, 30)
            lane.begin([pending(n, kinds[n % len(kinds)], "here") for n in range(40, 50)])
            lane.forget(of_gone)
            assert lane.begun() == set(map(int, begun))  # type: ignore[arg-type]
            holds.set()
            ended: list[int] = []
            while len(ended) < 12:
                ended += [result.activity.number for result in await asyncio.wait_for(lane.results(), 30)]
            assert sorted(ended) == [*sorted(map(int, begun[:2])), *range(40, 50)]  # type: ignore[arg-type]
            assert lane.work_loads() == []
            assert lane.begun() == set()
        finally:
            lane.stop()
            loop.stop()

    asyncio.run(scenario())


def test_nothing_waits_in_the_lane_of_simulations():
    async def scenario() -> None:
        registry = Registry()
        registry.add_activity(ActivityDefinition("plain", lambda call: call.input))
        lane = InlineActivities(registry, lambda activity: 1.0, concurrent_max=1)
        lane.begin([pending(1, "plain", "gone"), pending(2, "plain", "gone"), pending(3, "plain", "here")])
        lane.forget(of_gone)
        ended = [*await lane.results(), *await lane.results()]
        assert [result.activity.number for result in ended] == [1, 3]

    on_virtual_time(scenario)


def test_a_suspect_that_waits_alone_is_dropped():
    async def scenario() -> None:
        box = NoBox()
        for number in (1, 2):
            box.suspect(activity_key(number))
            box.suspect(activity_key(number))
        begun: list[int] = []
        quarantine = Quarantine(box, lambda activities: begun.extend(a.number for a in activities))
        assert quarantine.sift([pending(1, "plain", "gone"), pending(2, "plain", "here")]) == []
        quarantine.forget(of_gone)
        await asyncio.sleep(10)
        quarantine.stop()
        assert begun == [2]

    on_virtual_time(scenario)


def test_no_worker_gets_what_was_dropped():
    async def scenario() -> None:
        stage = RemoteStage()
        executor = stage.executor
        worker = stage.worker(limits=(1, 1, 1))
        first = stage.activity()
        item = await worker.take()
        stage.activity()
        stage.activity("known to nobody")
        kept = stage.activity()
        executor.forget(lambda activity: activity is not kept)
        assert sum(load.pending for load in executor.work_loads()) == 1
        lease = worker.lease(item, ItemKind.ACTIVITY)
        assert lease is not None, "what a worker has it may finish"
        answer = asyncio.ensure_future(executor.finish_activity(lease, '"done"'))
        [result] = await executor.activity_results()
        assert result.activity is first
        assert result.settled is not None
        result.settled()
        await answer
        assert (await worker.take())["number"] == kept.number
        assert await worker.takes_nothing()

    on_virtual_time(scenario)


def test_what_is_set_aside_for_a_worker_leaves_room_for_others():
    async def scenario() -> None:
        stage = RemoteStage()
        worker = stage.worker(limits=(2, 2, 2))
        stage.activity()
        stage.activity()
        kept = stage.activity()
        stage.executor.forget(lambda activity: activity is not kept)
        assert (await worker.take())["number"] == kept.number
        more = [stage.activity(), stage.activity()]
        assert (await worker.take())["number"] == more[0].number
        assert await worker.takes_nothing()

    on_virtual_time(scenario)


def test_what_was_given_back_or_is_with_a_lost_worker_is_dropped_too():
    async def scenario() -> None:
        stage = RemoteStage()
        executor = stage.executor
        worker = stage.worker()
        stage.activity("rests")
        for _ in range(3):
            lease = worker.lease(await worker.take(), ItemKind.ACTIVITY)
            assert lease is not None
            executor.give_back(lease)
        stage.activity("lost")
        lost = await worker.take()
        worker.end()
        executor.forget(lambda activity: True)
        other = stage.worker("other")
        await asyncio.sleep(200)
        assert await other.takes_nothing()
        assert worker.lease(lost, ItemKind.ACTIVITY) is None
        assert {(load.pending, load.active) for load in executor.work_loads()} == {(0, 0)}

    on_virtual_time(scenario)
