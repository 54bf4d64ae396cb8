"""The imports the package's page lists, each used as it stands there."""

import azure.functions as func
from azure.durable_functions import DurableOrchestrationContext
from azure.durable_functions import DurableOrchestrationClient
from azure.durable_functions import Blueprint
from azure.durable_functions import orchestration_trigger
from azure.durable_functions import activity_trigger
from azure.durable_functions import durable_client_input

bp = Blueprint()


@bp.route(route="start/{name}", methods=["POST"])
@durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: DurableOrchestrationClient):
    instance_id = await client.start_new(req.route_params["name"], None, "World")
    return client.create_check_status_response(req, instance_id)


@orchestration_trigger(context_name="context")
def greets(context: DurableOrchestrationContext):
    first = yield context.call_activity("greet", context.get_input())
    second = yield context.call_activity(greet, "you")
    return [first, second]


@activity_trigger(input_name="name")
def greet(name: str) -> str:
    return f"Hello {name}!"


app = func.FunctionApp()
app.register_functions(bp)
