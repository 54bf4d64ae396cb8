"""Turns: sessions advance with new events and replay committed ones; whatever code raises is a result."""

import asyncio

import pytest

from perdure.contracts.executor import EntityTurn, OrchestrationTurn
from perdure.core import events as ev
from perdure.core.actions import Complete, Fail, ScheduleActivity, TurnResult
from perdure.core.identifiers import EntityId
from perdure.core.registry import Operation
from support.executor_stage import T0, ExecutorStage, started


async def test_a_session_goes_from_turn_to_turn(stage: ExecutorStage):
    turn = stage.first("two_steps", "1")
    result = await stage.result_of(turn)
    assert result == TurnResult((ScheduleActivity(0, "echo", "1"),))

    second = OrchestrationTurn(turn.session, [ev.OrchestratorStarted(T0), ev.TaskCompleted(0, 2, "2")])
    assert (await stage.result_of(second)).actions == (ScheduleActivity(1, "echo", "2"),)

    third = OrchestrationTurn(turn.session, [ev.OrchestratorStarted(T0), ev.TaskCompleted(1, 5, "3")])
    assert (await stage.result_of(third)).ending == Complete('["2","3"]')
    turn.session.close()


async def test_a_session_opened_with_history_goes_on_where_that_ends(stage: ExecutorStage):
    history = [
        *started("two_steps", "1"),
        ev.TaskScheduled(0, "echo", "1"),
        ev.OrchestratorStarted(T0),
        ev.TaskCompleted(0, 2, "2"),
        ev.TaskScheduled(1, "echo", "2"),
    ]
    session = stage.open("two_steps", history)
    turn = OrchestrationTurn(session, [ev.OrchestratorStarted(T0), ev.TaskCompleted(1, 5, "3")])
    assert (await stage.result_of(turn)) == TurnResult(ending=Complete('["2","3"]'))


async def test_code_that_differs_from_history_fails_and_does_nothing(stage: ExecutorStage):
    history = [*started("two_steps", "1"), ev.TaskScheduled(0, "another", "1")]
    session = stage.open("two_steps", history)
    turn = OrchestrationTurn(session, [ev.OrchestratorStarted(T0), ev.TaskCompleted(0, 2, "2")])
    result = await stage.result_of(turn)
    assert isinstance(result.ending, Fail)
    assert result.actions == ()
    assert "another" in result.ending.failure.message


async def test_a_batch_is_many_turns_at_once(stage: ExecutorStage):
    turns = [stage.first("returns_at_once", str(number), f"order-{number}") for number in range(500)]
    batch = [EntityTurn(EntityId("counter", str(number)), str(number), [Operation("add", None, True)]) for number in range(50)]  # fmt: skip # noqa: E501
    await stage.run(*turns, *batch)
    assert [turn.result.ending for turn in turns if turn.result] == [Complete(f'"{number}"') for number in range(500)]
    assert [turn.result[0].state for turn in batch if turn.result] == [str(number + 1) for number in range(50)]


@pytest.mark.parametrize("error", ["ValueError", "SystemExit", "NoOrdinaryError"])
async def test_what_an_orchestrator_raises_is_its_failure(stage: ExecutorStage, error: str):
    result = await stage.result_of(stage.first("raises", error))
    assert isinstance(result.ending, Fail)
    assert (result.ending.failure.error_type, result.ending.failure.message) == (error, "boom")
    assert result.ending.failure.stack_trace
    assert (await stage.result_of(stage.first("returns_at_once", "1"))).ending == Complete('"1"')


async def test_an_orchestrator_that_yields_no_task_fails_with_its_name(stage: ExecutorStage):
    result = await stage.result_of(stage.first("yields_no_task"))
    assert isinstance(result.ending, Fail)
    assert "yields_no_task" in result.ending.failure.message


async def test_an_unknown_orchestrator_fails_and_names_what_there_is(stage: ExecutorStage):
    result = await stage.result_of(stage.first("two_stops"))
    assert isinstance(result.ending, Fail)
    assert "two_steps" in result.ending.failure.message


async def test_a_session_may_be_closed_at_any_time_and_twice(stage: ExecutorStage):
    stage.open("two_steps").close()
    turn = stage.first("objects_to_its_end")
    await stage.run(turn)
    turn.session.close()
    turn.session.close()
    ended = stage.first("returns_at_once", "1")
    await stage.run(ended)
    ended.session.close()
    assert (await stage.result_of(stage.first("returns_at_once", "2"))).ending == Complete('"2"')


async def test_a_charge_grows_with_what_waits_to_be_replayed(stage: ExecutorStage):
    short, long = stage.open("two_steps"), stage.open("two_steps", started("two_steps") * 100)
    assert 0 <= short.charge() < long.charge()


async def test_an_entity_gives_one_outcome_for_each_operation(stage: ExecutorStage):
    outcomes = await stage.outcomes_of("counter", "5", "add", "fail", "add")
    assert [outcome.state for outcome in outcomes] == ["6", "6", "7"]
    assert [outcome.failure is None for outcome in outcomes] == [True, False, True]


@pytest.mark.parametrize(("entity", "operation"), [("raises", "add"), ("unknown", "add"), ("counter", "raise")])
async def test_an_entity_that_cannot_run_fails_its_batch_and_keeps_its_state(
    stage: ExecutorStage, entity: str, operation: str
):
    outcomes = await stage.outcomes_of(entity, "5", operation, operation)
    assert [outcome.state for outcome in outcomes] == ["5", "5"]
    assert all(outcome.failure is not None for outcome in outcomes)


async def test_a_turn_is_given_once(stage: ExecutorStage):
    turns = [stage.first(name, "1", name) for name in ("returns_at_once", "two_steps")]
    late = list(await stage.executor.advance(turns))
    assert all(turn.result is not None for turn in turns if turn not in late)
    while late:
        for turn in await stage.executor.late_turns():
            assert isinstance(turn, OrchestrationTurn)
            assert turn.result is not None
            late.remove(turn)
    waiting = asyncio.ensure_future(stage.executor.late_turns())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_turn_that_was_recalled_is_never_given(stage: ExecutorStage):
    turns = [stage.first("returns_at_once", str(number), f"order-{number}") for number in range(20)]
    late = list(await stage.executor.advance(turns))
    recalled = [turn for turn in late[::2] if stage.executor.recall(turn)]
    assert not any(stage.executor.recall(turn) for turn in recalled)
    left = [turn for turn in late if turn not in recalled]
    while left:
        for turn in await stage.executor.late_turns():
            assert isinstance(turn, OrchestrationTurn)
            left.remove(turn)
    assert all((turn.result is None) is (turn in recalled) for turn in turns)
    again = [OrchestrationTurn(turn.session, turn.events) for turn in recalled]
    await stage.run(*again)
    assert all(turn.result is not None for turn in again)


async def test_waiting_for_late_turns_may_be_cancelled(stage: ExecutorStage):
    waiting = asyncio.ensure_future(stage.executor.late_turns())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (await stage.result_of(stage.first("returns_at_once", "2"))).ending == Complete('"2"')
