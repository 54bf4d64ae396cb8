from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="monitors", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_monitor(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("monitor", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def monitor(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    config = context.get_input()
    expiry = context.current_utc_datetime + timedelta(seconds=config.get("duration_seconds", 3600))
    check = 0

    while context.current_utc_datetime < expiry:
        check += 1
        state = yield context.call_activity("read_job_state", {"job": config["job"], "check": check})
        context.set_custom_status({"check": check, "state": state})
        if state == "done":
            return f"{config['job']} done after {check} checks"
        next_check = context.current_utc_datetime + timedelta(seconds=config.get("interval_seconds", 60))
        yield context.create_timer(min(next_check, expiry))

    return f"{config['job']} not done in time"


@app.activity_trigger(input_name="request")
def read_job_state(request: dict[str, Any]) -> str:
    """Stands for the question to a real system; here the job is done at the third check."""
    return "done" if request["job"] != "endless" and request["check"] >= 3 else "running"
