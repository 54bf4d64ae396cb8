from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="cleanups", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_cleanup(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("periodic_cleanup", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def periodic_cleanup(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    state = context.get_input()
    rounds = state.get("rounds", 0)
    removed = yield context.call_activity("clean_up", rounds)
    state = {**state, "rounds": rounds + 1, "removed": state.get("removed", 0) + removed}
    context.set_custom_status({"rounds": state["rounds"], "removed": state["removed"]})

    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=state.get("interval_seconds", 3600)))

    # A fresh history for each round: an orchestration that runs for years stays small.
    context.continue_as_new(state)


@app.activity_trigger(input_name="round")
def clean_up(round: int) -> int:
    """Stands for real work; here every round removes two things."""
    return 2
