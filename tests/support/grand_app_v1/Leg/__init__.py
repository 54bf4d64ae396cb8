import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    at = context.get_input()
    if at["left"] == 0:
        return at["sum"]
    step = yield context.call_activity("Triple", 1)
    context.continue_as_new({"left": at["left"] - 1, "sum": at["sum"] + step})


main = df.Orchestrator.create(orchestrator_function)
