"""A turn that does not return holds up nobody else, and nothing that was accepted waits for it."""

import asyncio
import math
from collections import Counter
from typing import Any

import pytest

from perdure.client import ClientOptions, EntityId, ReusePolicy
from perdure.contracts.executor import EntityTurn, Turn
from perdure.core.events import EventRaised
from perdure.core.messages import Envelope, Terminate
from perdure.core.status import RuntimeStatus
from perdure.testing.simulated_turns import simulated_turns
from support.small_hub import Functions, on_virtual_time, small_hub, text

SLOW_SECONDS = 40.0
OVERRUN_SECONDS = 8.0


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.activity
    def echo(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def blocking(recorder: Any, input: str | None) -> Any:
        return [(yield recorder.wait_for_event("item", text)), (yield recorder.wait_for_event("item", text))]

    @functions.orchestrator
    def quick(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("echo", "1", text))

    return functions


def seconds_of(turn: Any) -> float:
    origin = getattr(getattr(turn, "session", None), "origin", None)
    return SLOW_SECONDS if origin is not None and origin.name == "blocking" else 0.0


def test_others_go_on_and_the_late_one_ends(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, turns=simulated_turns(seconds_of))
        async with hub:
            late = await hub.client.start("blocking")
            started = clock.now()
            others = [await hub.client.start("quick") for _ in range(10)]
            for instance_id in others:
                assert await hub.client.wait_for_completion(instance_id, 1) is not None
            assert (clock.now() - started).total_seconds() < 1

            await hub.client.raise_event(late, "item", "a")
            await hub.client.raise_event(late, "item", "b")
            assert (clock.now() - started).total_seconds() < 1, "an accepted event waited for a late turn"
            record = await hub.client.wait_for_completion(late, 200)

            assert record is not None
            assert record.progress.output == '["a","b"]'

    on_virtual_time(scenario)


def test_what_a_late_turn_has_in_hand_survives_a_crash(functions):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock, turns=simulated_turns(seconds_of))
        async with hub:
            late = await hub.client.start("blocking")
            assert [e.position is not None for e in storage.rounds[-1].kept] == [True]
            await hub.restart()
            await hub.client.raise_event(late, "item", "a")
            await hub.client.raise_event(late, "item", "b")
            record = await hub.client.wait_for_completion(late, 200)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed

    on_virtual_time(scenario)


class _Stuck:
    """Turns of instances that do not return: the n-th turns, counted from one, of each id given."""

    def __init__(self, **turns: set[int]) -> None:
        self._turns = turns
        self._count: Counter[str] = Counter()
        self.tries: list[str] = []

    def seconds(self, turn: Turn) -> float:
        key = turn.entity.key if isinstance(turn, EntityTurn) else turn.session.origin.instance_id
        self._count[key] += 1
        self.tries.append(key)
        return math.inf if self._count[key] in self._turns.get(key, ()) else 0.0


@pytest.mark.parametrize("stuck", [{1}, {2}, {3}, {1, 2, 3}, {1, 2, 4, 5, 6, 8}], ids=str)
def test_a_turn_that_never_returns_is_tried_again_with_all_it_was_given(functions, stuck):
    async def scenario(clock):
        code = _Stuck(x=stuck)
        hub, _ = small_hub(functions, clock, turns=simulated_turns(code.seconds, OVERRUN_SECONDS))
        async with hub:
            await hub.client.start("blocking", instance_id="x")
            await hub.client.raise_event("x", "other", "0")
            await asyncio.sleep(1)
            for number in ("a", "b"):
                await hub.client.raise_event("x", "item", number)
            quick = await hub.client.start("quick")
            assert await hub.client.wait_for_completion(quick, 1) is not None
            record = await hub.client.wait_for_completion("x", 1000)

            assert record is not None
            assert record.progress.output == '["a","b"]'
            raised = [e.name for e in await hub.client.history("x") if isinstance(e, EventRaised)]
            assert raised == ["other", "item", "item"]

    on_virtual_time(scenario)


def test_a_turn_that_never_returns_is_poison_in_the_end(functions):
    async def scenario(clock):
        code = _Stuck(x={1, 2, 3, 4, 5})
        hub, _ = small_hub(functions, clock, turns=simulated_turns(code.seconds, OVERRUN_SECONDS))
        async with hub:
            await hub.client.start("blocking", instance_id="x")
            record = await hub.client.wait_for_completion("x", 1000)

            assert record is not None
            assert record.progress.failure is not None
            assert record.progress.failure.error_type == "Poisoned"
            assert code.tries == ["x"] * 6

    on_virtual_time(scenario)


@pytest.mark.parametrize("again", ["start", "restart", "rewind"])
def test_what_was_poisoned_begins_without_a_count_in_its_next_execution(functions, again):
    async def scenario(clock):
        code = _Stuck(x={1, 2, 3, 4, 5})
        hub, _ = small_hub(functions, clock, turns=simulated_turns(code.seconds, OVERRUN_SECONDS))
        async with hub:
            await hub.client.start("blocking", instance_id="x")
            await hub.client.wait_for_completion("x", 1000)
            if again == "start":
                await hub.client.start("blocking", instance_id="x")
            elif again == "restart":
                await hub.client.restart("x", new_instance_id="x")
            else:
                await hub.client.rewind("x", "again")
            for number in ("a", "b"):
                await hub.client.raise_event("x", "item", number)
            record = await hub.client.wait_for_completion("x", 1000)

            assert record is not None
            assert record.progress.output == '["a","b"]'

    on_virtual_time(scenario)


def test_an_entity_whose_code_does_not_return_loses_nothing(functions):
    async def scenario(clock):
        code = _Stuck(c={1, 3})
        hub, _ = small_hub(functions, clock, turns=simulated_turns(code.seconds, OVERRUN_SECONDS))
        async with hub:
            for number in range(10):
                await hub.client.signal_entity(EntityId("counter", "c"), "add", str(number))
                await asyncio.sleep(OVERRUN_SECONDS / 4)
            await asyncio.sleep(100)
            assert await hub.client.read_entity(EntityId("counter", "c")) == "45"

    on_virtual_time(scenario)


@pytest.mark.parametrize("then", ["terminate", "replace", "rewind"])
def test_what_is_given_up_may_be_ended_replaced_or_rewound(functions, then):
    @functions.orchestrator
    def fails_once(recorder: Any, input: str | None) -> Any:
        tried.append(input)
        if len(tried) == 1:
            raise ValueError("no")
        return "done"

    tried: list[str | None] = []

    async def scenario(clock):
        code = _Stuck(x={2} if then == "rewind" else {1})
        options = ClientOptions(reuse=ReusePolicy.ANY)
        turns = simulated_turns(code.seconds, OVERRUN_SECONDS)
        hub, _ = small_hub(functions, clock, turns=turns, client_options=options)
        async with hub:
            await hub.client.start("fails_once" if then == "rewind" else "blocking", instance_id="x")
            await asyncio.sleep(1)
            if then == "terminate":
                await hub.client.terminate("x", "enough")
            elif then == "replace":
                await hub.client.start("quick", instance_id="x")
            else:
                await hub.client.rewind("x")
            await asyncio.sleep(3 * OVERRUN_SECONDS)
            record = await hub.client.get("x")
            assert record is not None
            output = {"terminate": "enough", "replace": '"1"', "rewind": '"done"'}[then]
            assert record.progress.output == output

    on_virtual_time(scenario)


def test_what_came_with_an_end_at_once_leaves_no_row():
    functions = Functions()

    @functions.orchestrator
    def waits(recorder: Any, input: str | None) -> Any:
        return (yield recorder.wait_for_event("go", text))

    async def scenario(clock):
        hub, _ = small_hub(functions, clock, turns=simulated_turns(lambda turn: 5.0))
        async with hub:
            await hub.client.start("waits", instance_id="x")
            ending = hub.store.send(Envelope("x", Terminate("no", at_once=True)))
            await asyncio.gather(hub.client.raise_event("x", "go", "1"), ending)
            record = await hub.client.wait_for_completion("x", 1)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Terminated
            await asyncio.sleep(10)
            assert await hub.store.backlog_sizes(["x"]) == {}

    on_virtual_time(scenario)
