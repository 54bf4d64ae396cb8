"""Journeys whose every activity is written down outside the hub, so that what ran twice can be told."""

import os
import time
from datetime import timedelta

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
LEDGER = os.environ["LEDGER"]
QUICK_SECONDS, LONG_SECONDS = 0.02, 1.5


@app.route(route="start/{name}/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    instance_id = await client.start_new(req.route_params["name"], req.route_params["id"], req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def journey(context):
    number = context.get_input()
    key = context.instance_id
    first = yield context.call_activity("step", [key, "first", number])
    context.signal_entity(df.EntityId("tally", f"told-{number % 5}"), "add", 1)
    spread = yield context.task_all([context.call_activity("step", [key, f"spread{n}", first + n]) for n in range(3)])
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=0.2))
    inner = yield context.call_sub_orchestrator("leg", number, f"{key}:leg")
    yield context.call_entity(df.EntityId("tally", f"asked-{number % 5}"), "add", 1)
    last = yield context.call_activity("step", [key, "last", inner])
    return [first, spread, inner, last]


@app.orchestration_trigger(context_name="context")
def leg(context):
    number = yield context.call_activity("step", [context.instance_id, "leg", context.get_input()])
    return number * 2


@app.orchestration_trigger(context_name="context")
def waits(context):
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def sleeps(context):
    begun = context.current_utc_datetime
    yield context.create_timer(begun + timedelta(seconds=context.get_input()))
    return (context.current_utc_datetime - begun).total_seconds()


@app.activity_trigger(input_name="work")
def step(work: list) -> int:
    key, name, number = work
    note("begun", key, name)
    # Some are always under way, whatever is done and when.
    time.sleep(LONG_SECONDS if name == "leg" and number % 7 == 0 else QUICK_SECONDS)
    note("done", key, name)
    return number + 1


@app.entity_trigger(context_name="context")
def tally(context):
    count = context.get_state(lambda: 0)
    if context.operation_name == "add":
        count += context.get_input()
        context.set_state(count)
    context.set_result(count)


def note(what: str, key: str, name: str) -> None:
    line = f"{what} {key}/{name} {os.getpid()} {time.monotonic():.4f}\n"
    file = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
