"""``lean_worker ADDRESS``: the workloads by a worker that costs as little as one can in Python.

It counts the events of a turn instead of running code, and speaks gRPC by itself (``raw_channel``), so that what is
measured is the server.
"""

import json
import sys
import time
from collections.abc import Iterable
from typing import Any

import uvloop

from benchmarks.portable.raw_channel import connect
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS

IN_HAND_MAX = 200


def answer_turn(item: Any) -> Any:
    """The turn's answer, by what has been asked for and what has come."""
    request = item.orchestratorRequest
    answer = pb.OrchestratorResponse(instanceId=request.instanceId, completionToken=item.completionToken)
    started: Any = None
    asked, results, newest, raised = 0, 0, "null", None
    for event in (*request.pastEvents, *request.newEvents):
        kind = event.WhichOneof("eventType")
        if kind == "taskCompleted":
            results += 1
            newest = event.taskCompleted.result.value
        elif kind == "taskScheduled":
            asked += 1
        elif kind == "executionStarted":
            started = event.executionStarted
        elif kind == "eventRaised":
            raised = event.eventRaised.input.value
    name = started.name
    count = json.loads(started.input.value) if started.input.value else 0
    if name == "wait":
        if raised is not None:
            _complete(answer, 1, raised)
    elif name == "fan_out":
        if not asked:
            _ask(answer, "say", range(1, count + 1))
        elif results == count:
            _complete(answer, count + 1, str(count))
    elif results == count:
        output = newest if name == "sequence" else json.dumps(_moments(request, count))
        _complete(answer, count + 1, output)
    elif results == asked:
        _ask(answer, "say" if name == "sequence" else "moment", (asked + 1,))
    return answer


def answer_activity(item: Any) -> Any:
    """The activity's answer."""
    request = item.activityRequest
    text = f"Hello {request.input.value}!" if request.name == "say" else time.perf_counter()
    return pb.ActivityResponse(
        instanceId=request.orchestrationInstance.instanceId,
        taskId=request.taskId,
        result=pb.StringValue(value=json.dumps(text)),
        completionToken=item.completionToken,
    )


def _ask(answer: Any, name: str, task_ids: Iterable[int]) -> None:
    for task_id in task_ids:
        action = answer.actions.add(id=task_id)
        action.scheduleTask.name = name
        action.scheduleTask.input.value = str(task_id - 1)


def _complete(answer: Any, task_id: int, output: str) -> None:
    completion = answer.actions.add(id=task_id).completeOrchestration
    completion.orchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED
    completion.result.value = output


def _moments(request: Any, count: int) -> list[float]:
    found: list[float] = [
        json.loads(event.taskCompleted.result.value)
        for event in (*request.pastEvents, *request.newEvents)
        if event.HasField("taskCompleted")
    ]
    return [found[i] for i in range(count) if i % (count // 20) == 0 or i == count - 1]


async def work(address: str) -> None:
    """Take items and answer them, until the server goes."""
    channel = await connect(address)
    turn_done, activity_done = RPCS["CompleteOrchestratorTask"].path, RPCS["CompleteActivityTask"].path

    def take(raw: bytes) -> None:
        item: Any = pb.WorkItem.FromString(raw)
        kind = item.WhichOneof("request")
        if kind == "activityRequest":
            channel.unary(activity_done, answer_activity(item).SerializeToString())
        elif kind == "orchestratorRequest":
            channel.unary(turn_done, answer_turn(item).SerializeToString())

    request = pb.GetWorkItemsRequest(
        maxConcurrentOrchestrationWorkItems=IN_HAND_MAX, maxConcurrentActivityWorkItems=IN_HAND_MAX
    )
    channel.stream(RPCS["GetWorkItems"].path, request.SerializeToString(), take)
    await channel.ended


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1]))
