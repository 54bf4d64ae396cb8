# pyright: strict
"""An app as a user with a strict type checker writes it."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import azure.functions as func

import azure.durable_functions as df
from azure.durable_functions.models import TaskBase

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
blueprint = df.Blueprint()

Flow = Generator[TaskBase, Any, Any]


@dataclass
class Order:
    """An order."""

    sku: str
    count: int = 1


@app.route(route="orders", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("ship", client_input=req.get_json())
    status = await client.get_status(instance_id, show_history=True)
    if status.runtime_status is df.OrchestrationRuntimeStatus.Failed:
        await client.terminate(instance_id, "failed")
    await client.raise_event(instance_id, "approved", {"by": "me"})
    await client.signal_entity(df.EntityId("counter", "k"), "add", 1)
    return await client.wait_for_completion_or_create_check_status_response(
        req, instance_id, timeout=timedelta(seconds=1)
    )


@app.orchestration_trigger(context_name="context", input_type=Order)
def ship(context: df.DurableOrchestrationContext) -> Flow:
    order: Order = context.get_input(Order)
    retry = df.RetryOptions(1000, 3)
    price = yield context.call_activity_with_retry(price_of, retry, order)
    timer = context.create_timer(context.current_utc_datetime + timedelta(days=1))
    approved = context.wait_for_external_event("approved")
    winner = yield context.task_any([timer, approved])
    if winner == approved:
        timer.cancel()
    answer = yield context.call_http("GET", "https://shop.example", token_source=df.ManagedIdentityTokenSource("r"))
    response: df.DurableHttpResponse = answer
    total = yield context.call_entity(df.EntityId("counter", order.sku), "get")
    context.set_custom_status({"price": price, "total": total})
    yield context.task_all([context.call_sub_orchestrator("ship_one", order) for _ in range(order.count)])
    return response.status_code


@app.activity_trigger(input_name="order")
def price_of(order: Order) -> int:
    return order.count * 2


@df.entity_trigger(context_name="context")
def counter(context: df.EntityContext) -> None:
    total: int = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input(int)
    context.set_state(total)
    context.set_result(total)


app.register_functions(df.default_blueprint)
