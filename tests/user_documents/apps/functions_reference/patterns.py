"""The reference's common patterns, and the activities they leave to the reader."""

import azure.durable_functions as df

app = bp = df.Blueprint()

@app.orchestration_trigger(context_name="context")
def approval_workflow(context: df.DurableOrchestrationContext):
    request = context.get_input()
    
    # Send approval request
    yield context.call_activity("send_approval_request", request)
    
    # Wait for approval with timeout
    import datetime
    expiration = context.current_utc_datetime + datetime.timedelta(days=3)
    
    timeout_task = context.create_timer(expiration)
    approval_task = context.wait_for_external_event("ApprovalReceived")
    
    winner = yield context.task_any([timeout_task, approval_task])
    
    if winner == approval_task:
        timeout_task.cancel()
        approval = yield approval_task
        if approval["approved"]:
            yield context.call_activity("process_approval", request)
            return "Approved"
        else:
            yield context.call_activity("process_rejection", request)
            return "Rejected"
    else:
        yield context.call_activity("escalate", request)
        return "Escalated"


@app.orchestration_trigger(context_name="context")
def parallel_processor(context: df.DurableOrchestrationContext):
    items = context.get_input()
    
    # Create parallel tasks
    tasks = []
    for item in items:
        task = context.call_activity("process_item", item)
        tasks.append(task)
    
    # Wait for all to complete
    results = yield context.task_all(tasks)
    
    # Aggregate
    return sum(results)


@app.orchestration_trigger(context_name="context")
def monitor_workflow(context: df.DurableOrchestrationContext):
    import datetime
    
    config = context.get_input()
    expiry_time = context.current_utc_datetime + datetime.timedelta(
        hours=config.get("duration_hours", 24)
    )
    
    while context.current_utc_datetime < expiry_time:
        # Check condition
        result = yield context.call_activity("check_condition", config)
        
        if result["met"]:
            yield context.call_activity("condition_met", result)
            return "Condition met"
        
        # Wait before next check
        next_check = context.current_utc_datetime + datetime.timedelta(
            minutes=config.get("polling_interval", 5)
        )
        if next_check < expiry_time:
            yield context.create_timer(next_check)
    
    return "Expired"


checks: list[dict] = []


@bp.activity_trigger(input_name="request")
def send_approval_request(request: dict):
    return None


@bp.activity_trigger(input_name="request")
def process_approval(request: dict):
    return None


@bp.activity_trigger(input_name="request")
def process_rejection(request: dict):
    return None


@bp.activity_trigger(input_name="request")
def escalate(request: dict):
    return None


@bp.activity_trigger(input_name="item")
def process_item(item: int) -> int:
    return item * item


@bp.activity_trigger(input_name="config")
def check_condition(config: dict) -> dict:
    checks.append(config)
    return {"met": len([check for check in checks if check == config]) >= config["checks"]}


@bp.activity_trigger(input_name="result")
def condition_met(result: dict):
    return None
