from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions import EntityContext

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self, amount: int) -> None:
        self.value += amount

    def reset(self) -> None:
        self.value = 0

    def get(self) -> int:
        return self.value


@app.entity_trigger(context_name="context")
def counter_entity(context: EntityContext) -> None:
    state = context.get_state(Counter) or Counter()
    operation = context.operation_name

    if operation == "add":
        state.add(context.get_input())
    elif operation == "reset":
        state.reset()
    elif operation == "get":
        context.set_result(state.get())

    context.set_state(state)


@app.orchestration_trigger(context_name="context")
def add_and_read(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    request = context.get_input()
    entity_id = df.EntityId("counter_entity", request["key"])

    # Signal (fire and forget), then call (with a return value): the same sender, so in this order.
    context.signal_entity(entity_id, "add", request["amount"])
    value = yield context.call_entity(entity_id, "get")
    return value


@app.route(route="counters/{key}/{operation}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def signal(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    entity_id = df.EntityId("counter_entity", req.route_params["key"])
    amount = req.get_json() if req.get_body() else None
    await client.signal_entity(entity_id, req.route_params["operation"], amount)
    return func.HttpResponse(status_code=202)


@app.route(route="counters/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    request = {"key": req.route_params["key"], "amount": int(req.params.get("add", 0))}
    instance_id = await client.start_new("add_and_read", client_input=request)
    return await client.wait_for_completion_or_create_check_status_response(req, instance_id)
