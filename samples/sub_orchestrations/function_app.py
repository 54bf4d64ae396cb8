from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="rollouts", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_rollout(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("roll_out", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def roll_out(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """One child orchestration per region, all at once; a region that fails does not stop the others."""
    regions = context.get_input()
    children = {region: context.call_sub_orchestrator("set_up_region", region) for region in regions}
    outcome: dict[str, Any] = {}
    for region, child in children.items():
        try:
            outcome[region] = yield child
        except Exception as error:
            outcome[region] = f"failed: {error}".splitlines()[0].strip()
    return outcome


@app.orchestration_trigger(context_name="context")
def set_up_region(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    region = context.get_input()
    machine = yield context.call_activity("create_machine", region)
    return (yield context.call_activity("install", machine))


@app.activity_trigger(input_name="region")
def create_machine(region: str) -> str:
    if region == "atlantis":
        raise LookupError("there is no such region")
    return f"{region}-machine"


@app.activity_trigger(input_name="machine")
def install(machine: str) -> str:
    return f"{machine} ready"
