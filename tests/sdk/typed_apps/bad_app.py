# pyright: strict
"""Mistakes that a type checker finds: each on a line marked so, and none elsewhere."""

from collections.abc import Generator
from typing import Any

import azure.functions as func

import azure.durable_functions as df
from azure.durable_functions.models import TaskBase

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orders", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.start_new(5)  # mistake
    await client.start_new("ship", input={"a": 1})  # mistake
    status = await client.get_status("i1")
    print(status.runtimestatus)  # mistake
    await client.get_status_by(runtime_status=["Running"])  # mistake
    await client.raise_event("i1")  # mistake
    await client.signal_entity("@counter@k", "add", 1)  # mistake
    return client.create_check_status_response("i1", req)  # mistake


@app.orchestration_trigger(context_name="context")
def ship(context: df.DurableOrchestrationContext) -> Generator[TaskBase, Any, Any]:
    yield context.call_activity("work", 1, 2, 3)  # mistake
    yield context.call_activity_with_retry("work", 3)  # mistake
    yield context.create_timer("tomorrow")  # mistake
    yield context.call_http("GET", "http://h", headers=["a"])  # mistake
    yield context.call_entity("counter", "get")  # mistake
    yield context.task_all(context.call_activity("work"))  # mistake
    yield 5  # mistake
    df.RetryOptions("1000", 3)  # mistake
    df.ManagedIdentityTokenSource(5)  # mistake


@app.orchestration_trigger(context=5)  # mistake
def other(context: df.DurableOrchestrationContext) -> int:
    return context.instance_id  # mistake


@app.entity_trigger(context_name="context")
def counter(context: df.EntityContext) -> None:
    context.get_state(5)  # mistake
    context.set_stat(5)  # mistake
