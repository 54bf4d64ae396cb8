"""The functions that start and steer: async and plain ``def``, of both generations, over HTTP and by the clock."""

import uuid
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func
from durabletask.scheduled import AsyncScheduledTaskClient, ScheduleCreationOptions, ScheduledTaskClient

bp = df.Blueprint()


@bp.route(route="grand/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def start_grand(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("grand", req.route_params["id"], req.get_json())
    return client.create_check_status_response(req, instance_id)


@bp.route(route="plainly/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
def start_plainly(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    instance_id = client.schedule_new_orchestration(
        "grand", input=req.get_json(), instance_id=req.route_params["id"], tags={"by": "plain def"}
    )
    return client.create_check_status_response(req, instance_id)


@bp.route(route="go/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def go(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    await client.raise_orchestration_event(req.route_params["id"], "GO", data=req.get_json())
    return func.HttpResponse(status_code=202)


@bp.route(route="echo/{number}", methods=["GET"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.route_params["number"])


@bp.route(route="sweeps", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def sweep_regularly(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    options = ScheduleCreationOptions("sweeps", "sweep", timedelta(seconds=1), "hall", start_immediately_if_late=True)
    schedule = await AsyncScheduledTaskClient(client).create_schedule(options)
    return func.HttpResponse((await schedule.describe()).status.value)


@bp.route(route="sweeps", methods=["DELETE"])
@bp.durable_client_input(client_name="client")
def stop_sweeping(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    ScheduledTaskClient(client).get_schedule_client("sweeps").delete()
    return func.HttpResponse(status_code=204)


@bp.timer_trigger(arg_name="timer", schedule="*/2 * * * * *")
@bp.durable_client_input(client_name="client")
async def clock(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    await client.start_new("beat", f"beat-{uuid.uuid4()}")
