"""Turns on real threads: batches, late ones, code that never returns, and the ends of threads."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure.contracts.executor import EntityTurn, Turn
from perdure.contracts.observer import Fact, TurnBlocked, TurnGivenUp
from perdure.core.identifiers import EntityId
from perdure.core.registry import Operation, OperationOutcome
from perdure.execution import turns as turns_module
from perdure.execution.turns import TurnPatience, TurnThreads

QUICK = TurnPatience(batch=0.02, replace_thread=0.08, replace_thread_min=0.02, announce=0.12)
PATIENT = TurnPatience(batch=30, replace_thread=30, announce=30)
LIMIT_SECONDS = 20


class Facts:
    """What was announced; ``next`` waits for one."""

    wants = frozenset({TurnBlocked, TurnGivenUp})

    def __init__(self) -> None:
        self._facts: asyncio.Queue[Fact] = asyncio.Queue()

    def announce(self, fact: Fact) -> None:
        self._facts.put_nowait(fact)

    async def next(self) -> Fact:
        return await self._facts.get()


class Code:
    """User code by the key of its turn; a turn without code returns at once."""

    def __init__(self) -> None:
        self.by_key: dict[str, Callable[[], object]] = {}
        self.threads: dict[str, str] = {}

    def run(self, turn: Turn) -> None:
        assert isinstance(turn, EntityTurn)
        key = turn.entity.key
        self.threads[key] = threading.current_thread().name
        if key in self.by_key:
            self.by_key[key]()
        turn.result = [OperationOutcome(key)]


def turn_of(key: str) -> EntityTurn:
    return EntityTurn(EntityId("gate", key), None, [Operation("pass", None, True)])


@asynccontextmanager
async def running(patience: TurnPatience, code: Code, facts: Facts | None = None) -> AsyncIterator[TurnThreads]:
    lane = TurnThreads(code.run, patience, [facts] if facts is not None else [])
    lane.start()
    try:
        yield lane
    finally:
        lane.stop()


def on_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), LIMIT_SECONDS))


def turn_threads_alive() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("perdure-turns-")}


@pytest.fixture
def gates():
    """Events that are set at the end, so that no thread outlives its test."""
    made: list[threading.Event] = []

    def new() -> threading.Event:
        made.append(threading.Event())
        return made[-1]

    yield new
    for gate in made:
        gate.set()


def test_a_batch_comes_back_whole_from_one_other_thread():
    async def scenario() -> None:
        code = Code()
        async with running(PATIENT, code) as lane:
            turns = [turn_of(str(number)) for number in range(300)]
            assert list(await lane.run(turns)) == []
        assert [turn.result[0].state for turn in turns] == [str(number) for number in range(300)]
        assert len(set(code.threads.values())) == 1
        assert threading.current_thread().name not in code.threads.values()

    on_loop(scenario)


def test_an_empty_batch_comes_back_at_once():
    async def scenario() -> None:
        async with running(PATIENT, Code()) as lane:
            assert list(await lane.run([])) == []

    on_loop(scenario)


def test_a_blocked_turn_and_those_behind_it_are_late_and_come_once(gates):
    async def scenario() -> None:
        code, gate = Code(), gates()
        code.by_key["stuck"] = gate.wait
        async with running(TurnPatience(batch=0.02, replace_thread=30, announce=30), code) as lane:
            first, stuck, behind = turn_of("first"), turn_of("stuck"), turn_of("behind")
            assert list(await lane.run([first, stuck, behind])) == [stuck, behind]
            assert first.result is not None
            assert stuck.result is behind.result is None

            gate.set()
            late: list[Turn] = []
            while len(late) < 2:
                late.extend(await lane.late_turns())
            assert late == [stuck, behind]
            # Nothing of them is left over for the next batch.
            assert list(await lane.run([turn_of("next")])) == []

    on_loop(scenario)


def test_the_rest_of_the_batch_goes_on_in_a_fresh_thread(gates):
    async def scenario() -> None:
        code, gate = Code(), gates()
        code.by_key["stuck"] = gate.wait
        async with running(QUICK, code) as lane:
            stuck, behind = turn_of("stuck"), turn_of("behind")
            assert list(await lane.run([stuck, behind])) == [stuck, behind]
            assert await lane.late_turns() == [behind]
            assert code.threads["behind"] != code.threads["stuck"]
            # A later batch needs no patience with it either.
            assert list(await lane.run([turn_of("other")])) == []

            gate.set()
            assert await lane.late_turns() == [stuck]

    on_loop(scenario)


def test_a_blocked_turn_is_announced_once_with_where_it_is(gates):
    async def scenario() -> None:
        code, gate, facts = Code(), gates(), Facts()

        def waits_for_ever() -> None:
            gate.wait()

        code.by_key["stuck"] = waits_for_ever
        async with running(QUICK, code, facts) as lane:
            await lane.run([turn_of("stuck")])
            fact = await facts.next()
            assert isinstance(fact, TurnBlocked)
            assert (fact.instance_id, fact.name) == ("@gate@stuck", "gate")
            assert fact.seconds >= QUICK.announce
            assert "waits_for_ever" in fact.stack

            code.by_key["second"] = gate.wait
            await lane.run([turn_of("second")])
            again = await facts.next()
            assert isinstance(again, TurnBlocked)
            assert again.instance_id == "@gate@second"

    on_loop(scenario)


@pytest.mark.parametrize("overrun", [0.4, 0.01], ids=["after its thread was replaced", "before"])
def test_a_turn_that_overruns_is_given_up_and_its_end_is_nobodys(gates, overrun):
    async def scenario() -> None:
        code, gate, facts = Code(), gates(), Facts()
        code.by_key["stuck"] = gate.wait
        patience = dataclasses.replace(QUICK, overrun=overrun)
        async with running(patience, code, facts) as lane:
            stuck, behind = turn_of("stuck"), turn_of("behind")
            late = await lane.run([stuck, behind])
            came: list[Turn] = []
            while len(came) < len(late):
                came.extend(await lane.late_turns())
            assert [turn for turn in came if turn.is_given_up] == [stuck]
            assert stuck.result is None
            assert behind.result is not None
            announced = [type(await facts.next()) for _ in range(2 if overrun > QUICK.announce else 1)]
            assert announced[-1] is TurnGivenUp

            abandoned = next(t for t in threading.enumerate() if t.name == code.threads["stuck"])
            # The next try is another turn; when the first one returns after all, nobody hears of it.
            del code.by_key["stuck"]
            again = turn_of("stuck")
            assert list(await lane.run([again])) == []
            assert code.threads["behind"] == code.threads["stuck"]
            gate.set()
            await asyncio.to_thread(abandoned.join, LIMIT_SECONDS)
            assert not abandoned.is_alive()
            code.by_key["slow"] = lambda: time.sleep(0.05)
            slow = turn_of("slow")
            assert list(await lane.run([slow])) == [slow]
            assert await lane.late_turns() == [slow]

    on_loop(scenario)


def test_a_turn_that_is_given_up_as_soon_as_it_is_late_comes_back_once(gates):
    async def scenario() -> None:
        code, gate, entered = Code(), gates(), gates()

        def stuck_code() -> None:
            entered.set()
            gate.wait()

        def hold_up() -> None:
            entered.wait(LIMIT_SECONDS)
            time.sleep(0.2)

        code.by_key["stuck"] = stuck_code
        # The watch looks after the batch's patience has ended, and both come late on a loop that was held up.
        patience = TurnPatience(batch=0.02, replace_thread=0.4, overrun=0.01)
        async with running(patience, code) as lane:
            stuck = turn_of("stuck")
            late = asyncio.ensure_future(lane.run([stuck]))
            await asyncio.sleep(0)
            hold_up()
            assert list(await late) == [stuck]
            assert await lane.late_turns() == [stuck]
            assert stuck.is_given_up

    on_loop(scenario)


def test_every_blocked_turn_gets_a_thread_and_others_pass(gates):
    async def scenario() -> None:
        code, gate = Code(), gates()
        blocked = [turn_of(f"stuck-{number}") for number in range(4)]
        for turn in blocked:
            code.by_key[turn.entity.key] = gate.wait
        async with running(QUICK, code) as lane:
            after = turn_of("after")
            assert after in await lane.run([*blocked, after])
            assert await lane.late_turns() == [after]
            gate.set()
            late: list[Turn] = []
            while len(late) < 4:
                late.extend(await lane.late_turns())
            assert sorted(turn.entity.key for turn in late) == sorted(turn.entity.key for turn in blocked)

    on_loop(scenario)


def test_many_blocked_turns_together_hold_up_others_for_less_than_five_seconds(gates):
    async def scenario() -> None:
        code, gate = Code(), gates()
        blocked = [turn_of(f"stuck-{number}") for number in range(20)]
        for turn in blocked:
            code.by_key[turn.entity.key] = gate.wait
        async with running(TurnPatience(), code) as lane:
            began = time.monotonic()
            after = turn_of("after")
            await lane.run([*blocked, after])
            assert await lane.late_turns() == [after]
            # With a second for each it would be twenty.
            assert time.monotonic() - began < 5
            gate.set()

    on_loop(scenario)


def test_retired_threads_end_and_leave_nothing(gates):
    before = turn_threads_alive()

    async def scenario() -> None:
        code, gate = Code(), gates()
        code.by_key["stuck"] = gate.wait
        async with running(QUICK, code) as lane:
            await lane.run([turn_of("stuck"), turn_of("behind")])
            await lane.late_turns()
            retired = next(t for t in threading.enumerate() if t.name == code.threads["stuck"])
            gate.set()
            await lane.late_turns()
            await asyncio.to_thread(retired.join, LIMIT_SECONDS)
            assert not retired.is_alive()

    on_loop(scenario)
    # One of an earlier test may have ended meanwhile; none has come.
    assert turn_threads_alive() <= before


def test_stop_does_not_wait_for_a_blocked_turn_and_its_end_harms_nobody(gates):
    gate, ended = gates(), threading.Event()

    def stuck() -> None:
        gate.wait()
        ended.set()

    async def scenario() -> None:
        code = Code()
        code.by_key["stuck"] = stuck
        async with running(QUICK, code) as lane:
            await lane.run([turn_of("stuck")])
            lane.stop()
        lane.stop()

    on_loop(scenario)
    gate.set()
    assert ended.wait(LIMIT_SECONDS)


def test_a_batch_that_two_threads_find_empty_takes_no_other_batch_with_it():
    code = Code()
    lane = TurnThreads(code.run, PATIENT, [])
    loop = asyncio.new_event_loop()
    empty, other = (turns_module._Batch([], loop.create_future()) for _ in range(2))
    lane.batches.extend([empty, other])
    lane.handed_out(empty)
    lane.handed_out(empty)
    assert list(lane.batches) == [other]
    loop.close()


def test_when_no_thread_can_be_made_it_is_tried_again(gates, monkeypatch):
    async def scenario() -> None:
        code, gate = Code(), gates()
        code.by_key["stuck"] = gate.wait
        async with running(QUICK, code) as lane:
            refused: list[None] = []
            make = turns_module.Doorbell

            def refuse_twice() -> Any:
                if len(refused) < 2:
                    refused.append(None)
                    raise OSError(24, "Too many open files")
                return make()

            monkeypatch.setattr(turns_module, "Doorbell", refuse_twice)
            behind = turn_of("behind")
            await lane.run([turn_of("stuck"), behind])
            assert await lane.late_turns() == [behind]
            assert len(refused) == 2

    on_loop(scenario)


def test_what_is_let_go_runs_on_the_lane_after_what_is_awaited(gates):
    async def scenario() -> None:
        code, gate, ran = Code(), gates(), threading.Event()
        code.by_key["first"] = gate.wait
        code.by_key["closing"] = ran.set
        async with running(PATIENT, code) as lane:
            batch = asyncio.ensure_future(lane.run([turn_of("first"), turn_of("second")]))
            await asyncio.sleep(0)
            lane.let_go(turn_of("closing"))
            gate.set()
            await batch
            await asyncio.to_thread(ran.wait, LIMIT_SECONDS)
        assert list(code.threads) == ["first", "second", "closing"]

    on_loop(scenario)


def test_what_was_let_go_before_the_stop_still_runs():
    async def scenario() -> None:
        code = Code()
        async with running(PATIENT, code) as lane:
            for number in range(100):
                lane.let_go(turn_of(str(number)))
        assert len(code.threads) == 100

    on_loop(scenario)
