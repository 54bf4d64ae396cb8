"""The workloads as a Functions app, written as users write theirs."""

from datetime import datetime

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def chain(context):
    first = yield context.call_activity("say", "Tokyo")
    second = yield context.call_activity("say", "Seattle")
    third = yield context.call_activity("say", "London")
    return [first, second, third]


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    results = yield context.task_all([context.call_activity("say", str(i)) for i in range(context.get_input())])
    return len(results)


@app.orchestration_trigger(context_name="context")
def sleep_until(context):
    yield context.create_timer(datetime.fromisoformat(context.get_input()))
    return "woken"


@app.orchestration_trigger(context_name="context")
def wait(context):
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def carry(context):
    return len((yield context.call_activity("echo", context.get_input())))


@app.activity_trigger(input_name="city")
def say(city: str):
    return "Hello " + city


@app.activity_trigger(input_name="text")
def echo(text: str):
    return text


@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state(context.get_state(lambda: 0) + context.get_input())
