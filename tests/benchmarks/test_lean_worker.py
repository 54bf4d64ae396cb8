"""The lean worker asks for what the workloads are made of."""

import json
from typing import Any

from benchmarks.portable.lean_worker import answer_activity, answer_turn

from perdure.formats.protobuf import messages as pb


def turn(name: str, given: object, results: list[object], asked: int) -> Any:
    """A turn after so many calls and these results."""
    item = pb.WorkItem(completionToken="t")
    request = item.orchestratorRequest
    request.instanceId = "i"
    started = request.pastEvents.add().executionStarted
    started.name, started.input.value = name, json.dumps(given)
    for number in range(asked):
        request.pastEvents.add(eventId=number + 1).taskScheduled.name = "say"
    for number, result in enumerate(results):
        completed = request.newEvents.add().taskCompleted
        completed.taskScheduledId, completed.result.value = number + 1, json.dumps(result)
    return answer_turn(item)


def asked_for(answer: Any) -> list[tuple[int, str]]:
    return [(action.id, action.scheduleTask.name) for action in answer.actions if action.HasField("scheduleTask")]


def output(answer: Any) -> str:
    (action,) = answer.actions
    return action.completeOrchestration.result.value


def test_a_sequence_asks_for_one_activity_at_a_time() -> None:
    assert asked_for(turn("sequence", 2, [], 0)) == [(1, "say")]
    assert asked_for(turn("sequence", 2, ["a"], 1)) == [(2, "say")]
    assert not turn("sequence", 2, ["a"], 2).actions
    assert output(turn("sequence", 2, ["a", "b"], 2)) == '"b"'


def test_a_fan_out_asks_for_all_and_counts_them() -> None:
    assert asked_for(turn("fan_out", 3, [], 0)) == [(1, "say"), (2, "say"), (3, "say")]
    assert not turn("fan_out", 3, ["a"], 3).actions
    assert output(turn("fan_out", 3, ["a", "b", "c"], 3)) == "3"


def test_a_long_one_tells_moments_spread_over_its_steps() -> None:
    moments = json.loads(output(turn("long", 40, list(range(40)), 40)))
    assert (moments[0], moments[-1], len(moments)) == (0, 39, 21)


def test_a_waiting_one_ends_with_its_event() -> None:
    item = pb.WorkItem(completionToken="t")
    item.orchestratorRequest.pastEvents.add().executionStarted.name = "wait"
    assert not answer_turn(item).actions
    raised = item.orchestratorRequest.newEvents.add().eventRaised
    raised.name, raised.input.value = "go", '"x"'
    assert output(answer_turn(item)) == '"x"'


def test_an_activity_is_answered_with_its_token() -> None:
    item = pb.WorkItem(completionToken="t")
    item.activityRequest.name, item.activityRequest.taskId = "say", 7
    item.activityRequest.input.value = "6"
    answer = answer_activity(item)
    assert (answer.result.value, answer.taskId, answer.completionToken) == ('"Hello 6!"', 7, "t")
