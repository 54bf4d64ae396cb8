"""Everything that an app of the 1.x generation does, one orchestrator a feature."""

import json
from datetime import timedelta

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
SOON = timedelta(milliseconds=50)
LATER = timedelta(hours=1)
RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=20, max_number_of_attempts=3)
attempts = {}


@app.route(route="start/{name}/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    body = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["name"], req.route_params["id"], body)
    return client.create_check_status_response(req, instance_id)


@app.route(route="wait/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_and_wait(req: func.HttpRequest, client):
    instance_id = await client.start_new(req.route_params["name"], None, req.get_json())
    return await client.wait_for_completion_or_create_check_status_response(req, instance_id, 10_000, 100)


@app.route(route="client/{what}/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def ask_client(req: func.HttpRequest, client):
    """Every method of the client, and what it answers."""
    what, id = req.route_params["what"], req.route_params["id"]
    body = req.get_json() if req.get_body() else None
    try:
        answer = await CLIENT[what](client, id, body)
    except Exception:
        answer = "raised"
    return func.HttpResponse(json.dumps(answer, default=str), mimetype="application/json")


async def status_of(client, id, body):
    status = await client.get_status(id, show_history=True, show_history_output=True, show_input=True)
    return {
        "name": status.name,
        "id": status.instance_id,
        "status": status.runtime_status.name if status.runtime_status else None,
        "input": status.input_,
        "output": status.output,
        "custom": status.custom_status,
    }


async def statuses_of(client, id, body):
    found = await client.get_status_by(runtime_status=[df.OrchestrationRuntimeStatus.Completed])
    return sorted(status.instance_id for status in found if status.instance_id.startswith(id))


async def all_of(client, id, body):
    return sorted(status.instance_id for status in await client.get_status_all() if status.instance_id.startswith(id))


async def entity_of(client, id, body):
    answer = await client.read_entity_state(df.EntityId("Counter", id))
    return {"exists": answer.entity_exists, "state": answer.entity_state}


async def signal(client, id, body):
    return await client.signal_entity(df.EntityId("Counter", id), body["op"], body["input"])


async def raise_event(client, id, body):
    return await client.raise_event(id, body["name"], body["data"])


async def purge(client, id, body):
    return {"deleted": (await client.purge_instance_history(id)).instances_deleted}


async def links(client, id, body):
    return sorted(client.create_http_management_payload(id))


CLIENT = {
    "status": status_of,
    "statuses": statuses_of,
    "all": all_of,
    "entity": entity_of,
    "signal": signal,
    "raise": raise_event,
    "purge": purge,
    "links": links,
    "terminate": lambda client, id, body: client.terminate(id, body),
    "suspend": lambda client, id, body: client.suspend(id, body),
    "resume": lambda client, id, body: client.resume(id, body),
    "rewind": lambda client, id, body: client.rewind(id, body),
    "restart": lambda client, id, body: client.restart(id, restart_with_new_instance_id=body),
    "start": lambda client, id, body: client.start_new("Chain", id, body),
}


@app.orchestration_trigger(context_name="context")
def Chain(context):
    first = yield context.call_activity("Say", context.get_input())
    context.set_custom_status({"said": first})
    second = yield context.call_activity("Say", {"again": first})
    return [first, second, context.instance_id, context.parent_instance_id, str(context.new_uuid())]


@app.orchestration_trigger(context_name="context")
def Groups(context):
    results = yield context.task_all([context.call_activity("Double", n) for n in range(5)])
    winner = yield context.task_any([context.call_activity("Double", 21), context.create_timer(_in(context, LATER))])
    nested = yield context.task_all(
        [
            context.task_all([context.call_activity("Double", 1), context.call_activity("Double", 2)]),
            context.task_any([context.call_activity("Double", 3)]),
        ]
    )
    return [results, winner.result, nested[0], nested[1].result]


@app.orchestration_trigger(context_name="context")
def Retries(context):
    value = yield context.call_activity_with_retry("FailsTwice", RETRY, context.instance_id)
    said = yield context.call_activity("Say", "between")
    try:
        caught = yield context.call_activity_with_retry("Fails", RETRY, "always")
    except Exception as error:
        caught = _first_line(error)
    try:
        caught_child = yield context.call_sub_orchestrator_with_retry("Broken", RETRY, "child")
    except Exception as error:
        caught_child = _first_line(error)
    end = yield context.call_activity("Say", "end")
    return [value, said, caught, caught_child, end]


@app.orchestration_trigger(context_name="context")
def RetriesBeside(context):
    """Retries take their ids among those of what else goes on."""
    retried = [context.call_activity_with_retry("FailsTwice", RETRY, f"{context.instance_id}-{n}") for n in range(3)]
    values = yield context.task_all(retried)
    timers = [context.create_timer(_in(context, SOON)) for _ in range(2)]
    yield context.task_all(timers)
    mixed = [context.call_activity("Double", 4), context.call_activity_with_retry("FailsTwice", RETRY, "mixed")]
    return [values, (yield context.task_all(mixed)), (yield context.call_activity("Say", "end"))]


@app.orchestration_trigger(context_name="context")
def Children(context):
    named = yield context.call_sub_orchestrator("Chain", "named", instance_id=f"{context.instance_id}-named")
    unnamed = yield context.call_sub_orchestrator("Double2", 4)
    try:
        yield context.call_sub_orchestrator("Broken", "x")
    except Exception as error:
        return [named[:2], named[3] == context.instance_id, unnamed, _first_line(error)]


@app.orchestration_trigger(context_name="context")
def Double2(context):
    value = yield context.call_activity("Double", context.get_input())
    return (yield context.call_activity("Double", value))


@app.orchestration_trigger(context_name="context")
def Broken(context):
    yield context.call_activity("Say", "before")
    raise ValueError(f"broken {context.get_input()}")


@app.orchestration_trigger(context_name="context")
def FailsUncaught(context):
    context.set_custom_status("about to fail")
    yield context.call_activity("Fails", "uncaught")


@app.orchestration_trigger(context_name="context")
def Unwritable(context):
    yield context.call_activity("Say", "before")
    return object()


@app.orchestration_trigger(context_name="context")
def Values(context):
    sent = context.get_input()
    echoed = yield context.task_all([context.call_activity("Echo", value) for value in sent])
    return {"same": [a == b for a, b in zip(sent, echoed, strict=True)], "echoed": echoed}


@app.orchestration_trigger(context_name="context")
def Nothing(context):
    yield context.call_activity("SaysNothing", None)


@app.orchestration_trigger(context_name="context")
def NoSteps(context):
    return "at once"
    yield


@app.orchestration_trigger(context_name="context")
def Events(context):
    yield context.wait_for_external_event("Begin")
    first = yield context.wait_for_external_event("Data")
    context.set_custom_status("one")
    second = yield context.wait_for_external_event("More")
    both = yield context.task_all([context.wait_for_external_event("A"), context.wait_for_external_event("B")])
    return [first, second, both]


@app.orchestration_trigger(context_name="context")
def EventOrTimer(context):
    timer = context.create_timer(_in(context, LATER))
    event = context.wait_for_external_event("Go")
    winner = yield context.task_any([timer, event])
    if winner == event:
        timer.cancel()
    yield context.create_timer(_in(context, SOON))
    soon = context.create_timer(_in(context, SOON))
    lost = context.wait_for_external_event("Never")
    winner = yield context.task_any([soon, lost])
    return [event.result, winner == soon, (yield context.call_activity("Say", "end"))]


@app.orchestration_trigger(context_name="context")
def Loop(context):
    """Takes one event a round; those that come early wait for their round."""
    state = context.get_input() or []
    if not state:
        yield context.wait_for_external_event("Begin")
    state.append((yield context.wait_for_external_event("Item")))
    context.set_custom_status(len(state))
    if len(state) < 3:
        context.continue_as_new(state)
        return
    return state


@app.orchestration_trigger(context_name="context")
def CountsDown(context):
    left = context.get_input()
    yield context.call_activity("Say", left)
    if left:
        context.continue_as_new(left - 1)
    return f"down to {left}"


@app.orchestration_trigger(context_name="context")
def Entities(context):
    counter = df.EntityId("Counter", context.instance_id)
    context.signal_entity(counter, "add", 5)
    context.signal_entity(counter, "add", 2)
    value = yield context.call_entity(counter, "get")
    try:
        caught = yield context.call_entity(counter, "fail", "now")
    except Exception as error:
        caught = str(error)
    both = yield context.task_all([context.call_entity(counter, "add", 1), context.call_entity(counter, "get")])
    return [value, caught, both]


@app.orchestration_trigger(context_name="context")
def Http(context):
    answer = yield context.call_http("GET", context.get_input())
    return [answer["statusCode"], answer["content"]]


@app.orchestration_trigger(context_name="context")
def Gate(context):
    before = yield context.call_activity("Say", "before")
    passed = yield context.wait_for_external_event("Pass")
    after = yield context.call_activity("Say", passed)
    return [before, after]


@app.orchestration_trigger(context_name="context")
def FailsOnce(context):
    first = yield context.call_activity("Say", "first")
    second = yield context.call_activity("FailsFirst", context.instance_id)
    return [first, second]


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context):
    value = context.get_state(lambda: 0)
    operation = context.operation_name
    if operation == "add":
        value += context.get_input()
        context.set_state(value)
    elif operation == "get":
        context.set_result({"value": value, "key": context.entity_key, "name": context.entity_name})
    elif operation == "delete":
        context.destruct_on_exit()
    else:
        raise ValueError(f"cannot {context.get_input()}")


@app.activity_trigger(input_name="what")
def Say(what):
    return f"said {json.dumps(what)}"


@app.activity_trigger(input_name="n")
def Double(n: int) -> int:
    return 2 * n


@app.activity_trigger(input_name="value")
def Echo(value):
    return value


@app.activity_trigger(input_name="nothing")
def SaysNothing(nothing) -> None:
    assert nothing is None, nothing


@app.activity_trigger(input_name="what")
def Fails(what: str) -> str:
    raise ValueError(f"fails {what}")


@app.activity_trigger(input_name="key")
def FailsTwice(key: str) -> str:
    attempts[key] = attempts.get(key, 0) + 1
    if attempts[key] < 3:
        raise RuntimeError(f"attempt {attempts[key]}")
    return f"attempt {attempts[key]}"


@app.activity_trigger(input_name="key")
def FailsFirst(key: str) -> str:
    attempts[key] = attempts.get(key, 0) + 1
    if attempts[key] == 1:
        raise RuntimeError("the first time")
    return "the second time"


def _in(context, delay):
    return context.current_utc_datetime + delay


def _first_line(error):
    return str(error).splitlines()[0]
