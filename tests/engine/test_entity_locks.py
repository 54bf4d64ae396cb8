"""Critical sections on a running hub: who gets in, who waits, and that every end of the holder lets go."""

import asyncio
import dataclasses
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from perdure.client import CleanedEntities, EntityId, ReusePolicy, RuntimeStatus, WaitKind
from perdure.contracts.records import Round
from perdure.core.messages import Envelope, LockRequest, RemoveWhenEmpty, ReplyTo
from perdure.core.replay.recorder import Recorder
from perdure.engine.live_instances import LiveLimits
from perdure.storage.memory.storage import MemoryStorage
from perdure.testing.faulty_storage import CommitFate, FaultyStorage, NoFaults
from perdure.testing.in_process_hub import InProcessHub, counted_ids, default_options
from perdure.testing.simulated_loop import SimulatedClock
from support.small_hub import Functions, on_virtual_time, small_hub, text

A, B, C = "@counter@a", "@counter@b", "@counter@c"
Code = Generator[Any, Any, Any]


def _functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.activity
    def pack(input: str | None) -> str | None:
        return input

    @functions.orchestrator
    def transfer(recorder: Recorder, input: str | None) -> Code:
        """Reads, sleeps, writes: right only under a lock. The input says what is locked first and second."""
        ids = [f"@counter@{key}" for key in (input or "").strip('"')]
        with (yield recorder.lock_entities(ids)):
            before = yield recorder.call_entity(ids[0], "add", "0", text)
            yield recorder.create_timer(recorder.now + timedelta(seconds=3))
            after = yield recorder.call_entity(ids[0], "add", "1", text)
        return [int(before), int(after)]

    @functions.orchestrator
    def hold(recorder: Recorder, input: str | None) -> Code:
        """Holds a and b until it is told how to end."""
        lock = yield recorder.lock_entities([B, A])
        how = yield recorder.wait_for_event("end", text)
        if how == '"fail"':
            raise ValueError("enough")
        if how == '"again"':
            recorder.continue_as_new('"rest"')
        return list(lock.entity_ids)

    @functions.orchestrator
    def rest(recorder: Recorder, input: str | None) -> Code:
        yield recorder.wait_for_event("end", text)

    return functions


async def _add(hub: InProcessHub, key: str, count: str = "1") -> None:
    await hub.client.signal_entity(EntityId("counter", key), "add", count)


async def _state(hub: InProcessHub, key: str) -> str | None:
    return await hub.client.read_entity(EntityId("counter", key))


async def _holder_of(hub: InProcessHub, key: str) -> str | None:
    record = await hub.client.get(f"@counter@{key}")
    holder = None if record is None else record.progress.locked_by
    return None if holder is None else holder.instance_id


async def _held(hub: InProcessHub) -> str:
    """An orchestration that holds a and b."""
    holder = await hub.client.start("hold")
    await asyncio.sleep(1)
    assert [await _holder_of(hub, key) for key in "ab"] == [holder, holder]
    return holder


async def _ended(hub: InProcessHub, instance_id: str) -> RuntimeStatus:
    record = await hub.client.wait_for_completion(instance_id, 100)
    assert record is not None
    return record.progress.status


def test_sections_over_one_entity_follow_each_other() -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            ids = [await hub.client.start("transfer", input='"a"') for _ in range(5)]
            records = [await hub.client.wait_for_completion(instance_id, 100) for instance_id in ids]
            seen = sorted(r.progress.output for r in records if r is not None and r.progress.output is not None)
            assert seen == ["[0,1]", "[1,2]", "[2,3]", "[3,4]", "[4,5]"]

    on_virtual_time(scenario)


def test_overlapping_sets_never_wait_for_each_other() -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            inputs = [f'"{keys}"' for keys in ("ab", "ba", "bc", "ca", "cba", "acb")]
            ids = [await hub.client.start("transfer", input=text) for text in inputs]
            assert [await _ended(hub, i) for i in ids] == [RuntimeStatus.Completed] * len(ids)
            await asyncio.sleep(1)
            assert [await _holder_of(hub, key) for key in "abc"] == [None, None, None]

    on_virtual_time(scenario)


@pytest.mark.parametrize("restarted", [False, True])
def test_others_wait_in_order_while_the_holder_calls(restarted: bool) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            started = await hub.client.start("transfer", input='"a"')
            await asyncio.sleep(1)
            assert await _holder_of(hub, "a") == started
            await _add(hub, "a", "10")
            later = await hub.client.start("transfer", input='"a"')
            await _add(hub, "a", "100")
            if restarted:
                await hub.restart()
            record = await hub.client.wait_for_completion(started, 100)
            assert record is not None
            assert record.progress.output == "[0,1]"
            record = await hub.client.wait_for_completion(later, 100)
            assert record is not None
            assert record.progress.output == "[11,12]"
            await asyncio.sleep(1)
            assert await _state(hub, "a") == "112"

    on_virtual_time(scenario)


@pytest.mark.parametrize("how", ['"return"', '"fail"', '"again"'])
def test_however_the_code_ends_the_locks_are_let_go(how: str) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            holder = await _held(hub)
            await _add(hub, "b")
            assert await _state(hub, "b") is None
            await hub.client.raise_event(holder, "end", how)
            await asyncio.sleep(1)
            assert await _state(hub, "b") == "1"
            if how != '"again"':
                assert [await _holder_of(hub, key) for key in "ab"] == [None, None]
            else:
                # The next execution has locked them anew.
                assert [await _holder_of(hub, key) for key in "ab"] == [holder, holder]

    on_virtual_time(scenario)


@pytest.mark.parametrize("purged", [False, True])
@pytest.mark.parametrize("suspended", [False, True])
def test_termination_lets_go(suspended: bool, purged: bool) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            holder = await _held(hub)
            if suspended:
                await hub.client.suspend(holder)
            if purged:
                await hub.client.terminate_and_purge(holder)
            else:
                await hub.client.terminate(holder, "enough")
            await asyncio.sleep(1)
            assert [await _holder_of(hub, key) for key in "ab"] == [None, None]

    on_virtual_time(scenario)


def test_termination_takes_back_a_request_that_still_waits() -> None:
    """It holds a, waits for b and has not reached c: all three are free afterwards, whatever the order of arrival."""

    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            blocker = await hub.client.start("transfer", input='"b"')
            await asyncio.sleep(1)
            waiting = await hub.client.start("transfer", input='"abc"')
            await asyncio.sleep(1)
            assert [await _holder_of(hub, key) for key in "abc"] == [waiting, blocker, None]
            await hub.client.terminate(waiting)
            assert await _ended(hub, blocker) is RuntimeStatus.Completed
            await asyncio.sleep(1)
            assert [await _holder_of(hub, key) for key in "abc"] == [None, None, None]
            last = await hub.client.start("transfer", input='"cab"')
            assert await _ended(hub, last) is RuntimeStatus.Completed

    on_virtual_time(scenario)


class _DiesAt(NoFaults):
    """The process dies around a commit once it is told so."""

    def __init__(self) -> None:
        self.next_fate = CommitFate.FINE

    def fate(self) -> CommitFate:
        fate, self.next_fate = self.next_fate, CommitFate.FINE
        return fate


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "in the store"])
@pytest.mark.parametrize("delay", [None, timedelta(hours=2)], ids=["at once", "later"])
@pytest.mark.parametrize("fate", CommitFate, ids=lambda fate: fate.name)
def test_a_replaced_holder_lets_go_with_the_commit_that_replaces_it(
    fate: CommitFate, delay: timedelta | None, in_memory: bool
) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        schedule, crashed = _DiesAt(), asyncio.Event()
        store = MemoryStorage()

        def crash() -> None:
            store.crash()
            crashed.set()

        options = msgspec.structs.replace(
            default_options(), live=LiveLimits() if in_memory else LiveLimits(instances_max=0)
        )
        hub = InProcessHub(
            _functions().registry,
            clock,
            store,
            FaultyStorage(store, schedule, crash),
            options=options,
            client_options=dataclasses.replace(counted_ids(), reuse=ReusePolicy.ANY),
        )
        async with hub:
            holder = await _held(hub)
            schedule.next_fate = fate
            start_at = None if delay is None else clock.now() + delay
            starting = asyncio.create_task(hub.client.start("rest", instance_id=holder, start_at=start_at))
            if fate is not CommitFate.FINE:
                await crashed.wait()
                await hub.restart()
            await asyncio.gather(starting, return_exceptions=True)
            await asyncio.sleep(1)
            record = await hub.client.get(holder)
            assert record is not None
            is_replaced = fate is not CommitFate.CRASH_BEFORE
            assert record.origin.name == ("rest" if is_replaced else "hold")
            assert [await _holder_of(hub, key) for key in "ab"] == ([None, None] if is_replaced else [holder, holder])

    on_virtual_time(scenario)


def test_a_holder_that_is_replaced_while_no_engine_runs_lets_go() -> None:
    async def scenario(clock: SimulatedClock) -> None:
        options = dataclasses.replace(counted_ids(), reuse=ReusePolicy.ANY)
        hub, _ = small_hub(_functions(), clock, client_options=options)
        async with hub:
            holder = await _held(hub)
            await hub.stop()
            await hub.client.start("rest", instance_id=holder)
            hub.store.crash()
            await hub.start()
            await asyncio.sleep(1)
            assert [await _holder_of(hub, key) for key in "ab"] == [None, None]

    on_virtual_time(scenario)


def test_locks_that_are_asked_for_while_the_start_is_on_its_way_are_let_go_too() -> None:
    """What is let go is what the former had when it was replaced, not when the start was asked for."""

    async def scenario(clock: SimulatedClock) -> None:
        options = dataclasses.replace(counted_ids(), reuse=ReusePolicy.ANY)
        hub, storage = small_hub(_functions(), clock, client_options=options)
        async with hub:
            holder = await hub.client.start("rest", instance_id="it")
            starting: list[asyncio.Task[str]] = []

            async def replace(round_: Round) -> None:
                if any(checkpoint.origin.name == "hold" for checkpoint in round_.checkpoints) and not starting:
                    starting.append(asyncio.create_task(hub.client.start("rest", instance_id=holder)))
                    await asyncio.sleep(1)

            storage.before_commit = replace
            await hub.client.terminate(holder)
            await hub.client.start("hold", instance_id=holder)
            await starting[0]
            await asyncio.sleep(1)
            assert [await _holder_of(hub, key) for key in "ab"] == [None, None]

    on_virtual_time(scenario)


def test_a_waiting_orchestration_tells_what_it_waits_for() -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            holder = await _held(hub)
            waiting = await hub.client.start("transfer", input='"cb"')
            await asyncio.sleep(1)
            record = await hub.client.get(waiting)
            assert record is not None
            [reason] = await hub.client.waiting_on(record)
            assert (reason.kind, reason.name) == (WaitKind.LOCK, B)
            assert reason.reason == f"held by '{holder}'"
            locked = await hub.client.get(B)
            assert locked is not None
            assert [(r.kind, r.name) for r in await hub.client.waiting_on(locked)] == [(WaitKind.LOCK, holder)]

    on_virtual_time(scenario)


def test_cleaning_releases_the_locks_of_those_that_do_not_run() -> None:
    """A request of an orchestration that never was: the lock it takes has nobody to release it."""

    async def scenario(clock: SimulatedClock) -> None:
        hub, storage = small_hub(_functions(), clock)
        async with hub:
            holder = await _held(hub)
            nobody = ReplyTo("nobody", "11111111-1111-1111-1111-111111111111", 2)
            await storage.send(Envelope(C, LockRequest(nobody, "s1", (C,))))
            await asyncio.sleep(1)
            assert await _holder_of(hub, "c") == "nobody"
            cleaned = await hub.client.clean_entity_storage(remove_empty_entities=False, release_orphaned_locks=True)
            assert cleaned == CleanedEntities(0, 1)
            await asyncio.sleep(1)
            assert [await _holder_of(hub, key) for key in "abc"] == [holder, holder, None]

    on_virtual_time(scenario)


def test_cleaning_forgets_entities_without_state_lock_and_work() -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            holder = await _held(hub)
            await _add(hub, "c")
            for entity_id in ("d", "e"):
                await hub.client.signal_entity(EntityId("counter", entity_id), "fail")
            await asyncio.sleep(1)
            cleaned = await hub.client.clean_entity_storage(remove_empty_entities=True, release_orphaned_locks=False)
            assert cleaned == CleanedEntities(2, 0)
            await asyncio.sleep(1)
            found = [await hub.client.get(f"@counter@{key}") is not None for key in "abcde"]
            assert found == [True, True, True, False, False]
            assert await _holder_of(hub, "a") == holder
            # It comes back with its next operation, also in the process that forgot it.
            await _add(hub, "d", "4")
            await asyncio.sleep(1)
            assert await _state(hub, "d") == "4"

    on_virtual_time(scenario)


def test_an_entity_that_got_work_meanwhile_is_not_forgotten() -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, storage = small_hub(_functions(), clock)
        async with hub:
            await hub.client.signal_entity(EntityId("counter", "d"), "fail")
            await asyncio.sleep(1)
            adding = asyncio.create_task(_add(hub, "d", "4"))
            wish = asyncio.create_task(storage.send(Envelope("@counter@d", RemoveWhenEmpty())))
            await asyncio.gather(adding, wish)
            await storage.send(Envelope("@counter@d", RemoveWhenEmpty()))
            assert await _state(hub, "d") == "4"
            await storage.send(Envelope("@counter@never", RemoveWhenEmpty()))
            assert await hub.client.get("@counter@never") is None

    on_virtual_time(scenario)


def test_many_may_wait_behind_a_lock() -> None:
    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(_functions(), clock)
        async with hub:
            await hub.client.start("transfer", input='"a"')
            await asyncio.sleep(1)
            for _ in range(300):
                await _add(hub, "a")
            await asyncio.sleep(5)
            assert await _state(hub, "a") == "301"

    on_virtual_time(scenario)
