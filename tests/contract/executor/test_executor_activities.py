"""Activities: each ends once, with what it returned or raised; draining begins nothing more."""

import asyncio

import pytest

from perdure.contracts.records import PendingActivity
from support.executor_stage import ExecutorStage


@pytest.mark.parametrize("name", ["echo", "echo_async"])
async def test_each_of_many_ends_once(stage: ExecutorStage, name: str):
    results = await stage.results_of(*(stage.pending(name, str(number)) for number in range(1_000)))
    assert [result.result for result in results] == [str(number) for number in range(1_000)]
    assert all(result.failure is None for result in results)


async def test_both_kinds_side_by_side(stage: ExecutorStage):
    names = ["echo", "echo_async"] * 200
    results = await stage.results_of(*(stage.pending(name, name) for name in names))
    assert [result.result for result in results] == names


@pytest.mark.parametrize("names", [["echo"], ["echo_async"], ["echo", "echo_async"]])
async def test_what_is_taken_back_is_not_given_and_everything_else_is(stage: ExecutorStage, names: list[str]):
    pending = [stage.pending(names[number % len(names)], str(number)) for number in range(1_000)]
    stage.executor.start_activities(pending)
    asked: list[int] = []

    def is_wanted(activity: PendingActivity) -> bool:
        asked.append(activity.number)
        return activity.number % 3 != 0

    taken = {activity.number for activity in stage.executor.take_back(is_wanted)}
    assert len(asked) == len(set(asked))
    assert taken == {number for number in asked if number % 3}
    given: list[int] = []
    while len(given) < 1_000 - len(taken):
        given += [result.activity.number for result in await stage.executor.activity_results()]
    assert sorted([*given, *taken]) == [activity.number for activity in pending]
    assert (await stage.results_of(stage.pending("echo", "1")))[0].result == "1"


async def test_there_is_room_for_what_is_there_and_does_not_wait(stage: ExecutorStage):
    await stage.results_of(stage.pending("echo"))
    room = stage.executor.room("echo", None)
    assert room > 0
    stage.executor.start_activities([stage.pending("echo") for _ in range(10)])
    assert stage.executor.room("echo", None) <= max(room - 9, 0)


async def test_nothing_is_a_result_too(stage: ExecutorStage):
    [result] = await stage.results_of(stage.pending("echo", None))
    assert (result.result, result.failure) == (None, None)


@pytest.mark.parametrize("name", ["fails", "fails_async"])
async def test_a_failure_keeps_type_message_and_stack(stage: ExecutorStage, name: str):
    [result] = await stage.results_of(stage.pending(name))
    assert result.failure is not None
    assert (result.failure.error_type, result.failure.message) == ("ValueError", "boom")
    assert result.failure.stack_trace


async def test_a_failure_keeps_its_cause(stage: ExecutorStage):
    [result] = await stage.results_of(stage.pending("fails"))
    assert result.failure is not None
    assert result.failure.cause is not None
    assert result.failure.cause.error_type == "KeyError"


async def test_code_that_wants_to_end_the_process_fails_and_others_go_on(stage: ExecutorStage):
    failed, echoed = await stage.results_of(stage.pending("exits"), stage.pending("echo", "1"))
    assert failed.failure is not None
    assert failed.failure.error_type == "SystemExit"
    assert echoed.result == "1"


async def test_an_unknown_name_fails_and_names_what_there_is(stage: ExecutorStage):
    [result] = await stage.results_of(stage.pending("ecko"))
    assert result.failure is not None
    assert "'echo'" in result.failure.message


async def test_cancelling_the_wait_loses_no_result(stage: ExecutorStage):
    for number in range(50):
        waiting = asyncio.ensure_future(stage.executor.activity_results())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        [result] = await stage.results_of(stage.pending("echo", str(number)))
        assert result.result == str(number)


async def test_after_drain_nothing_begins(stage: ExecutorStage):
    await stage.results_of(stage.pending("echo", "1"))
    assert await stage.executor.drain(10) is True
    stage.executor.start_activities([stage.pending("echo", "2"), stage.pending("echo_async", "3")])
    waiting = asyncio.ensure_future(stage.executor.activity_results())
    assert await stage.executor.drain(10) is True
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
