"""Functions run by hand: what ``POST /admin/functions/{name}`` does (functions-host.md §1.1, §10, §15)."""

import asyncio
import json
from typing import Any

import azure.functions as func
from azure.functions.http import HttpRequest

from perdure.functions.all_functions import all_functions, function_name
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import (
    ActivityFunction,
    BrokenFunction,
    DisabledFunction,
    EntityFunction,
    ForeignFunction,
    HttpFunction,
    LoadedApp,
    OrchestratorFunction,
    RunnableFunction,
    TimerFunction,
    UserFunction,
)
from perdure.functions.foreign_inputs import UnusableInput, foreign_input
from perdure.functions.http_triggers import UserCode
from perdure.functions.triggered_runs import TriggeredRuns

__all__ = ["ManualRuns", "NoSuchFunction", "UnusableInput"]

_REASON = "This function was programmatically called via the host APIs."


class NoSuchFunction(Exception):
    """The app has no function of that name (404)."""


class ManualRuns:
    """Begins functions of an app whatever their trigger; belongs to the engine loop."""

    def __init__(self, app: LoadedApp, user_code: UserCode, clients: ClientTexts) -> None:
        self._functions = {function_name(function).lower(): function for function in all_functions(app)}
        self._runs = TriggeredRuns(user_code, clients)
        self._tasks: set[asyncio.Task[BaseException | None]] = set()

    def run_by_hand(self, name: str, input: Any) -> None:
        """Begin the function, disabled or not, and return; how it ends is logged.

        ``input`` is what the body's ``input`` holds: a text, or any JSON value. Raises NoSuchFunction;
        UnusableInput saying why the function cannot be run with it.
        """
        function = self._functions.get(name.lower())
        if function is None:
            raise NoSuchFunction(f"This app has no function '{name}'.")
        if isinstance(function, BrokenFunction):
            raise UnusableInput(function.reason)
        if isinstance(function, DisabledFunction):
            if function.function is None:
                raise UnusableInput(f"Function '{name}' is disabled, and something is wrong with it besides.")
            function = function.function
        call, value = _call_and_value(function, input)
        if call.missing:
            raise UnusableInput(f"Function '{name}' needs what does not exist here: {', '.join(call.missing)}.")
        task = asyncio.get_running_loop().create_task(self._runs.run(call, value, reason=_REASON))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Wait for what runs; cancelling this abandons it."""
        tasks = list(self._tasks)
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()


def _call_and_value(function: RunnableFunction, input: Any) -> tuple[UserFunction, Any]:
    match function:
        case TimerFunction(call=call):
            # Its own schedule goes on beside this run.
            return call, func.timer.TimerRequest(past_due=False, schedule_status=None, schedule={"AdjustForDST": True})
        case HttpFunction(call=call, route=route):
            return call, _request(route, input)
        case ActivityFunction(call=call):
            return call, input
        case ForeignFunction(call=call, trigger=trigger):
            return call, foreign_input(trigger, input, call.expected_type)
        case OrchestratorFunction(name=name):
            raise UnusableInput(
                f"'{name}' is an orchestrator; start it with POST /runtime/webhooks/durabletask/orchestrators/{name}."
            )
        case EntityFunction(name=name):
            raise UnusableInput(
                f"'{name}' is an entity; signal it with POST /runtime/webhooks/durabletask/entities/{name}/{{key}}."
            )


def _request(route: str, input: Any) -> HttpRequest:
    body = input if isinstance(input, str) else json.dumps(input)
    return HttpRequest(
        method="POST",
        url=f"http://localhost/{route}",
        headers={"content-type": "application/json"},
        params={},
        route_params={},
        body_type="bytes",
        body=body.encode("utf-8", "surrogatepass"),
    )
