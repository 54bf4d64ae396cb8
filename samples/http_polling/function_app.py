import json
import time
from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
ready_at: dict[str, float] = {}


@app.route(route="renderings", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_rendering(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    here = req.url.rsplit("/", 1)[0]
    order = {**req.get_json(), "jobs_url": f"{here}/jobs"}
    instance_id = await client.start_new("render", client_input=order)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def render(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    order = context.get_input()
    # The service answers 202 with a Location; the call asks there again until the answer is another one.
    response = yield context.call_http("POST", order["jobs_url"], content={"scene": order["scene"]})
    if response.status_code != 200:
        return f"the service answered {response.status_code}"
    return json.loads(response.content)["picture"]


# From here on: a stand-in for a slow service, with an API as many have.


@app.route(route="jobs", methods=["POST"])
def accept_job(req: func.HttpRequest) -> func.HttpResponse:
    scene = req.get_json()["scene"]
    if not scene:
        return func.HttpResponse("which scene?", status_code=422)
    ready_at[scene] = time.monotonic() + 1
    return still_working(scene)


@app.route(route="jobs/{scene}", methods=["GET"])
def look_at_job(req: func.HttpRequest) -> func.HttpResponse:
    scene = req.route_params["scene"]
    if time.monotonic() < ready_at.get(scene, 0):
        return still_working(scene)
    return func.HttpResponse(json.dumps({"picture": f"{scene}.png"}), mimetype="application/json")


def still_working(scene: str) -> func.HttpResponse:
    return func.HttpResponse(status_code=202, headers={"Location": f"/api/jobs/{scene}", "Retry-After": "1"})
