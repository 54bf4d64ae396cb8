"""A process runs the partitions that it holds, while they come, are lost and are asked back."""

import asyncio
from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from perdure.contracts.errors import InstanceTaken, LeaseLost
from perdure.contracts.executor import Executor
from perdure.contracts.records import Committed, Hold, PendingActivity, Round
from perdure.core.checkpoint import Creation
from perdure.core.events import EventRaised
from perdure.core.instance import InstanceRecord, Progress
from perdure.core.messages import Envelope, RaiseEvent, StartExecution
from perdure.core.status import RuntimeStatus
from perdure.testing.away_executor import AwayExecutor
from perdure.testing.in_process_hub import InProcessHub
from perdure.testing.simulated_loop import SimulatedClock
from perdure.testing.simulated_turns import simulated_turns
from support.away_world import SteeredWork
from support.small_hub import Functions, on_virtual_time, small_hub, text
from support.split_store import SplitStore, SplitView

begun: Counter[str] = Counter()
worked: Counter[str] = Counter()


@pytest.fixture
def functions() -> Functions:
    begun.clear()
    worked.clear()
    functions = Functions()
    functions.counter()

    @functions.activity
    def work(value: str | None) -> str | None:
        worked[str(value)] += 1
        return value

    @functions.orchestrator
    def chain(recorder: Any, input: str | None) -> Any:
        for _ in range(3):
            yield recorder.call_activity("work", recorder.instance_id, text)
        return "done"

    @functions.orchestrator
    def waits(recorder: Any, input: str | None) -> Any:
        begun[recorder.instance_id] += 1
        return (yield recorder.wait_for_event("go", text))

    @functions.orchestrator
    def sleeps(recorder: Any, input: str | None) -> Any:
        yield recorder.create_timer(recorder.now + timedelta(seconds=30))
        return "woken"

    @functions.orchestrator
    def parent(recorder: Any, input: str | None) -> Any:
        done = []
        for number in range(2):
            done.append(
                (yield recorder.call_child("chain", None, f"child-{number}-{recorder.instance_id}", None, text))
            )
        yield recorder.call_entity("@counter@all", "add", "1", text)
        return len(done)

    return functions


def hub_on(functions: Functions, clock: SimulatedClock, view: SplitView, **parts: Any) -> InProcessHub:
    hub = InProcessHub(functions.registry, clock, store=view.inner, storage=view, **parts)  # type: ignore[arg-type]
    return hub


class Pair:
    """Two processes on one store; the first has begun and holds everything."""

    def __init__(self, functions: Functions, clock: SimulatedClock, **parts: Any) -> None:
        self.store = SplitStore(clock)
        self.views = (self.store.view(), self.store.view())
        self.one, self.two = (hub_on(functions, clock, view, **parts) for view in self.views)
        self.client = self.one.client

    async def __aenter__(self) -> "Pair":
        await self.store.__aenter__()
        await self.one.start()
        await self.two.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for hub in (self.one, self.two):
            if hub.worker is not None:
                assert hub.worker.failed is not None
                assert not hub.worker.failed.done(), hub.worker.failed.result()
                await hub.stop()
        assert [finding async for finding in self.store.inner.verify(liveness=True)] == []
        await self.store.__aexit__()

    def ids(self, count: int) -> list[str]:
        """Ids in every partition."""
        return [f"order-{number}" for number in range(count)]

    def holder_of(self, instance_id: str) -> SplitView:
        return self.store.owners[self.store.partition_of(instance_id)][1]

    async def hand(self, partitions: Any, to: int) -> None:
        """Ask the holder to give them back, and give them to the other when it has."""
        source = self.views[1 - to]
        source.released.clear()
        source.wanted_back.update(partitions)
        self.store.tell_all()
        while not {lease.partition for lease in source.released}.issuperset(partitions):
            source.has_released.clear()
            await source.has_released.wait()
        self.store.give(self.views[to], partitions)

    async def all_end(self, instance_ids: list[str]) -> None:
        for instance_id in instance_ids:
            record = await self.client.wait_for_completion(instance_id, 300)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed, record.progress.failure


def test_two_processes_share_a_hub(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            await pair.hand([0, 2], to=1)
            await asyncio.sleep(0.1)
            ids = pair.ids(40)
            assert len({pair.store.partition_of(instance_id) for instance_id in ids}) == 4
            await asyncio.gather(*(pair.client.start("chain", instance_id=instance_id) for instance_id in ids))
            parent = await pair.client.start("parent")
            await pair.all_end([*ids, parent])
            for view in pair.views:
                committed = {c.origin.instance_id for round_ in view.rounds for c in round_.checkpoints}
                assert {pair.holder_of(instance_id) for instance_id in committed} == {view}
            assert all(worked[instance_id] == 3 for instance_id in ids)

    on_virtual_time(scenario)


def test_what_is_lost_leaves_memory_and_goes_on_elsewhere(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            ids = pair.ids(20)
            for instance_id in ids:
                await pair.client.start("waits", instance_id=instance_id)
            sleepers = [await pair.client.start("sleeps", instance_id=f"sleeper-{n}") for n in range(20)]
            moved = [instance_id for instance_id in [*ids, *sleepers] if pair.store.partition_of(instance_id) == 1]
            assert moved
            await pair.store.take_over(1, pair.views[1])
            await asyncio.sleep(0.1)
            assert pair.one.worker is not None
            assert pair.one.worker.live_count() == 40 - len(moved)
            for instance_id in ids:
                await pair.client.raise_event(instance_id, "go", "x")
            await pair.all_end([*ids, *sleepers])
            committed = {c.origin.instance_id for round_ in pair.views[1].rounds for c in round_.checkpoints}
            assert committed == set(moved)

    on_virtual_time(scenario)


def test_the_rest_of_a_round_is_committed_when_a_partition_is_lost_meanwhile(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            ids = pair.ids(12)
            lost: list[Round] = []

            async def lose(round_: Round) -> None:
                partitions = {pair.store.partition_of(c.origin.instance_id) for c in round_.checkpoints}
                if not lost and partitions == {0, 1, 2, 3}:
                    lost.append(round_)
                    await pair.store.take_over(1, pair.views[1])
                    await pair.store.take_over(2, pair.views[1])

            pair.views[0].before_commit = lose
            starts = [pair.client.start("chain", instance_id=instance_id) for instance_id in ids]
            await asyncio.gather(*starts)
            assert lost
            committed = {c.origin.instance_id for c in lost[0].checkpoints}
            assert committed
            assert {pair.store.partition_of(instance_id) for instance_id in committed} == {0, 3}
            await pair.all_end(ids)
            assert {pair.store.owners[partition][1] for partition in (0, 3)} == {pair.views[0]}
            assert all(worked[instance_id] >= 3 for instance_id in ids)
            for instance_id in ids:
                events = await pair.store.inner.history(instance_id)
                assert sum(type(event).__name__ == "TaskCompleted" for event in events) == 3

    on_virtual_time(scenario)


def test_what_came_true_before_its_partition_was_lost_is_not_begun_by_a_late_answer(functions: Functions):
    """As when a connection that was cut is there again: the new owner has begun it long ago."""

    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            late: list[str] = []

            async def lose(round_: Round) -> None:
                if not late and any(checkpoint.activities for checkpoint in round_.checkpoints):
                    late.append(round_.checkpoints[0].origin.instance_id)
                    await pair.store.take_over(pair.store.partition_of(late[0]), pair.views[1])
                    await asyncio.sleep(60)

            pair.views[0].after_commit = lose
            await pair.client.start("chain", instance_id="order-1")
            await pair.all_end(["order-1"])
            await asyncio.sleep(120)
            assert late == ["order-1"]
            assert worked["order-1"] == 3

    on_virtual_time(scenario)


def test_a_partition_that_comes_back_is_as_if_new(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            ids = pair.ids(12)
            for instance_id in ids:
                await pair.client.start("waits", instance_id=instance_id)
            await pair.store.take_over(1, pair.views[1])
            await asyncio.sleep(0.1)
            moved = [instance_id for instance_id in ids if pair.store.partition_of(instance_id) == 1]
            await pair.client.raise_event(moved[0], "go", "elsewhere")
            await pair.all_end([moved[0]])
            await pair.store.take_over(1, pair.views[0])
            await pair.views[0].send(Envelope(moved[0], RaiseEvent("go", "late")))
            for instance_id in ids:
                if instance_id != moved[0]:
                    await pair.client.raise_event(instance_id, "go", "here")
            await pair.all_end(ids)
            record = await pair.client.get(moved[0])
            assert record is not None
            assert record.progress.output == '"elsewhere"'

    on_virtual_time(scenario)


def test_a_lost_and_regained_partition_is_dropped_between(functions: Functions):
    """Both are told at once: what was in memory under the former epoch is of no use."""

    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            ids = pair.ids(8)
            for instance_id in ids:
                await pair.client.start("waits", instance_id=instance_id)
            pair.store.owners.pop(1)
            await pair.store.take_over(1, pair.views[0])
            for instance_id in ids:
                await pair.client.raise_event(instance_id, "go", "x")
            await pair.all_end(ids)
            for instance_id in ids:
                events = await pair.store.inner.history(instance_id)
                assert sum(isinstance(event, EventRaised) for event in events) == 1
                # Replayed where it was lost, resumed where it was not.
                assert begun[instance_id] == (2 if pair.store.partition_of(instance_id) == 1 else 1)

    on_virtual_time(scenario)


def test_an_activity_that_runs_while_its_partition_is_lost_and_regained_runs_once(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        running: Counter[str] = Counter()

        def seconds(activity: PendingActivity) -> float:
            running[activity.instance_id] += 1
            return 5.0

        async with Pair(functions, clock, activity_delay=seconds) as pair:
            ids = pair.ids(8)
            for instance_id in ids:
                await pair.client.start("chain", instance_id=instance_id)
            await asyncio.sleep(1)
            pair.store.owners.pop(1)
            await pair.store.take_over(1, pair.views[0])
            await pair.all_end(ids)
            assert running == dict.fromkeys(ids, 3)
            assert worked == dict.fromkeys(ids, 3)

    on_virtual_time(scenario)


def test_a_turn_that_is_out_ends_before_its_partition_is_given_back(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        def seconds(turn: Any) -> float:
            return 0.5 if turn.session.origin.name == "chain" else 0.0

        async with Pair(functions, clock, turns=simulated_turns(seconds)) as pair:
            instance_id = await pair.client.start("chain")
            await asyncio.sleep(0.1)
            partition = pair.store.partition_of(instance_id)
            before = clock.now()
            await pair.hand([partition], to=1)
            assert 0.2 < (clock.now() - before).total_seconds() < 0.6
            assert [c.origin.instance_id for round_ in pair.views[0].rounds for c in round_.checkpoints] == [
                instance_id
            ]
            await pair.all_end([instance_id])
            assert worked[instance_id] == 3

    on_virtual_time(scenario)


def test_a_turn_that_does_not_return_holds_no_partition_up(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        def seconds(turn: Any) -> float:
            return 20.0 if pair.views[0].released == [] else 0.0

        async with Pair(functions, clock, turns=simulated_turns(seconds)) as pair:
            instance_id = await pair.client.start("chain")
            await asyncio.sleep(0.1)
            before = clock.now()
            await pair.hand([pair.store.partition_of(instance_id)], to=1)
            assert (clock.now() - before).total_seconds() < 1.1
            await pair.all_end([instance_id])
            await asyncio.sleep(30)
            assert worked[instance_id] == 3, "the late result had an effect"

    on_virtual_time(scenario)


def test_what_is_in_hand_gets_a_row_before_it_is_given_back(functions: Functions):
    """An activity that has ended does not run again because its instance moves."""

    async def scenario(clock: SimulatedClock) -> None:
        def seconds(turn: Any) -> float:
            return 0.5 if turn.session.origin.name == "waits" else 0.0

        async with Pair(functions, clock, turns=simulated_turns(seconds)) as pair:
            blocking = await pair.client.start("waits")
            partition = pair.store.partition_of(blocking)
            pair.views[0].wanted_back.add(partition)
            await asyncio.sleep(0.1)
            mine = [i for i in (f"late-{n}" for n in range(40)) if pair.store.partition_of(i) == partition]
            sent = [asyncio.create_task(pair.client.start("chain", instance_id=i)) for i in mine]
            sent.append(asyncio.create_task(pair.client.raise_event(blocking, "go", "1")))
            await pair.hand([partition], to=1)
            await asyncio.gather(*sent)
            await pair.all_end([blocking, *mine])
            assert all(worked[instance_id] == 3 for instance_id in mine)

    on_virtual_time(scenario)


@pytest.mark.parametrize("lost", [0, 1], ids=["the same", "another"])
def test_a_partition_is_lost_while_what_is_in_hand_gets_its_rows(functions: Functions, lost: int):
    async def scenario(clock: SimulatedClock) -> None:
        def seconds(turn: Any) -> float:
            return 0.5 if turn.session.origin.name == "waits" else 0.0

        async with Pair(functions, clock, turns=simulated_turns(seconds)) as pair:
            ids = [next(i for i in pair.ids(100) if pair.store.partition_of(i) == p) for p in (2, 3)]
            for instance_id in ids:
                await pair.client.start("waits", instance_id=instance_id)
            written: list[Round] = []

            async def lose(round_: Round) -> None:
                if not written and not round_.checkpoints:
                    written.append(round_)
                    await pair.store.take_over((2, 3)[lost], pair.views[1])

            pair.views[0].before_commit = lose
            # The turn is out, so what comes meanwhile is set aside.
            pair.views[0].wanted_back.add(2)
            await asyncio.gather(*(pair.client.raise_event(i, "go", "1") for i in ids))
            if lost == 1:
                await pair.views[0].has_released.wait()
                pair.store.give(pair.views[1], [2])
            await pair.all_end(ids)
            assert written

    on_virtual_time(scenario)


def test_activities_that_wait_go_with_their_partition(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock, activity_delay=lambda activity: 5.0) as pair:
            ids = pair.ids(12)
            for instance_id in ids:
                await pair.client.start("chain", instance_id=instance_id)
            await asyncio.sleep(1)
            await pair.hand([0, 1, 2, 3], to=1)
            await pair.all_end(ids)
            assert {pair.holder_of(instance_id) for instance_id in ids} == {pair.views[1]}

    on_virtual_time(scenario)


def test_a_stop_releases_everything_and_another_process_goes_on(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            ids = pair.ids(12)
            for instance_id in ids:
                await pair.client.start("waits", instance_id=instance_id)
            assert await pair.one.stop()
            assert pair.store.owners == {}
            pair.store.give(pair.views[1], range(4))
            for instance_id in ids:
                await pair.two.client.raise_event(instance_id, "go", "x")
            await pair.all_end(ids)

    on_virtual_time(scenario)


def test_nothing_is_gained_once_a_process_stops(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            stopping = asyncio.create_task(pair.one.stop())
            await stopping
            pair.store.give(pair.views[1], range(4))
            instance_id = await pair.client.start("chain")
            await pair.all_end([instance_id])

    on_virtual_time(scenario)


def test_losing_the_only_partition_of_a_one_process_store_is_the_end(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        hub, watched = small_hub(functions, clock)
        await hub.start()

        async def lose(round_: Round) -> None:
            raise LeaseLost("somebody else has it", frozenset({0}))

        watched.before_commit = lose
        starting = asyncio.create_task(hub.client.start("chain"))
        assert isinstance(await hub.failed(), LeaseLost)
        assert hub.worker is not None
        await hub.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await hub.store.close()

    on_virtual_time(scenario)


def test_the_turn_of_a_lost_instance_gives_nothing(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        def seconds(turn: Any) -> float:
            return 5.0 if pair.store.owners[1][1] is pair.views[0] else 0.0

        async with Pair(functions, clock, turns=simulated_turns(seconds)) as pair:
            instance_id = next(i for i in pair.ids(100) if pair.store.partition_of(i) == 1)
            starting = asyncio.create_task(pair.client.start("chain", instance_id=instance_id))
            await asyncio.sleep(1)
            await pair.store.take_over(1, pair.views[1])
            await starting
            await pair.all_end([instance_id])
            rounds = len(pair.views[0].rounds)
            await asyncio.sleep(10)
            assert len(pair.views[0].rounds) == rounds
            assert pair.one.worker is not None
            assert pair.one.worker.live_count() == 0
            assert worked[instance_id] == 3

    on_virtual_time(scenario)


@pytest.mark.parametrize("name", ["waits", "chain"])
def test_who_answers_for_a_lost_instance_is_told_that_it_counts_no_more(functions: Functions, name: str):
    """A worker must not wait for ever for the acknowledgement of a turn, or of an activity."""

    async def scenario(clock: SimulatedClock) -> None:
        work = SteeredWork()
        made: list[AwayExecutor] = []

        def away(inner: Executor) -> Executor:
            made.append(AwayExecutor(inner, work))
            return made[-1]

        async with Pair(functions, clock, wrap_executor=away, activity_delay=lambda _: 3.0) as pair:
            instance_id = next(i for i in pair.ids(100) if pair.store.partition_of(i) == 1)
            await pair.client.start(name, instance_id=instance_id)
            if name == "waits":
                work.work_seconds = 3.0
                await pair.client.raise_event(instance_id, "go", "x")
            await asyncio.sleep(1)
            await pair.store.take_over(1, pair.views[1])
            work.work_seconds = 0.0
            await pair.all_end([instance_id])
            await asyncio.sleep(10)
            assert [executor.unsettled for executor in made] == [0, 0]

    on_virtual_time(scenario)


def test_a_loss_that_is_heard_of_while_reading_costs_nothing_else(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Pair(functions, clock) as pair:
            ids = pair.ids(12)
            for instance_id in ids:
                await pair.client.start("waits", instance_id=instance_id)
            # All have left memory by now.
            await asyncio.sleep(30)
            load = pair.views[0].load
            asked: list[int] = []

            async def lose(hold: Hold, instance_ids: Any) -> Any:
                if len(instance_ids) == len(ids):
                    await pair.store.take_over(2, pair.views[1])
                asked.append(len(instance_ids))
                return await load(hold, instance_ids)

            pair.views[0].load = lose  # type: ignore[method-assign]
            await asyncio.gather(*(pair.client.raise_event(instance_id, "go", "x") for instance_id in ids))
            lost = [instance_id for instance_id in ids if pair.store.partition_of(instance_id) == 2]
            assert asked == [len(ids), len(ids) - len(lost)]
            await pair.all_end(ids)
            assert all(begun[instance_id] == 2 for instance_id in ids)

    on_virtual_time(scenario)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_doubled_while_partitions_move(functions: Functions, seed: int):
    async def scenario(clock: SimulatedClock) -> None:
        random = Random(seed)

        def seconds(turn: Any) -> float:
            return random.choice([0.0, 0.0, 0.0, 0.01, 0.3])

        parts: dict[str, Any] = {"turns": simulated_turns(seconds), "activity_delay": lambda _: random.random() * 0.2}
        async with Pair(functions, clock, **parts) as pair:

            async def move() -> None:
                for _ in range(60):
                    await asyncio.sleep(random.random() * 0.1)
                    partition, to = random.randrange(4), random.randrange(2)
                    if random.random() < 0.5:
                        await pair.store.take_over(partition, pair.views[to])
                    elif pair.store.owners[partition][1] is not pair.views[to]:
                        await pair.hand([partition], to)

            moving = asyncio.create_task(move())
            ids = pair.ids(30)
            for instance_id in ids:
                await pair.client.start(random.choice(["chain", "parent", "sleeps"]), instance_id=instance_id)
                await asyncio.sleep(random.random() * 0.1)
            await moving
            await pair.all_end(ids)
            for instance_id in [*ids, *(f"child-{n}-{i}" for i in ids for n in range(2))]:
                events = await pair.store.inner.history(instance_id)
                closed = [event.scheduled_seq for event in events if hasattr(event, "scheduled_seq")]
                assert len(closed) == len(set(closed))
            record = await pair.client.get("@counter@all")
            parents = [i for i in ids if (await pair.store.inner.get(i)).origin.name == "parent"]  # type: ignore[union-attr]
            assert record is not None
            assert record.progress.state == str(len(parents))

    on_virtual_time(scenario)


@pytest.mark.parametrize(("seconds", "delay"), [(0.0, 0), (5.0, 0), (0.0, 7)], ids=["begun", "turn out", "later"])
def test_what_came_for_an_id_goes_to_whoever_got_it(functions: Functions, seconds: float, delay: int):
    """Another process's instance has the id: events meant for it are not lost with ours."""

    async def scenario(clock: SimulatedClock) -> None:
        def seconds_of(turn: Any) -> float:
            return seconds if turn.session.origin.name == "chain" else 0.0

        hub, watched = small_hub(functions, clock, turns=simulated_turns(seconds_of))
        async with hub:
            await hub.client.start("waits", instance_id="order-1")
            await hub.client.start("waits", instance_id="other")
            record = await hub.client.get("order-1")
            assert record is not None
            origin = msgspec.structs.replace(record.origin, number=None, execution_id="ours", name="chain")
            due_at = clock.now() + timedelta(seconds=delay) if delay else None
            start = Envelope("order-1", StartExecution("chain", "ours"), due_at=due_at)
            ours = Creation(InstanceRecord(origin, Progress(RuntimeStatus.Pending, clock.now())), start, replaces=True)
            inner_creation_of, receive, commit = watched.creation_of, watched.receive, watched.commit
            given: list[Envelope] = [start]

            async def receive_both(hold: Hold) -> list[Envelope]:
                taken = await receive(hold)
                return [given.pop(), *taken] if given else taken

            async def refuse(hold: Hold, round_: Round) -> Committed:
                if start in round_.kept or any(c.origin.execution_id == "ours" for c in round_.checkpoints):
                    raise InstanceTaken(frozenset({"order-1"}))
                return await commit(hold, round_)

            watched.creation_of = lambda e: ours if e is start else inner_creation_of(e)  # type: ignore[method-assign]
            watched.receive = receive_both  # type: ignore[method-assign]
            watched.commit = refuse  # type: ignore[method-assign]
            # Whoever waits in ``receive`` does so in the store itself.
            await hub.client.raise_event("other", "go", "x")
            assert await hub.client.wait_for_completion("other", 10)
            await hub.client.raise_event("order-1", "go", "x")
            ended = await hub.client.wait_for_completion("order-1", 10)
            assert ended is not None
            assert (ended.origin.name, ended.progress.status) == ("waits", RuntimeStatus.Completed)
            assert not given
            await asyncio.sleep(10)
            assert hub.worker is not None
            assert hub.worker.live_count() == 0

    on_virtual_time(scenario)


def test_an_instance_that_another_process_created_first_leaves_the_round(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        hub, watched = small_hub(functions, clock)
        async with hub:
            taken: list[str] = []

            async def take(round_: Round) -> None:
                new = {c.origin.instance_id for c in round_.checkpoints if c.origin.number is None}
                if not taken and "order-1" in new and len(new) > 1:
                    taken.append("order-1")
                    raise InstanceTaken(frozenset({"order-1"}))

            watched.before_commit = take
            others = [asyncio.create_task(hub.client.start("chain", instance_id=f"order-{n}")) for n in range(3)]
            await asyncio.gather(others[0], others[2])
            assert taken
            for instance_id in ("order-0", "order-2"):
                assert await hub.client.wait_for_completion(instance_id, 10) is not None
            assert await hub.client.get("order-1") is None
            assert hub.worker is not None
            assert hub.worker.live_count() == 0
            assert not others[1].done(), "the store answers who asked for it, not the engine"
            others[1].cancel()

    on_virtual_time(scenario)
