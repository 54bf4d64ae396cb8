import json
from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="totals", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_totals(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    orders = json.loads(req.get_body() or b"[]")
    instance_id = await client.start_new("totals", client_input=orders)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def totals(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    orders = context.get_input()
    tasks = [context.call_activity("price", order) for order in orders]
    prices = yield context.task_all(tasks)
    return {"orders": len(prices), "total": sum(prices)}


@app.activity_trigger(input_name="order")
def price(order: dict[str, Any]) -> int:
    return int(order["quantity"] * order["unit_price"])
