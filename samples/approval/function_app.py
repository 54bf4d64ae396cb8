from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="expenses", methods=["POST"])
@app.durable_client_input(client_name="client")
async def submit_expense(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("approval_workflow", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.route(route="expenses/{instance_id}/decision", methods=["POST"])
@app.durable_client_input(client_name="client")
async def decide(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.raise_event(req.route_params["instance_id"], "ApprovalReceived", req.get_json())
    return func.HttpResponse("Decision received", status_code=202)


@app.orchestration_trigger(context_name="context")
def approval_workflow(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    request = context.get_input()
    yield context.call_activity("ask_for_approval", request)

    deadline = context.current_utc_datetime + timedelta(seconds=request.get("wait_seconds", 3 * 24 * 3600))
    timeout = context.create_timer(deadline)
    decision = context.wait_for_external_event("ApprovalReceived")
    winner = yield context.task_any([timeout, decision])

    if winner == decision:
        timeout.cancel()
        if decision.result["approved"]:
            return (yield context.call_activity("pay_out", request))
        return f"{request['purpose']}: rejected"
    return (yield context.call_activity("escalate", request))


@app.activity_trigger(input_name="request")
def ask_for_approval(request: dict[str, Any]) -> str:
    return f"Please approve {request['amount']} for {request['purpose']}"


@app.activity_trigger(input_name="request")
def pay_out(request: dict[str, Any]) -> str:
    return f"{request['purpose']}: {request['amount']} paid"


@app.activity_trigger(input_name="request")
def escalate(request: dict[str, Any]) -> str:
    return f"{request['purpose']}: escalated"
