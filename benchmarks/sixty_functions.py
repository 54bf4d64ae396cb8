"""D2 for perdure: what an app of 60 functions adds to the sample's start, in the v2 model and in the v1 model."""

import json
import shutil
from pathlib import Path

from benchmarks.host_process import SAMPLE, measure_host
from benchmarks.job import Figures

FUNCTIONS = 60
_SAMPLES_FUNCTIONS = 3
_PROJECT_FILES = ("host.json", "local.settings.json")

_V2_MORE = """

@myApp.route(route="start/{number}")
@myApp.durable_client_input(client_name="client")
async def start_{number}(req: func.HttpRequest, client):
    return client.create_check_status_response(req, await client.start_new("steps_{number}"))


@myApp.orchestration_trigger(context_name="context")
def steps_{number}(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("step_{number}", {number}))


@myApp.activity_trigger(input_name="value")
def step_{number}(value: int) -> int:
    return value + 1
"""

_ORCHESTRATOR = """import azure.durable_functions as df


def steps(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("{activity}", "Tokyo"))


main = df.Orchestrator.create(steps)
"""
_ACTIVITY = """def main(value: str) -> str:
    return "Hello " + value
"""
_STARTER = """import azure.durable_functions as df
import azure.functions as func


async def main(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    client = df.DurableOrchestrationClient(starter)
    instance_id = await client.start_new("{orchestrator}")
    return client.create_check_status_response(req, instance_id)
"""


def measure_sixty(folder: Path) -> Figures:
    """The sample and both apps, one after the other; the figures are what the apps add. Raises HostFailed."""
    folder.mkdir(exist_ok=True)
    v2, v1 = folder / "v2", folder / "v1"
    _write_v2(v2)
    _write_v1(v1)
    measured: dict[str, Figures] = {}
    for name, app in (("sample", SAMPLE), ("v2", v2), ("v1", v1)):
        place = folder / f"run-{name}"
        place.mkdir()
        measured[name] = measure_host(place, app)
    figures: Figures = {}
    for name in ("v2", "v1"):
        for figure, added in (("first_result_s", "s"), ("first_result_cpu_s", "cpu_s"), ("idle_mb", "mb")):
            figures[f"added_{name}_{added}"] = measured[name][figure] - measured["sample"][figure]
    return figures


def _write_v2(app: Path) -> None:
    """The sample with more of the same in its one file."""
    shutil.copytree(SAMPLE, app, ignore=shutil.ignore_patterns("__pycache__", ".perdure"))
    more = range(1, (FUNCTIONS - _SAMPLES_FUNCTIONS) // 3 + 1)
    with (app / "function_app.py").open("a", encoding="utf-8") as source:
        source.writelines(_V2_MORE.replace("{number}", str(number)) for number in more)


def _write_v1(app: Path) -> None:
    """A folder for each function; the names that the first result is asked by are the sample's."""
    app.mkdir()
    for name in _PROJECT_FILES:
        shutil.copyfile(SAMPLE / name, app / name)
    for number in range(FUNCTIONS // 3):
        suffix = f"_{number}" if number else ""
        orchestrator, activity = f"hello_orchestrator{suffix}", f"hello{suffix}"
        route = f"orchestrators/{orchestrator}"
        trigger = {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous", "route": route}
        _write_function(
            app / f"http_start{suffix}",
            _STARTER.replace("{orchestrator}", orchestrator),
            trigger,
            {"type": "http", "direction": "out", "name": "$return"},
            {"type": "durableClient", "direction": "in", "name": "starter"},
        )
        orchestration = {"type": "orchestrationTrigger", "direction": "in", "name": "context"}
        _write_function(app / orchestrator, _ORCHESTRATOR.replace("{activity}", activity), orchestration)
        _write_function(app / activity, _ACTIVITY, {"type": "activityTrigger", "direction": "in", "name": "value"})


def _write_function(folder: Path, source: str, *bindings: dict[str, str]) -> None:
    folder.mkdir()
    (folder / "__init__.py").write_text(source, encoding="utf-8")
    (folder / "function.json").write_text(json.dumps({"scriptFile": "__init__.py", "bindings": bindings}), "utf-8")
