"""What the reference shows of the client: each fragment is the body of one HTTP function."""

import json
from datetime import datetime, timedelta

import azure.durable_functions as df
import azure.functions as func

bp = df.Blueprint()


def answer(value) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(value, default=str), mimetype="application/json")


def brief(status):
    return {"id": status.instance_id, "status": status.runtime_status.name, "output": status.output}


@bp.orchestration_trigger()
def orchestrator_name(context):
    if context.get_input() == "wait":
        return (yield context.wait_for_external_event("EventName"))
    if context.get_input() == "fail":
        yield context.call_activity("needs_the_flag", None)
    return context.get_input()


@bp.activity_trigger(input_name="nothing")
def needs_the_flag(nothing):
    raise ValueError("there is no flag")


@bp.route(route="client/start", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def starts_both_ways(req: func.HttpRequest, client):
    input_data = req.get_json()
    # With auto-generated ID
    instance_id = await client.start_new("orchestrator_name", None, input_data)

    # With specific ID
    instance_id = await client.start_new(
        "orchestrator_name",
        instance_id="my-id",
        client_input=input_data
    )
    return answer(instance_id)


@bp.route(route="client/begin/{id}", methods=["POST"], trigger_arg_name="request")
@bp.durable_client_input(client_name="client")
async def begins(request: func.HttpRequest, client):
    instance_id = await client.start_new("orchestrator_name", request.route_params["id"], request.get_json())
    return client.create_check_status_response(request, instance_id)


@bp.route(route="client/status/{id}")
@bp.durable_client_input(client_name="client")
async def asks_for_status(req: func.HttpRequest, client):
    instance_id = req.route_params["id"]
    status = await client.get_status(instance_id)

    # With history
    status = await client.get_status(
        instance_id,
        show_history=True,
        show_history_output=True
    )
    return answer(
        {
            **brief(status),
            "name": status.name,
            "input": status.input,
            "custom_status": status.custom_status,
            "created": isinstance(status.created_time, datetime),
            "updated": isinstance(status.last_updated_time, datetime),
            "history": [event["EventType"] for event in status.history],
        }
    )


@bp.route(route="client/all")
@bp.durable_client_input(client_name="client")
async def lists_all(req: func.HttpRequest, client):
    statuses = await client.get_status_all()
    return answer([brief(status) for status in statuses])


@bp.route(route="client/by")
@bp.durable_client_input(client_name="client")
async def lists_some(req: func.HttpRequest, client):
    from datetime import datetime, timedelta

    statuses = await client.get_status_by(
        created_time_from=datetime.utcnow() - timedelta(days=7),
        created_time_to=datetime.utcnow(),
        runtime_status=[
            df.OrchestrationRuntimeStatus.Running,
            df.OrchestrationRuntimeStatus.Pending
        ]
    )
    return answer([brief(status) for status in statuses])


@bp.route(route="client/raise/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def raises(req: func.HttpRequest, client):
    instance_id, event_data = req.route_params["id"], req.get_json()
    await client.raise_event(
        instance_id,
        "EventName",
        event_data
    )
    return answer("raised")


@bp.route(route="client/terminate/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def terminates(req: func.HttpRequest, client):
    instance_id = req.route_params["id"]
    await client.terminate(instance_id, "Reason for termination")
    return answer("terminated")


@bp.route(route="client/suspend/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def suspends(req: func.HttpRequest, client):
    instance_id = req.route_params["id"]
    await client.suspend(instance_id, "Reason for suspension")
    return answer("suspended")


@bp.route(route="client/resume/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def resumes(req: func.HttpRequest, client):
    instance_id = req.route_params["id"]
    await client.resume(instance_id, "Reason for resumption")
    return answer("resumed")


@bp.route(route="client/rewind/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def rewinds(req: func.HttpRequest, client):
    instance_id = req.route_params["id"]
    await client.rewind(instance_id, "Reason for rewind")
    return answer("rewound")


@bp.route(route="client/purge/{id}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def purges(req: func.HttpRequest, client):
    instance_id = req.route_params["id"]
    # Single instance
    await client.purge_instance_history(instance_id)
    return answer("purged")


@bp.route(route="client/purge", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def purges_many(req: func.HttpRequest, client):
    result = await client.purge_instance_history_by(
        created_time_from=datetime.utcnow() - timedelta(days=30),
        runtime_status=[df.OrchestrationRuntimeStatus.Completed]
    )
    print(f"Purged {result.instances_deleted} instances")
    return answer(result.instances_deleted)


@bp.route(route="client/payload/{id}")
@bp.durable_client_input(client_name="client")
async def shows_links(req: func.HttpRequest, client):
    instance_id = req.route_params["id"]
    payload = client.create_http_management_payload(instance_id)
    # Returns dict with statusQueryGetUri, sendEventPostUri, etc.
    return answer(payload)


@bp.route(route="client/wait/{id}", methods=["POST"], trigger_arg_name="request")
@bp.durable_client_input(client_name="client")
async def waits(request: func.HttpRequest, client):
    instance_id = await client.start_new("orchestrator_name", request.route_params["id"], request.get_json())
    import datetime

    response = await client.wait_for_completion_or_create_check_status_response(
        request,
        instance_id,
        timeout=datetime.timedelta(seconds=10)
    )
    return response
