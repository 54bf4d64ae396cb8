"""One azure-functions Function → its description (functions-host.md §1.1)."""

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from azure.functions.decorators.function_app import Function

from perdure.functions.app_settings import AppSettings
from perdure.functions.descriptions import (
    ActivityFunction,
    AuthLevel,
    ClientArgument,
    DisabledFunction,
    EntityFunction,
    ForeignFunction,
    HttpFunction,
    OrchestratorFunction,
    OutputArgument,
    TimerFunction,
    UserFunction,
)
from perdure.functions.route_templates import parse_route
from perdure.functions.schedules import read_schedule
from perdure.functions.signatures import RETURN_BINDING, read_signature

Description = (
    HttpFunction
    | TimerFunction
    | ActivityFunction
    | OrchestratorFunction
    | EntityFunction
    | ForeignFunction
    | DisabledFunction
)

OUTPUT_SETTING = "PERDURE_OUTPUT_BINDINGS"

_NAME = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
_CLIENT_TYPES = frozenset({"durableclient", "orchestrationclient"})


@dataclass(frozen=True, slots=True)
class IndexingOptions:
    """What indexing needs to know of the app around the function."""

    folder: Path
    settings: AppSettings
    zone: ZoneInfo


def index_function(function: Function, options: IndexingOptions) -> Description:
    """Describe a function. Raises ValueError saying what is wrong with it."""
    name = function_name(function)
    if _NAME.fullmatch(name) is None or name.lower() == "host":
        raise ValueError(
            "has a name that is not allowed; names are letters, digits, '_' and '-', a letter first, and not 'host'"
        )
    bindings = [options.settings.resolve_all(binding) for binding in _bindings(function)]
    trigger = next(binding for binding in bindings if binding["type"].lower().endswith("trigger"))
    if options.settings.is_true(f"AzureWebJobs.{name}.Disabled", f"AzureWebJobs_{name}_Disabled"):
        return DisabledFunction(name, trigger["type"])
    index = _BY_TRIGGER.get(trigger["type"].lower())
    if index is None:
        return ForeignFunction(name, trigger["type"])
    others = [binding for binding in bindings if binding is not trigger]
    return index(function, trigger, others, options)


def function_name(function: Function) -> str:
    """The function's name; azure-functions types it as optional, yet there always is one."""
    return str(function.get_function_name())


def place_of(function: Callable[..., Any], folder: Path) -> str:
    """File and line of a function's code, for messages."""
    inner = getattr(function, "orchestrator_function", None) or getattr(function, "entity_function", None) or function
    code = getattr(inspect.unwrap(inner), "__code__", None)
    if code is None:
        return "a callable object"
    path = Path(code.co_filename)
    shown = path.relative_to(folder) if folder in path.parents else path.name
    return f"{shown}, line {code.co_firstlineno}"


def _bindings(function: Function) -> list[dict[str, Any]]:
    # Through JSON, because only there every field is camelCase, every enum a name and every None left out.
    return cast(list[dict[str, Any]], json.loads(function.get_function_json())["bindings"])


def _index_http(
    function: Function, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> HttpFunction:
    route = trigger.get("route") or function_name(function)
    parse_route(route)
    methods: Any = trigger.get("methods") or ()
    if isinstance(methods, str):
        methods = (methods,)
    level = str(trigger.get("authLevel") or "function").lower()
    if level not in {known.value for known in AuthLevel}:
        raise ValueError(f"has the auth level '{level}'; it is anonymous, function or admin")
    replies = [binding["name"] for binding in others if binding["type"].lower() == "http"]
    inputs = [binding for binding in others if binding["type"].lower() != "http"]
    reply_argument = next((name for name in replies if name != RETURN_BINDING), None)
    call = _user_function(function, trigger, inputs, options, reply_argument)
    return HttpFunction(call, route, tuple(str(m).upper() for m in methods), AuthLevel(level), reply_argument)


def _index_timer(
    function: Function, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> TimerFunction:
    text = str(trigger.get("schedule", ""))
    try:
        schedule = read_schedule(text, options.zone)
    except ValueError as error:
        raise ValueError(f"has the schedule '{text}': {error}") from error
    is_monitored = bool(trigger.get("useMonitor", True)) and not schedule.is_frequent
    call = _user_function(function, trigger, others, options)
    return TimerFunction(call, text, schedule, bool(trigger.get("runOnStartup", False)), is_monitored)


def _index_activity(
    function: Function, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> ActivityFunction:
    registered = trigger.get("activity") or function_name(function)
    return ActivityFunction(_user_function(function, trigger, others, options), registered)


def _index_orchestrator(
    function: Function, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> OrchestratorFunction:
    _refuse_bindings(others)
    registered = trigger.get("orchestration") or function_name(function)
    return OrchestratorFunction(function_name(function), _definition(function, registered))


def _index_entity(
    function: Function, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> EntityFunction:
    _refuse_bindings(others)
    registered = trigger.get("entityName") or function_name(function)
    return EntityFunction(function_name(function), _definition(function, registered))


def _definition(function: Function, registered: str) -> Any:
    define = getattr(function.get_user_function(), "definition", None)
    if define is None:
        raise ValueError("was not made by the durable SDK of this host; it needs azure.durable_functions from perdure")
    return define(registered)


def _refuse_bindings(others: list[dict[str, Any]]) -> None:
    if others:
        raise ValueError(
            f"has the binding '{others[0]['name']}'; orchestrators and entities have none but their trigger"
        )


def _user_function(
    function: Function,
    trigger: dict[str, Any],
    others: list[dict[str, Any]],
    options: IndexingOptions,
    reply_argument: str | None = None,
) -> UserFunction:
    clients = tuple(
        ClientArgument(binding["name"], binding.get("taskHub"))
        for binding in others
        if binding["type"].lower() in _CLIENT_TYPES
    )
    foreign = [binding for binding in others if binding["type"].lower() not in _CLIENT_TYPES]
    outputs = tuple(OutputArgument(b["name"], b["type"]) for b in foreign if b["direction"].upper() == "OUT")
    inputs = [binding for binding in foreign if binding["direction"].upper() != "OUT"]
    missing = [f"{binding['type']} input" for binding in inputs]
    if (options.settings.get(OUTPUT_SETTING) or "").lower() != "log":
        missing += [f"{output.type} output" for output in outputs]
    code = function.get_user_function()
    output_names = [output.name for output in outputs if output.name != RETURN_BINDING]
    signature = read_signature(
        code,
        trigger=trigger["type"],
        argument=trigger["name"],
        inputs=[*(client.name for client in clients), *(binding["name"] for binding in inputs)],
        outputs=output_names if reply_argument is None else [*output_names, reply_argument],
    )
    return UserFunction(
        name=function_name(function),
        function=code,
        argument=trigger["name"],
        directory=str(options.folder),
        is_async=signature.is_async,
        expected_type=signature.annotations.get(trigger["name"]),
        wants_context=signature.wants_context,
        clients=clients,
        outputs=outputs,
        missing=tuple(missing),
    )


_BY_TRIGGER: dict[str, Callable[..., Description]] = {
    "httptrigger": _index_http,
    "timertrigger": _index_timer,
    "activitytrigger": _index_activity,
    "orchestrationtrigger": _index_orchestrator,
    "entitytrigger": _index_entity,
}
