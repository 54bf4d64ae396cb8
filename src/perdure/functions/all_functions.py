"""Every function of an app, whatever its kind."""

from perdure.functions.descriptions import (
    ActivityFunction,
    BrokenFunction,
    DisabledFunction,
    HttpFunction,
    LoadedApp,
    RunnableFunction,
    TimerFunction,
)

AnyFunction = RunnableFunction | DisabledFunction | BrokenFunction


def all_functions(app: LoadedApp) -> list[AnyFunction]:
    """Every function of an app, those included that do not run."""
    return [
        *app.http, *app.timers, *app.orchestrators, *app.activities, *app.entities, *app.foreign, *app.disabled,
        *app.broken,
    ]  # fmt: skip


def function_name(function: AnyFunction) -> str:
    """The function's own name."""
    match function:
        case HttpFunction(call=call) | TimerFunction(call=call) | ActivityFunction(call=call):
            return call.name
        case _:
            return function.name
