"""The orchestrators of two arguments: critical sections, ``async def``, dataclasses, scheduled ones."""

from dataclasses import dataclass
from datetime import timedelta

import azure.durable_functions as df
from durabletask import task
from durabletask.entities import EntityInstanceId

bp = df.Blueprint()


@dataclass
class Request:
    number: int
    url: str
    accounts: list[str]


@bp.orchestration_trigger(context_name="context")
def transfer(context: task.OrchestrationContext, request: Request):
    """Moves ``number`` from one account to another; nobody sees the state in between."""
    giver, taker = (EntityInstanceId("Account", key) for key in request.accounts)
    with (yield context.lock_entities([giver, taker])):
        given = yield context.call_entity(giver, "balance")
        taken = yield context.call_entity(taker, "balance")
        given_after = yield context.call_entity(giver, "put", -request.number)
        taken_after = yield context.call_entity(taker, "put", request.number)
    alone = (given_after, taken_after) == (given - request.number, taken + request.number)
    told = yield context.call_sub_orchestrator(tell, input=request)
    return {"alone": alone, "told": told}


@bp.orchestration_trigger(context_name="context")
async def tell(context: task.OrchestrationContext, request: Request) -> list[str]:
    policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=3)
    told = await context.call_activity("describe", input=request.number, retry_policy=policy)
    await context.create_timer(timedelta(milliseconds=20))
    return [told.split()[0], *request.accounts]


@bp.orchestration_trigger(context_name="context")
def sweep(context: task.OrchestrationContext, room: str):
    return (yield context.call_entity(EntityInstanceId("tally", "sweeps"), "add", 1))
