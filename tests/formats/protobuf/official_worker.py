"""Runs under the official package: shows what its classes read, and lets its worker's code decide.

Reads one JSON request per line and answers each with one line.
"""

import base64
import json
import logging
import sys
from datetime import timedelta

from google.protobuf import json_format

from durabletask import task, worker
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb


def everything(ctx: task.OrchestrationContext, _: object):
    """One of each kind of thing that code can ask for, in a fixed order."""
    counter = EntityInstanceId("counter", "a")
    ctx.set_custom_status("begun")
    first = yield ctx.call_activity("step", input=1, tags={"t": "u"})
    retry = task.RetryPolicy(first_retry_interval=timedelta(seconds=5), max_number_of_attempts=3)
    again = yield ctx.call_activity("flaky", input=2, retry_policy=retry)
    yield ctx.create_timer(timedelta(minutes=1))
    leg = yield ctx.call_sub_orchestrator("leg", input=3)
    event = yield ctx.wait_for_external_event("Go")
    ctx.signal_entity(counter, "add", 4)
    value = yield ctx.call_entity(counter, "get")
    with (yield ctx.lock_entities([counter, EntityInstanceId("counter", "b")])):
        inside = yield ctx.call_entity(counter, "add", 5)
    failed = ""
    try:
        yield ctx.call_activity("broken")
    except task.TaskFailedError as error:
        failed = str(error)
    if ctx.is_replaying:
        raise AssertionError("the last event is new")
    return [first, again, leg, event, value, inside, failed]


def again(ctx: task.OrchestrationContext, round_: int):
    """Begins anew with what it has not taken."""
    yield ctx.call_activity("step", input=round_)
    ctx.continue_as_new(round_ + 1, save_events=True)


def show(kind: str, data: bytes) -> object:
    message = getattr(pb, kind).FromString(data)
    return json_format.MessageToDict(message)


def decide(data: bytes) -> str:
    item = pb.WorkItem.FromString(data)
    request = item.orchestratorRequest
    registry = worker._Registry()
    registry.add_orchestrator(everything)
    registry.add_orchestrator(again)
    kwargs = {}
    if hasattr(worker, "JsonDataConverter"):
        kwargs["data_converter"] = worker.JsonDataConverter()
    executor = worker._OrchestrationExecutor(registry, logging.getLogger("official"), **kwargs)
    result = executor.execute(request.instanceId, request.pastEvents, request.newEvents)
    response = pb.OrchestratorResponse(
        instanceId=request.instanceId, actions=result.actions, completionToken=item.completionToken
    )
    if result.encoded_custom_status:
        response.customStatus.value = result.encoded_custom_status
    return base64.b64encode(response.SerializeToString()).decode()


for line in sys.stdin:
    asked = json.loads(line)
    data = base64.b64decode(asked["data"])
    answer = show(asked["show"], data) if "show" in asked else decide(data)
    print(json.dumps(answer), flush=True)
