"""A declared function → its description (functions-host.md §1.1, §1.3)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from perdure.functions.app_settings import AppSettings
from perdure.functions.declared_functions import DeclaredFunction
from perdure.functions.descriptions import (
    RETURN_BINDING,
    ActivityFunction,
    AuthLevel,
    ClientArgument,
    DisabledFunction,
    EntityFunction,
    ForeignFunction,
    HttpFunction,
    OrchestratorFunction,
    OutputArgument,
    RunnableFunction,
    TimerFunction,
    UserFunction,
)
from perdure.functions.retry_policies import RetryPolicy, read_retry_policy
from perdure.functions.route_templates import parse_route
from perdure.functions.schedules import read_schedule
from perdure.functions.sdk_side import OWN_SDK, SdkSide
from perdure.functions.signatures import read_signature

Description = RunnableFunction | DisabledFunction

OUTPUT_SETTING = "PERDURE_OUTPUT_BINDINGS"

_NAME = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
_CLIENT_TYPES = frozenset({"durableclient", "orchestrationclient"})


@dataclass(frozen=True, slots=True)
class IndexingOptions:
    """What indexing needs to know of the app around the function."""

    folder: Path
    settings: AppSettings
    zone: ZoneInfo
    retry: RetryPolicy | None = None
    """What applies to functions without a retry policy of their own."""
    sdk: SdkSide = OWN_SDK


def index_function(function: DeclaredFunction, options: IndexingOptions) -> Description:
    """Describe a function. Raises ValueError saying what is wrong with it."""
    name = function.name
    if _NAME.fullmatch(name) is None or name.lower() == "host":
        raise ValueError(
            "has a name that is not allowed; names are letters, digits, '_' and '-', a letter first, and not 'host'"
        )
    settings = options.settings
    if not (function.is_disabled or settings.is_true(f"AzureWebJobs.{name}.Disabled", f"AzureWebJobs_{name}_Disabled")):
        return _index_runnable(function, options)
    try:
        return DisabledFunction(name, function.trigger["type"], _index_runnable(function, options))
    except ValueError:
        # What is wrong with a function that does not run is no reason not to run the others.
        return DisabledFunction(name, function.trigger["type"])


def _index_runnable(function: DeclaredFunction, options: IndexingOptions) -> RunnableFunction:
    trigger = options.settings.resolve_all(function.trigger)
    others = [options.settings.resolve_all(binding) for binding in function.others]
    return _BY_TRIGGER.get(trigger["type"].lower(), _index_foreign)(function, trigger, others, options)


def _index_http(
    function: DeclaredFunction, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> HttpFunction:
    route = trigger.get("route") or function.name
    parse_route(route)
    methods: Any = trigger.get("methods") or ()
    if isinstance(methods, str):
        methods = (methods,)
    level = str(trigger.get("authLevel") or "function").lower()
    if level not in {known.value for known in AuthLevel}:
        raise ValueError(f"has the auth level '{level}'; it is anonymous, function or admin")
    replies = [binding["name"] for binding in others if binding["type"].lower() == "http"]
    inputs = [binding for binding in others if binding["type"].lower() != "http"]
    if len(replies) > 1:
        raise ValueError(f"has {len(replies)} http outputs; a request has one response")
    reply_argument = replies[0] if replies else None
    call = _user_function(function, trigger, inputs, options, reply_argument)
    return HttpFunction(call, route, tuple(str(m).upper() for m in methods), AuthLevel(level), reply_argument)


def _index_timer(
    function: DeclaredFunction, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> TimerFunction:
    text = str(trigger.get("schedule", ""))
    try:
        schedule = read_schedule(text, options.zone)
    except ValueError as error:
        raise ValueError(f"has the schedule '{text}': {error}") from error
    is_monitored = bool(trigger.get("useMonitor", True)) and not schedule.is_frequent
    call = _user_function(function, trigger, others, options)
    return TimerFunction(
        call, text, schedule, bool(trigger.get("runOnStartup", False)), is_monitored, _retry_policy(function, options)
    )


def _retry_policy(function: DeclaredFunction, options: IndexingOptions) -> RetryPolicy | None:
    if function.retry is None:
        return options.retry
    try:
        return read_retry_policy(options.settings.resolve_all(function.retry))
    except ValueError as error:
        raise ValueError(f"has a retry policy that {error}") from error


def _index_foreign(
    function: DeclaredFunction, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> ForeignFunction:
    return ForeignFunction(_user_function(function, trigger, others, options), trigger["type"])


def _index_activity(
    function: DeclaredFunction, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> ActivityFunction:
    registered = trigger.get("activity") or function.name
    return ActivityFunction(_user_function(function, trigger, others, options), registered)


def _index_orchestrator(
    function: DeclaredFunction, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> OrchestratorFunction:
    _refuse_bindings(others)
    registered = trigger.get("orchestration") or function.name
    return OrchestratorFunction(function.name, options.sdk.orchestrator(function.code, registered))


def _index_entity(
    function: DeclaredFunction, trigger: dict[str, Any], others: list[dict[str, Any]], options: IndexingOptions
) -> EntityFunction:
    _refuse_bindings(others)
    registered = trigger.get("entityName") or function.name
    return EntityFunction(function.name, options.sdk.entity(function.code, registered))


def _refuse_bindings(others: list[dict[str, Any]]) -> None:
    if others:
        raise ValueError(
            f"has the binding '{others[0]['name']}'; orchestrators and entities have none but their trigger"
        )


def _user_function(
    function: DeclaredFunction,
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
    outputs = tuple(OutputArgument(b["name"], b["type"]) for b in foreign if str(b["direction"]).upper() == "OUT")
    inputs = [binding for binding in foreign if str(binding["direction"]).upper() != "OUT"]
    missing = [f"{binding['type']} input" for binding in inputs]
    if (options.settings.get(OUTPUT_SETTING) or "").lower() != "log":
        missing += [f"{output.type} output" for output in outputs]
    code = function.code
    output_names = [output.name for output in outputs if output.name != RETURN_BINDING]
    signature = read_signature(
        code,
        trigger=trigger["type"],
        argument=trigger["name"],
        inputs=[*(client.name for client in clients), *(binding["name"] for binding in inputs)],
        outputs=output_names if reply_argument in (None, RETURN_BINDING) else [*output_names, reply_argument],
    )
    return UserFunction(
        name=function.name,
        function=code,
        argument=trigger["name"],
        directory=str(function.directory),
        is_async=signature.is_async,
        expected_type=signature.annotations.get(trigger["name"]),
        wants_context=signature.wants_context,
        clients=clients,
        outputs=outputs,
        missing=tuple(missing),
    )


_BY_TRIGGER: dict[str, Callable[..., RunnableFunction]] = {
    "httptrigger": _index_http,
    "timertrigger": _index_timer,
    "activitytrigger": _index_activity,
    "orchestrationtrigger": _index_orchestrator,
    "entitytrigger": _index_entity,
}
