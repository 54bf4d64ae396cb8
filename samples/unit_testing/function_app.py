from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="baskets/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def check_out(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("pay", req.route_params["id"], req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def pay(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    basket = context.get_input()
    prices = yield context.task_all([context.call_activity("price_of", item) for item in basket])
    try:
        receipt = yield context.call_activity("charge", sum(prices))
    except Exception:
        return "not paid"
    yield context.call_entity(df.EntityId("turnover", "shop"), "add", sum(prices))
    return receipt


@app.activity_trigger(input_name="item")
def price_of(item: str) -> int:
    return len(item)


@app.activity_trigger(input_name="amount")
def charge(amount: int) -> str:
    if amount > 100:
        raise ValueError("more than the card allows")
    return f"paid {amount}"


@app.entity_trigger(context_name="context")
def turnover(context: df.DurableEntityContext) -> None:
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
        context.set_state(total)
    context.set_result(total)
