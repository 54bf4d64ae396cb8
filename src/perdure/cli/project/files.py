"""What `perdure init` writes: an app that runs here and deploys to Azure as it is."""

import json
from typing import Any

FUNCTION_APP = """\
import logging

import azure.functions as func

app = func.FunctionApp()
"""

DURABLE_APP = '''\
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orchestrators/{functionName}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Starts the orchestrator that the route names; the request's body is its input."""
    body = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["functionName"], None, body)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def greet_cities(context: df.DurableOrchestrationContext):
    """Calls one activity after the other. Only what it yields takes time; everything else is repeated on replay."""
    greetings = []
    for city in context.get_input() or ["Tokyo", "Seattle", "Cairo"]:
        greetings.append((yield context.call_activity("say_hello", city)))
    return greetings


@app.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    """The work itself: any code may stand here."""
    return f"Hello {city}!"
'''

REQUIREMENTS = """\
# Azure brings the Python worker itself: do not list azure-functions-worker here.
azure-functions
azure-functions-durable
"""

GITIGNORE = """\
# Secrets of this machine
local.settings.json

# Python
__pycache__/
*.py[cod]
.venv/
venv/
env/
.python_packages/

# State that perdure keeps
.perdure/

# State of the storage emulator
__azurite_db*__.json
__blobstorage__/
__queuestorage__/
"""

FUNCIGNORE = (".git*", ".vscode", ".perdure/", ".venv", "local.settings.json", "__pycache__/", "tests/")

DOCKERFILE = """\
FROM mcr.microsoft.com/azure-functions/python:4-python3.11

ENV AzureWebJobsScriptRoot=/home/site/wwwroot \\
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true

COPY requirements.txt /
RUN pip install -r /requirements.txt

COPY . /home/site/wwwroot
"""

DOCKERIGNORE = "local.settings.json\n.perdure/\n.venv/\n.git/\n"

GETTING_STARTED = """\
# Getting started

Each folder with a `function.json` is a function; its code is in the file that `scriptFile` names.

- `perdure new` adds a function: `perdure templates list` shows which kinds there are.
- `perdure start` runs the app on this machine.
- `func azure functionapp publish NAME` publishes it to Azure.
"""

BUNDLES = {
    "ga": "Microsoft.Azure.Functions.ExtensionBundle",
    "preview": "Microsoft.Azure.Functions.ExtensionBundle.Preview",
    "experimental": "Microsoft.Azure.Functions.ExtensionBundle.Experimental",
}


def host_json(channel: str | None) -> str:
    """``host.json``; without a channel it names no extension bundle. Only Azure needs one."""
    content: dict[str, Any] = {
        "version": "2.0",
        "logging": {
            "applicationInsights": {"samplingSettings": {"isEnabled": True, "excludedTypes": "Request"}},
        },
    }
    if channel is not None:
        content["extensionBundle"] = {"id": BUNDLES[channel], "version": "[4.*, 5.0.0)"}
    return json.dumps(content, indent=2) + "\n"


def local_settings() -> str:
    """``local.settings.json``."""
    values = {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    return json.dumps({"IsEncrypted": False, "Values": values}, indent=2) + "\n"
