import logging

import azure.functions as func

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orders", methods=["POST"])
@app.durable_client_input(client_name="client")
async def begin_order(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("ship_order", None, req.get_json())
    logging.info("started %s", instance_id)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def ship_order(context: df.DurableOrchestrationContext):
    order = context.get_input()
    reserved = yield context.call_activity("reserve", order)
    parts = yield context.task_all([context.call_activity("pack", n) for n in range(order["qty"])])
    return {"reserved": reserved, "parts": parts}


@app.activity_trigger(input_name="order")
def reserve(order: dict) -> str:
    return f"{order['sku']} reserved"


@app.activity_trigger(input_name="n")
def pack(n: int) -> int:
    return n * n


@app.queue_trigger(arg_name="msg", queue_name="orders", connection="AzureWebJobsStorage")
@app.durable_client_input(client_name="client")
async def from_queue(msg: func.QueueMessage, client: df.DurableOrchestrationClient) -> None:
    await client.start_new("ship_order", client_input=msg.get_json())
