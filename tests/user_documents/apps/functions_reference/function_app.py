"""The blocks of the package's reference, unchanged; around them stands only what they leave undefined."""

import json

import azure.durable_functions as df

import context_fragments
import client_fragments
import entity_fragments
import patterns

from azure.durable_functions import DFApp
import azure.functions as func

app = DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

input = "what the orchestrator hands on"


def process(data: dict) -> dict:
    return {"seen": data}


@app.orchestration_trigger(context_name="context")
def my_orchestrator(context: df.DurableOrchestrationContext):
    result = yield context.call_activity("activity_name", input)
    return result


@app.activity_trigger(input_name="data")
def my_activity(data: dict) -> dict:
    return process(data)


@app.entity_trigger(context_name="context")
def my_entity(context: df.EntityContext):
    # Entity logic
    pass


@app.route(route="start")
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    instance_id = await client.start_new("orchestrator")
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger()
def orchestrator(context):
    mine = yield context.call_activity("my_activity", {"a": 1})
    other = yield context.call_sub_orchestrator("my_orchestrator")
    return [mine, other]


@app.activity_trigger(input_name="value")
def activity_name(value) -> str:
    return f"did {json.dumps(value)}"


for blueprint in (context_fragments.bp, client_fragments.bp, entity_fragments.bp, patterns.bp):
    app.register_functions(blueprint)
