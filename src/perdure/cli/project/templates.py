"""The functions that `perdure new` writes, of each kind and for both models (cli.md §5)."""

from perdure.cli.project.foreign_templates import FOREIGN
from perdure.cli.project.template import Template

_DURABLE = ("import azure.durable_functions as df",)

HTTP = Template(
    title="HTTP trigger",
    default_name="HttpTrigger",
    imports=("import logging",),
    aliases=("http", "httptrigger"),
    code='''\
@$app.route(route="$name", auth_level=func.AuthLevel.$auth)
def $name(req: func.HttpRequest) -> func.HttpResponse:
    """Greets whoever the query or the JSON body names."""
    name = req.params.get("name")
    if not name and req.get_body():
        name = req.get_json().get("name")
    logging.info("%s greets %s", "$name", name or "nobody")
    return func.HttpResponse(f"Hello {name}!" if name else "Say who you are: ?name=…")
''',
    module='''\
import logging

import azure.functions as func


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Greets whoever the query or the JSON body names."""
    name = req.params.get("name")
    if not name and req.get_body():
        name = req.get_json().get("name")
    logging.info("greeting %s", name or "nobody")
    return func.HttpResponse(f"Hello {name}!" if name else "Say who you are: ?name=…")
''',
    bindings=(
        {"authLevel": "{auth}", "type": "httpTrigger", "direction": "in", "name": "req", "methods": ["get", "post"]},
        {"type": "http", "direction": "out", "name": "$return"},
    ),
)
TIMER = Template(
    title="Timer trigger",
    default_name="TimerTrigger",
    imports=("import logging",),
    aliases=("timer", "timertrigger"),
    code='''\
@$app.timer_trigger(arg_name="timer", schedule="0 * * * * *", run_on_startup=False, use_monitor=False)
def $name(timer: func.TimerRequest) -> None:
    """Runs at the start of every minute: second, minute, hour, day, month, day of the week."""
    if timer.past_due:
        logging.info("%s is late", "$name")
    logging.info("%s runs", "$name")
''',
    module='''\
import logging

import azure.functions as func


def main(timer: func.TimerRequest) -> None:
    """Runs when function.json says so: second, minute, hour, day, month, day of the week."""
    if timer.past_due:
        logging.info("the timer is late")
    logging.info("the timer runs")
''',
    bindings=({"name": "timer", "type": "timerTrigger", "direction": "in", "schedule": "0 * * * * *"},),
)
ORCHESTRATOR = Template(
    title="Durable Functions orchestrator",
    default_name="DurableFunctionsOrchestrator",
    imports=_DURABLE,
    aliases=("orchestrator", "durable orchestrator"),
    code='''\
@$app.orchestration_trigger(context_name="context")
def $name(context: df.DurableOrchestrationContext):
    """Calls activities one after the other. Keep it free of clocks, chance and IO: it is repeated on replay."""
    first = yield context.call_activity("Hello", "Tokyo")
    second = yield context.call_activity("Hello", "Seattle")
    return [first, second]
''',
    module='''\
import azure.durable_functions as df


def orchestrate(context: df.DurableOrchestrationContext):
    """Calls activities one after the other. Keep it free of clocks, chance and IO: it is repeated on replay."""
    first = yield context.call_activity("Hello", "Tokyo")
    second = yield context.call_activity("Hello", "Seattle")
    return [first, second]


main = df.Orchestrator.create(orchestrate)
''',
    bindings=({"name": "context", "type": "orchestrationTrigger", "direction": "in"},),
)
ACTIVITY = Template(
    title="Durable Functions activity",
    default_name="Hello",
    imports=_DURABLE,
    aliases=("activity", "durable activity"),
    code='''\
@$app.activity_trigger(input_name="name")
def $name(name: str) -> str:
    """The work itself: any code may stand here."""
    return f"Hello {name}!"
''',
    module='''\
def main(name: str) -> str:
    """The work itself: any code may stand here."""
    return f"Hello {name}!"
''',
    bindings=({"name": "name", "type": "activityTrigger", "direction": "in"},),
)
ENTITY = Template(
    title="Durable Functions entity",
    default_name="DurableFunctionsEntityPy",
    imports=_DURABLE,
    aliases=("entity", "durable entity"),
    code='''\
@$app.entity_trigger(context_name="context")
def $name(context: df.DurableEntityContext) -> None:
    """Counts: the operations are add, reset and get."""
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
    elif context.operation_name == "reset":
        total = 0
    context.set_state(total)
    context.set_result(total)
''',
    module='''\
import azure.durable_functions as df


def count(context: df.DurableEntityContext) -> None:
    """Counts: the operations are add, reset and get."""
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
    elif context.operation_name == "reset":
        total = 0
    context.set_state(total)
    context.set_result(total)


main = df.Entity.create(count)
''',
    bindings=({"name": "context", "type": "entityTrigger", "direction": "in"},),
)
STARTER = Template(
    title="Durable Functions HTTP starter",
    default_name="DurableFunctionsHttpStart",
    imports=_DURABLE,
    aliases=("starter", "http starter", "durable http starter"),
    code='''\
@$app.route(route="orchestrators/{functionName}", methods=["GET", "POST"], auth_level=func.AuthLevel.$auth)
@$app.durable_client_input(client_name="client")
async def $name(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Starts the orchestrator that the route names; the request's body is its input."""
    body = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["functionName"], None, body)
    return client.create_check_status_response(req, instance_id)
''',
    module='''\
import azure.durable_functions as df
import azure.functions as func


async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    """Starts the orchestrator that the route names; the request's body is its input."""
    client = df.DurableOrchestrationClient(starter)
    body = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["functionName"], None, body)
    return client.create_check_status_response(req, instance_id)
''',
    bindings=(
        {
            "authLevel": "{auth}",
            "type": "httpTrigger",
            "direction": "in",
            "name": "req",
            "route": "orchestrators/{functionName}",
            "methods": ["post", "get"],
        },
        {"type": "http", "direction": "out", "name": "$return"},
        {"name": "starter", "type": "durableClient", "direction": "in"},
    ),
)

TEMPLATES = (HTTP, TIMER, ORCHESTRATOR, ACTIVITY, ENTITY, STARTER, *FOREIGN)


def template_named(name: str) -> Template | None:
    """The template of a title or a shorter word, in any case."""
    word = " ".join(name.lower().replace("-", " ").replace("_", " ").split())
    for template in TEMPLATES:
        if word in (template.title.lower(), template.default_name.lower(), *template.aliases):
            return template
    return None
