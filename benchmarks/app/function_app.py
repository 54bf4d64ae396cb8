"""The workloads as a Functions app, written as users write theirs."""

import time

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
moments: list[float] = []


@app.orchestration_trigger(context_name="context")
def sequence(context):
    last = None
    for i in range(context.get_input()):
        last = yield context.call_activity("say", i)
    return last


@app.orchestration_trigger(context_name="context")
def long(context):
    last = None
    for i in range(context.get_input()):
        last = yield context.call_activity("say_timed", i)
    return last


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    results = yield context.task_all([context.call_activity("say", i) for i in range(context.get_input())])
    return len(results)


@app.orchestration_trigger(context_name="context")
def wait(context):
    return (yield context.wait_for_external_event("go"))


@app.activity_trigger(input_name="i")
def say(i: int):
    return f"Hello {i}!"


@app.activity_trigger(input_name="i")
def say_timed(i: int):
    moments.append(time.perf_counter())
    return f"Hello {i}!"
