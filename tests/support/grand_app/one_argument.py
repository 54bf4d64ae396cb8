"""The orchestrators of one argument; ``grand`` has a step of each kind."""

from datetime import timedelta

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def grand(context: df.DurableOrchestrationContext):
    request = context.get_input()
    number, tally = request["number"], df.EntityId("tally", "grand")
    context.set_custom_status({"step": "begun"})
    context.signal_entity(tally, "add", 1)

    chain = yield context.call_activity("double", number)
    chain = yield context.call_activity("triple", chain)
    spread = yield context.task_all(
        [context.call_activity(name, number + each) for each in range(3) for name in ("double", "triple")]
    )
    retries = df.RetryOptions(first_retry_interval_in_milliseconds=20, max_number_of_attempts=3)
    retried = yield context.call_activity_with_retry("fails_once", retries, context.instance_id)
    try:
        yield context.call_activity("refuses", number)
        refused = "not refused"
    except df.TaskFailedError as error:
        refused = str(error).splitlines()[0].rstrip()

    context.set_custom_status({"step": "waiting"})
    deadline = context.create_timer(context.current_utc_datetime + timedelta(days=40))
    decided = yield context.task_any([context.wait_for_external_event("Go"), deadline])
    deadline.cancel()
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=30))

    rounds = yield context.call_sub_orchestrator("rounds", {"left": 3, "done": 0})
    moved = yield context.call_sub_orchestrator("transfer", request, f"{context.instance_id}-transfer")
    written = yield context.call_entity(df.EntityId("ledger", context.instance_id), "write", number)
    echoed = yield from ask_the_host(context, request["url"], number)

    context.signal_entity(tally, "add", 1)
    context.set_custom_status({"step": "done"})
    return {
        "chain": chain,
        "spread": spread,
        "retried": retried,
        "refused": refused,
        "decided": decided.result,
        "rounds": rounds,
        "moved": moved,
        "written": written,
        "echoed": echoed,
    }


def ask_the_host(context: df.DurableOrchestrationContext, url: str, number: int):
    """Ask this host itself; right after its start it may not listen yet."""
    while True:
        try:
            response = yield context.call_http("GET", f"{url}/api/echo/{number}")
        except Exception:
            yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=200))
        else:
            return [response.status_code, response.content]


@bp.orchestration_trigger(context_name="context")
def rounds(context: df.DurableOrchestrationContext):
    """Begins anew until nothing is left; each round counts once."""
    at = context.get_input()
    if at["left"] == 0:
        return at["done"]
    context.signal_entity(df.EntityId("tally", "rounds"), "add", 1)
    step = yield context.call_activity("double", 1)
    context.continue_as_new({"left": at["left"] - 1, "done": at["done"] + step})


@bp.orchestration_trigger(context_name="context")
def beat(context: df.DurableOrchestrationContext):
    count = yield context.call_entity(df.EntityId("tally", "beats"), "add", 1)
    return count
