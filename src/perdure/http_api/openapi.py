"""The OpenAPI 3.1 document of a host: its own routes, from their tables, and the app's HTTP functions."""

from collections.abc import Mapping, Sequence
from typing import Any

from perdure import __version__
from perdure.client import TaskHubClient
from perdure.http_api.access import KEY_PARAMETER, LEVELS, Level
from perdure.http_api.answers import Answer, json_answer
from perdure.http_api.app_names import AppNames, FunctionRoute, NamedThings
from perdure.http_api.links import PREFIX, origin_of
from perdure.http_api.operations import (
    EMPTY,
    OPERATIONS,
    PATH_PARAMETERS,
    QUERY_PARAMETERS,
    SHAPES,
    TEXT,
    Operation,
    Schema,
)
from perdure.http_api.options import ManagementOptions
from perdure.http_api.requests import Request

Json = dict[str, Any]
_TOKEN = "x-ms-continuation-token"
_SECURITY = [{"keyHeader": []}, {"keyQuery": []}]
_ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_TEXTS = {
    200: "Done.", 202: "Accepted, or not finished.", 204: "Done.", 400: "The request is wrong; the body says what.",
    401: "No key, or an unknown one.", 403: "The key opens other doors, or a page of another origin asks.",
    404: "There is no such thing.", 409: "Not in this state.", 410: "It has ended.",
    413: "The body is too large.", 415: "The body is compressed.", 429: "Too much to do; try again.",
    500: "The instance failed and that was asked for as 500, or the server failed.",
    503: "Not ready, or the store cannot be reached; try again.", 507: "The disk is full.",
}  # fmt: skip


async def serve(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """The document of this host, its URLs as the caller reaches them."""
    origin = origin_of(request, options)
    levels = LEVELS if options.checks_keys else dict.fromkeys(LEVELS, Level.ANONYMOUS)
    return json_answer(200, openapi_document(options.app, origin, levels))


def openapi_document(app: AppNames, origin: str, levels: Mapping[tuple[str, str], Level] = LEVELS) -> Json:
    """The document; ``levels`` are those that this host asks for. A route without a description is a KeyError."""
    checks_keys = any(level is not Level.ANONYMOUS for level in levels.values())
    paths: dict[str, Json] = {}
    for (method, template), level in sorted(levels.items()):
        path = template if template.startswith("/") else f"{PREFIX}/{template}"
        described = _described(OPERATIONS[method, template], template, level, app)
        paths.setdefault(path, {})[method.lower()] = described | {"operationId": _identity(method, template)}
    for function in app.functions:
        for method in function.methods or _ALL_METHODS:
            described = _function(function, checks_keys) | {"operationId": f"{function.name}_{method.lower()}"}
            paths.setdefault(f"/{function.path}", {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "perdure",
            "version": __version__,
            "description": "A Functions host and its app.",
        },
        "servers": [{"url": origin}],
        "paths": paths,
        "components": {
            "schemas": SHAPES,
            "securitySchemes": {
                "keyHeader": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "keyQuery": {"type": "apiKey", "in": "query", "name": KEY_PARAMETER},
            },
        },
    }


def _identity(method: str, template: str) -> str:
    words = template.replace("{", "").replace("}", "").replace(".", "_").strip("/").split("/")
    return "_".join([method.lower(), *words])


def _described(operation: Operation, template: str, level: Level, app: AppNames) -> Json:
    parameters = [_path_parameter(name, operation, template, app) for name in _names_in(template)]
    parameters += [_query_parameter(name, operation) for name in (*operation.query_required, *operation.query)]
    if operation.is_paged:
        given = {"name": _TOKEN, "in": "header", "schema": EMPTY, "description": "Token of the page before, if any."}
        parameters.append(given)
    answers = {str(status): _answer(status, shape, operation) for status, shape in operation.answers.items()}
    shown: Json = {"summary": operation.summary, "tags": [operation.tag], "parameters": parameters}
    if operation.body is not None:
        content = {operation.body.media_type: {"schema": operation.body.schema}}
        shown["requestBody"] = {"required": operation.body.is_required, "content": content}
    if level is not Level.ANONYMOUS:
        shown["security"] = _SECURITY
        answers["401"] = {"description": _TEXTS[401]}
    answers["403"] = {"description": _TEXTS[403]}
    return shown | {"responses": dict(sorted(answers.items()))}


def _names_in(template: str) -> list[str]:
    return [part[1:-1] for part in template.split("/") if part.startswith("{")]


def _path_parameter(name: str, operation: Operation, template: str, app: AppNames) -> Json:
    schema, meaning = PATH_PARAMETERS.get(name, (TEXT, ""))
    if name in operation.path:
        schema = operation.path[name]
    elif name == "name":
        things = operation.names or NamedThings(template.strip("/").removeprefix("admin/").partition("/")[0])
        names = app.named[things]
        schema, meaning = {"type": "string", "minLength": 1}, f"One of the app's {things.value}."
        if names:
            schema["enum"] = list(names)
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": meaning}


def _query_parameter(name: str, operation: Operation) -> Json:
    schema, meaning = QUERY_PARAMETERS[name]
    shown: Json = {"name": name, "in": "query", "schema": operation.query_shapes.get(name, schema)}
    if name in operation.query_required:
        shown |= {"required": True, "schema": operation.query_required[name]}
    return shown | {"description": meaning}


def _answer(status: int, shape: str | None, operation: Operation) -> Json:
    answer: Json = {"description": _TEXTS[status]}
    if shape == "File":
        answer["content"] = {"application/octet-stream": {}}
    elif shape == "Metrics":
        answer["content"] = {"text/plain": {"schema": TEXT}}
    elif shape is not None:
        answer["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
    if operation.is_paged and status == 200:
        answer["headers"] = {_TOKEN: _header("Token of the next page; empty on the last.")}
    if shape == "Links":
        answer["headers"] = {"Location": _header("Where the status is."), "Retry-After": _header("Seconds.")}
    return answer


def _header(meaning: str) -> Json:
    return {"required": True, "schema": TEXT, "description": meaning}


def _function(function: FunctionRoute, checks_keys: bool) -> Json:
    schemas: Sequence[tuple[str, Schema]] = [(name, TEXT) for name in function.parameters]
    shown: Json = {
        "summary": f"The app's function '{function.name}'",
        "tags": ["app"],
        "parameters": [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in schemas],
        "responses": {"default": {"description": "Whatever the function answers."}},
    }
    return shown | {"security": _SECURITY} if checks_keys and not function.is_anonymous else shown
