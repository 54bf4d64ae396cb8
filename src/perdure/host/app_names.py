"""What the OpenAPI document names of an app: its HTTP routes, orchestrators, entities, functions."""

import re

from perdure.functions.all_functions import all_functions, function_name
from perdure.functions.descriptions import AuthLevel, HttpFunction, LoadedApp
from perdure.functions.routes import full_route
from perdure.http_api.app_names import AppNames, FunctionRoute, NamedThings

_PARAMETER = re.compile(r"\{\*?([A-Za-z_][A-Za-z0-9_-]*)(?:[^{}]|\{\{|\}\})*\}")


def names_of(app: LoadedApp, route_prefix: str) -> AppNames:
    """The names of everything that can be called."""
    runnable = [function.call for function in (*app.http, *app.timers, *app.activities, *app.foreign)]
    return AppNames(
        functions=tuple(_route(function, route_prefix) for function in app.http),
        named={
            NamedThings.ORCHESTRATORS: tuple(function.definition.name for function in app.orchestrators),
            NamedThings.ENTITIES: tuple(function.definition.name for function in app.entities),
            NamedThings.FUNCTIONS: tuple(function_name(function) for function in all_functions(app)),
            NamedThings.RUNNABLE: tuple(call.name for call in runnable),
        },
    )


def _route(function: HttpFunction, prefix: str) -> FunctionRoute:
    template = full_route(prefix, function.route)
    return FunctionRoute(
        name=function.call.name,
        path=_PARAMETER.sub(lambda match: f"{{{match[1]}}}", template),
        parameters=tuple(_PARAMETER.findall(template)),
        methods=function.methods,
        is_anonymous=function.auth_level is AuthLevel.ANONYMOUS,
    )
