"""Runs under the official package: shows what its classes read, and lets its worker's code decide.

Reads one JSON request per line and answers each with one line.
"""

import base64
import json
import logging
import socket
import sys
from datetime import timedelta

from google.protobuf import json_format

from durabletask import client, entities, task, testing, worker
from durabletask.internal import orchestrator_service_pb2 as pb


def everything(ctx: task.OrchestrationContext, _: object):
    """One of each kind of thing that code can ask for, in a fixed order."""
    one, other = (entities.EntityInstanceId("counter", key) for key in "ab")
    ctx.set_custom_status("begun")
    first = yield ctx.call_activity("step", input=1, tags={"t": "u"})
    retry = task.RetryPolicy(first_retry_interval=timedelta(seconds=5), max_number_of_attempts=3)
    again = yield ctx.call_activity("flaky", input=2, retry_policy=retry)
    yield ctx.create_timer(timedelta(minutes=1))
    leg = yield ctx.call_sub_orchestrator("leg", input=3)
    event = yield ctx.wait_for_external_event("Go")
    ctx.signal_entity(one, "add", 4)
    value = yield ctx.call_entity(one, "get")
    with (yield ctx.lock_entities([one, other])):
        inside = yield ctx.call_entity(one, "add", 5)
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


def counter(ctx: entities.EntityContext, amount: int):
    """Adds up what it is given."""
    total = (ctx.get_state(int, 0) or 0) + (amount or 0)
    ctx.set_state(total)
    return total


def step(_: task.ActivityContext, value: int):
    return value * 10


attempts: list[int] = []


def flaky(_: task.ActivityContext, value: int):
    attempts.append(value)
    if len(attempts) == 1:
        raise ValueError("not yet")
    return value * 10


def broken(_: task.ActivityContext, value: object):
    raise ValueError("it broke")


def leg(ctx: task.OrchestrationContext, value: int):
    return (yield ctx.call_activity(step, input=value))


def journey(ctx: task.OrchestrationContext, _: object):
    """What a server of the official package can do without waiting for long."""
    first = entities.EntityInstanceId("counter", "a")
    retry = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)
    yield ctx.call_activity(flaky, input=2, retry_policy=retry)
    yield ctx.create_timer(timedelta(milliseconds=10))
    yield task.when_all([ctx.call_activity(step, input=n) for n in range(3)])
    yield ctx.call_sub_orchestrator(leg, input=3)
    ctx.signal_entity(first, "add", 4)
    yield ctx.call_entity(first, "add", 1)
    with (yield ctx.lock_entities([first])):
        yield ctx.call_entity(first, "add", 1)
    yield ctx.wait_for_external_event("Go")
    try:
        yield ctx.call_activity(broken)
    except task.TaskFailedError:
        return "failed"


def history_of_a_journey() -> str:
    """What the official package's server in memory has written down in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    backend = testing.create_test_backend(port)
    address = f"localhost:{port}"
    with worker.TaskHubGrpcWorker(host_address=address) as running:
        for add, functions in (
            (running.add_orchestrator, (journey, leg)),
            (running.add_activity, (step, flaky, broken)),
            (running.add_entity, (counter,)),
        ):
            for function in functions:
                add(function)
        running.start()
        asking = client.TaskHubGrpcClient(host_address=address)
        instance_id = asking.schedule_new_orchestration(journey)
        asking.raise_orchestration_event(instance_id, "Go", data=1)
        state = asking.wait_for_orchestration_completion(instance_id, timeout=30)
        assert state is not None, "the journey is unknown"
        assert state.serialized_output == '"failed"', state
        events = backend._instances[instance_id].history
        answer = pb.HistoryChunk(events=events).SerializeToString()
    backend.stop()
    return base64.b64encode(answer).decode()


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
    if "show" in asked:
        answer = show(asked["show"], data)
    elif "history" in asked:
        answer = history_of_a_journey()
    else:
        answer = decide(data)
    print(json.dumps(answer), flush=True)
