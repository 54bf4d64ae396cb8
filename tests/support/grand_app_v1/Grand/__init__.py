from datetime import timedelta

import azure.durable_functions as df

from shared.sums import sum_of


def orchestrator_function(context: df.DurableOrchestrationContext):
    number, tally = context.get_input()["number"], df.EntityId("Tally", "grand")
    context.signal_entity(tally, "add", 1)
    chain = yield context.call_activity("Triple", number)
    spread = yield context.task_all([context.call_activity("Triple", each) for each in range(4)])
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=30))
    child = yield context.call_sub_orchestrator("Leg", {"left": 2, "sum": number})
    own = yield context.call_entity(df.EntityId("Tally", context.instance_id), "add", number)
    context.signal_entity(tally, "add", 1)
    return [chain, sum_of(spread), child, own]


main = df.Orchestrator.create(orchestrator_function)
