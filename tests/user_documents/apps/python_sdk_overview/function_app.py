"""The blocks of the SDK overview, unchanged; around them stands only what they leave undefined."""

import json
import os

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
input1, input2, input_data = 1, 2, {"number": 7}


class ProcessRequest:
    def __init__(self, number):
        self.number = number


class ProcessResult:
    def __init__(self, status):
        self.status = status


def transform(data: dict) -> dict:
    return {name: value * 2 for name, value in data.items()}


@app.orchestration_trigger(context_name="context")
def my_orchestrator(context: df.DurableOrchestrationContext):
    # Each activity call must be yielded
    result1 = yield context.call_activity("activity1", input1)
    result2 = yield context.call_activity("activity2", input2)
    return result1 + result2


@app.activity_trigger(input_name="data")
def process_data(data: dict) -> dict:
    # Perform work
    processed = transform(data)
    return processed

# With complex input
@app.activity_trigger(input_name="request")
def complex_activity(request: ProcessRequest) -> ProcessResult:
    return ProcessResult(status="completed")


@app.orchestration_trigger(context_name="context")
def parent_orchestrator(context: df.DurableOrchestrationContext):
    # Call sub-orchestration
    result = yield context.call_sub_orchestrator(
        "child_orchestrator",
        input_data
    )
    return result

@app.orchestration_trigger(context_name="context")
def child_orchestrator(context: df.DurableOrchestrationContext):
    # Child orchestration logic
    return "child result"


@app.orchestration_trigger(context_name="context")
def timer_orchestrator(context: df.DurableOrchestrationContext):
    import datetime
    
    # Wait for 1 hour
    fire_at = context.current_utc_datetime + datetime.timedelta(hours=1)
    yield context.create_timer(fire_at)
    
    # Continue after timer
    return "Timer completed"


@app.orchestration_trigger(context_name="context")
def timer_with_cancellation(context: df.DurableOrchestrationContext):
    import datetime
    
    fire_at = context.current_utc_datetime + datetime.timedelta(hours=24)
    timer_task = context.create_timer(fire_at)
    event_task = context.wait_for_external_event("ApprovalEvent")
    
    winner = yield context.task_any([timer_task, event_task])
    
    if winner == event_task:
        timer_task.cancel()
        return "Approved"
    else:
        return "Timeout"


@app.orchestration_trigger(context_name="context")
def approval_workflow(context: df.DurableOrchestrationContext):
    # Wait for approval event
    approval = yield context.wait_for_external_event("ApprovalReceived")
    
    if approval["approved"]:
        yield context.call_activity("process_approved", approval)
    else:
        yield context.call_activity("process_rejected", approval)


@app.route(route="approve/{instance_id}")
@app.durable_client_input(client_name="client")
async def approve(req: func.HttpRequest, client):
    instance_id = req.route_params.get("instance_id")
    body = req.get_json()
    
    await client.raise_event(
        instance_id,
        "ApprovalReceived",
        {"approved": True, "approver": body["approver"]}
    )
    
    return func.HttpResponse("Event raised", status_code=202)


from azure.durable_functions import EntityContext

class Counter:
    def __init__(self):
        self.value = 0
    
    def add(self, amount: int):
        self.value += amount
    
    def reset(self):
        self.value = 0
    
    def get(self) -> int:
        return self.value

@app.entity_trigger(context_name="context")
def counter_entity(context: EntityContext):
    state = context.get_state(Counter) or Counter()
    operation = context.operation_name
    
    if operation == "add":
        state.add(context.get_input())
    elif operation == "reset":
        state.reset()
    elif operation == "get":
        context.set_result(state.get())
    
    context.set_state(state)


@app.orchestration_trigger(context_name="context")
def entity_orchestrator(context: df.DurableOrchestrationContext):
    entity_id = df.EntityId("counter_entity", "myCounter")
    
    # Signal (fire-and-forget)
    context.signal_entity(entity_id, "add", 5)
    
    # Call (with return value)
    value = yield context.call_entity(entity_id, "get")
    
    return value


@app.orchestration_trigger(context_name="context")
def retry_orchestrator(context: df.DurableOrchestrationContext):
    retry_options = df.RetryOptions(
        first_retry_interval_in_milliseconds=5000,
        max_number_of_attempts=3
    )
    retry_options.backoff_coefficient = 2.0
    retry_options.max_retry_interval_in_milliseconds=60000
    
    result = yield context.call_activity_with_retry(
        "unreliable_activity",
        retry_options,
        input_data
    )
    return result


@app.orchestration_trigger(context_name="context")
def error_handling_orchestrator(context: df.DurableOrchestrationContext):
    try:
        result = yield context.call_activity("risky_activity", input_data)
        return {"success": True, "result": result}
    except Exception as e:
        # Handle the error
        yield context.call_activity("log_error", str(e))
        return {"success": False, "error": str(e)}


@app.orchestration_trigger(context_name="context")
def fan_out_fan_in(context: df.DurableOrchestrationContext):
    items = context.get_input()
    
    # Fan-out: create parallel tasks
    tasks = []
    for item in items:
        task = context.call_activity("process_item", item)
        tasks.append(task)
    
    # Fan-in: wait for all tasks
    results = yield context.task_all(tasks)
    
    # Aggregate results
    total = sum(results)
    return total


@app.orchestration_trigger(context_name="context")
def eternal_orchestrator(context: df.DurableOrchestrationContext):
    import datetime
    
    # Get current state or initialize
    iteration = context.get_input() or 0
    
    # Do periodic work
    yield context.call_activity("do_periodic_work", iteration)
    
    # Wait for next interval
    next_run = context.current_utc_datetime + datetime.timedelta(hours=1)
    yield context.create_timer(next_run)
    
    # Continue as new to prevent history growth
    context.continue_as_new(iteration + 1)


@app.route(route="start")
@app.durable_client_input(client_name="client")
async def start_orchestration(req: func.HttpRequest, client):
    # Start with auto-generated ID
    instance_id = await client.start_new("my_orchestrator", None, input_data)
    
    # Start with specific ID
    instance_id = await client.start_new(
        "my_orchestrator",
        instance_id="my-custom-id",
        client_input=input_data
    )
    
    return client.create_check_status_response(req, instance_id)


@app.route(route="status/{instance_id}")
@app.durable_client_input(client_name="client")
async def get_status(req: func.HttpRequest, client):
    instance_id = req.route_params.get("instance_id")
    
    status = await client.get_status(instance_id)
    
    return func.HttpResponse(
        json.dumps({
            "instanceId": status.instance_id,
            "runtimeStatus": status.runtime_status.name,
            "output": status.output
        }),
        mimetype="application/json"
    )


@app.route(route="terminate/{instance_id}")
@app.durable_client_input(client_name="client")
async def terminate(req: func.HttpRequest, client):
    instance_id = req.route_params.get("instance_id")
    
    await client.terminate(instance_id, "Terminated by user")
    
    return func.HttpResponse("Terminated", status_code=202)


@app.orchestration_trigger()
def calls_the_activities(context):
    simple = yield context.call_activity("process_data", input_data)
    result = yield context.call_activity("complex_activity", ProcessRequest(5))
    return [simple, result.status if isinstance(result, ProcessResult) else result]


@app.activity_trigger(input_name="number")
def activity1(number: int) -> int:
    return number * 100


@app.activity_trigger(input_name="number")
def activity2(number: int) -> int:
    return number * 10


@app.activity_trigger(input_name="approval")
def process_approved(approval: dict):
    print("approved by", approval["approver"], flush=True)


@app.activity_trigger(input_name="approval")
def process_rejected(approval: dict):
    print("rejected", flush=True)


@app.activity_trigger(input_name="value")
def unreliable_activity(value: dict) -> str:
    try:
        os.close(os.open("tried", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "worked at last"
    raise ConnectionError("not yet")


@app.activity_trigger(input_name="value")
def risky_activity(value: dict):
    raise ValueError("the risk came true")


@app.activity_trigger(input_name="text")
def log_error(text: str):
    print("logged:", text, flush=True)


@app.activity_trigger(input_name="item")
def process_item(item: int) -> int:
    return item * item


@app.activity_trigger(input_name="iteration")
def do_periodic_work(iteration: int):
    return None
