"""Functions of two arguments: a context and the input, with the words of `durabletask`."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import azure.functions as func
import azure.durable_functions as df
from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.entities import DurableEntity, EntityInstanceId
from durabletask.scheduled import AsyncScheduledTaskClient, ScheduleCreationOptions, ScheduledTaskClient

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.configure_scheduled_tasks()


@dataclass
class Order:
    item: str
    quantity: int
    price: int = 0


@app.route(route="orders/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def order(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    instance_id = await client.schedule_new_orchestration(
        buy, input=req.get_json(), instance_id=req.route_params["id"], tags={"shop": "north"}
    )
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def buy(context: task.OrchestrationContext, order: Order) -> Generator[Any, Any, Any]:
    policy = df.RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)
    shelf = EntityInstanceId("Shelf", order.item)
    try:
        with (yield context.lock_entities([shelf])):
            left = yield context.call_entity(shelf, "take", order.quantity)
    except task.TaskFailedError as error:
        return {"refused": error.details.message, "by": error.details.error_type}

    price, code = yield task.when_all(
        [
            context.call_activity(find_price, input=order, retry_policy=policy),
            context.call_sub_orchestrator(make_code, input=order.item),
        ]
    )
    priced = Order(order.item, order.quantity, price * order.quantity)
    return {"order": priced, "left": left, "code": code}


@app.orchestration_trigger(context_name="context")
async def make_code(context: task.OrchestrationContext, item: str) -> str:
    code: str = await context.call_activity("shout", input=f"{item} for {context.parent_instance_id}")
    return code


@app.activity_trigger(input_name="order")
def find_price(context: task.ActivityContext, order: Order) -> int:
    return len(order.item) * 10


@app.activity_trigger(input_name="text")
def shout(text: str) -> str:
    return text.upper()


@app.entity_trigger(context_name="context")
class Shelf(DurableEntity):
    def fill(self, quantity: int) -> None:
        self.set_state(self.get_state(int, 0) + quantity)

    def take(self, quantity: int) -> int:
        left = self.get_state(int, 0) - quantity
        if left < 0:
            raise ValueError(f"only {left + quantity} left")
        self.set_state(left)
        return left


@app.route(route="shelves/{item}", methods=["PUT"])
@app.durable_client_input(client_name="client")
def fill(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    client.signal_entity(EntityInstanceId("Shelf", req.route_params["item"]), "fill", req.get_json())
    return func.HttpResponse(status_code=202)


@app.route(route="shelves/{item}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def look(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    shelf = await client.get_entity(EntityInstanceId("Shelf", req.route_params["item"]))
    return func.HttpResponse(str(shelf.get_typed_state(int)) if shelf else "0")


@app.route(route="sweeps/{seconds}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def sweep_regularly(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    every = timedelta(seconds=float(req.route_params["seconds"]))
    options = ScheduleCreationOptions("sweeps", "sweep", every, {"room": 1}, start_immediately_if_late=True)
    schedule = await AsyncScheduledTaskClient(client).create_schedule(options)
    return func.HttpResponse((await schedule.describe()).status.value)


@app.route(route="sweeps", methods=["DELETE"])
@app.durable_client_input(client_name="client")
def stop_sweeping(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    ScheduledTaskClient(client).get_schedule_client("sweeps").delete()
    finished = client.list_instance_ids([OrchestrationStatus.COMPLETED])
    return func.HttpResponse(str(sum(id.startswith("sweeps-") for id in finished.items)))


@app.orchestration_trigger(context_name="context")
def sweep(context: task.OrchestrationContext, input: dict[str, Any]) -> str:
    return f"room {input['room']}"
