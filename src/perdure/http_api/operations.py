"""What each route of the host does, in words and shapes: the table behind the OpenAPI document. No behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perdure.http_api.app_names import NamedThings

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
KEPT_TEXT: Schema = {"type": "string", "pattern": r"^[^\u0000]*$"}
"""NUL cannot be kept in every store."""
EMPTY: Schema = {"const": ""}
_FLAG = TEXT
_TIME: Schema = {"anyOf": [{"type": "string", "format": "date-time"}, EMPTY]}
_PLAIN = r"^[^/\\#?\u0000-\u001f\u007f-\u009f]+$"
_STATUS_NAMES = "(Running|Completed|ContinuedAsNew|Failed|Canceled|Terminated|Pending|Suspended|[0-7])"
_WITH_FINISHED = f"(?i)^({_STATUS_NAMES},)*(Completed|Failed|Canceled|Terminated|1|3|4|5)(,{_STATUS_NAMES})*$"

ID: Schema = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": _PLAIN}
NEW_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^@/\\#?\u0000-\u001f\u007f-\u009f]"
                  r"[^/\\#?\u0000-\u001f\u007f-\u009f]*$"}  # fmt: skip
KEY_NAME: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,126}$"}

PATH_PARAMETERS: dict[str, tuple[Schema, str]] = {
    "id": (ID, "The instance's id."),
    "event": ({**KEPT_TEXT, "minLength": 1}, "The event's name."),
    "key": (ID, "The entity's key."),
}
"""Name → shape and meaning; ``name`` differs from route to route and is filled in by the document."""

QUERY_PARAMETERS: dict[str, tuple[Schema, str]] = {
    "timeout": (TEXT, "Seconds to wait for the end; what is no number counts as not given."),
    "pollingInterval": (TEXT, "Seconds; not longer than timeout."),
    "version": (KEPT_TEXT, "Version of the new instance."),
    "showInput": (_FLAG, "true (default) or false; anything else counts as not given, as for all flags."),
    "showHistory": (_FLAG, "With the history."),
    "showHistoryOutput": (_FLAG, "With results in the history."),
    "showWaitingOn": (_FLAG, "With the reasons why the instance is not moving."),
    "returnInternalServerErrorOnFailure": (_FLAG, "A failed instance answers 500."),
    "restartWithNewInstanceId": (_FLAG, "true (default): a new id; false: the same."),
    "createdTimeFrom": (_TIME, "Created then or later; ISO 8601, UTC without an offset."),
    "createdTimeTo": (_TIME, "Created then or earlier."),
    "lastOperationTimeFrom": (_TIME, "Last operation then or later."),
    "lastOperationTimeTo": (_TIME, "Last operation then or earlier."),
    "runtimeStatus": (
        {"anyOf": [{"type": "string", "pattern": f"(?i)^{_STATUS_NAMES}(,{_STATUS_NAMES})*$"}, EMPTY]},
        "Names or numbers, separated by commas; unknown ones beside known ones are passed over.",
    ),
    "instanceIdPrefix": (TEXT, "Ids that begin so; with a leading @ entities."),
    "top": ({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 1000}, EMPTY]}, "Page size, default 100."),
    "reason": (KEPT_TEXT, "A text that is kept."),
    "recursive": (_FLAG, "Its children too."),
    "force": (_FLAG, "End it first if need be."),
    "removeEmptyEntities": (_FLAG, "true (default) or false."),
    "releaseOrphanedLocks": (_FLAG, "true (default) or false."),
    "op": (KEPT_TEXT, "The operation's name."),
    "fetchState": (_FLAG, "With the state."),
    "taskHub": (TEXT, "Of this task hub."),
    "kind": (
        {"anyOf": [{"type": "string", "pattern": "(?i)^(orchestration|activity|entity)$"}, EMPTY]},
        "orchestration, activity or entity; all without it.",
    ),
    "name": (TEXT, "Of this function."),
    "liveness": (_FLAG, "Also what is running and waits for nothing."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body."""

    schema: Schema
    is_required: bool = True
    media_type: str = "application/json"


ANY_JSON: Schema = {}
OPTIONAL_JSON = Body(ANY_JSON, is_required=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route. ``answers``: status → name of a shape in ``SHAPES``, None for an empty body."""

    summary: str
    tag: str
    answers: Mapping[int, str | None]
    query: tuple[str, ...] = ()
    body: Body | None = None
    is_paged: bool = False
    path: Mapping[str, Schema] = field(default_factory=dict[str, Schema])
    """Shapes of path parameters that are narrower here than elsewhere."""
    query_required: Mapping[str, Schema] = field(default_factory=dict[str, Schema])
    """Query parameters that must be given, and their shapes."""
    query_shapes: Mapping[str, Schema] = field(default_factory=dict[str, Schema])
    """Shapes of query parameters that are narrower here than elsewhere."""
    names: NamedThings | None = None
    """What ``{name}`` names, when the first word of the template does not tell."""


_ERROR: Schema = {
    "type": "object",
    "required": ["Message"],
    "properties": {
        "Message": TEXT,
        "ExceptionMessage": TEXT,
        "ExceptionType": TEXT,
        "StackTrace": {"type": ["string", "null"]},
    },
}
_STATUS: Schema = {
    "type": "object",
    "required": ["name", "instanceId", "runtimeStatus", "input", "customStatus", "output", "createdTime",
                 "lastUpdatedTime"],
    "properties": {
        "name": TEXT,
        "instanceId": TEXT,
        "runtimeStatus": {"enum": ["Running", "Completed", "ContinuedAsNew", "Failed", "Canceled", "Terminated",
                                   "Pending", "Suspended"]},
        "input": ANY_JSON,
        "customStatus": ANY_JSON,
        "output": ANY_JSON,
        "createdTime": {"type": "string", "format": "date-time"},
        "lastUpdatedTime": {"type": "string", "format": "date-time"},
        "historyEvents": {"type": "array", "items": {"type": "object", "required": ["EventType", "Timestamp"]}},
        "waitingOn": {"type": "array", "items": {"type": "object", "required": ["kind"]}},
    },
}  # fmt: skip
_LINKS = ["statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "rewindPostUri", "purgeHistoryDeleteUri",
          "restartPostUri", "suspendPostUri", "resumePostUri"]  # fmt: skip
_KEY: Schema = {"type": "object", "required": ["name", "value"], "properties": {"name": TEXT, "value": TEXT}}

SHAPES: dict[str, Schema] = {
    "Error": _ERROR,
    "ErrorOrText": {"anyOf": [{"$ref": "#/components/schemas/Error"}, TEXT]},
    "Any": {"description": "Any JSON value."},
    "Instance": _STATUS,
    "InstanceOrError": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Instance", "Error")]},
    "Instances": {"type": "array", "items": {"$ref": "#/components/schemas/Instance"}},
    "Links": {"type": "object", "required": ["id", *_LINKS], "properties": {"id": TEXT, **dict.fromkeys(_LINKS, TEXT)}},
    "Purged": {
        "type": "object", "required": ["instancesDeleted"], "properties": {"instancesDeleted": {"type": "integer"}},
    },
    "Entities": {"type": "array", "items": {
        "type": "object", "required": ["entityId", "lastOperationTime", "state"], "properties": {
            "entityId": {"type": "object", "required": ["name", "key"], "properties": {"name": TEXT, "key": TEXT}},
            "lastOperationTime": {"type": "string"}, "state": ANY_JSON,
        },
    }},
    "Objects": {"type": "array", "items": {"type": "object"}},
    "Object": {"type": "object"},
    "Key": _KEY,
    "Keys": {
        "type": "object", "required": ["keys"], "properties": {"keys": {"type": "array", "items": _KEY}},
    },
    "Load": {
        "type": "object", "required": ["taskHub", "pending", "active", "total"], "properties": {
            "taskHub": TEXT, "pending": {"type": "integer"}, "active": {"type": "integer"},
            "total": {"type": "integer"}, "oldestAgeInSeconds": {"type": ["integer", "null"]},
            "connectedWorkers": {"type": ["integer", "null"]},
        },
    },
    "Health": {"type": "object", "required": ["status", "live", "ready", "taskHub", "store", "durability", "version"]},
}  # fmt: skip

_LATER: dict[int, str | None] = {429: "Error", 503: "Error"}
_WRITES: dict[int, str | None] = {**_LATER, 507: "Error"}
_STARTED: dict[int, str | None] = {
    200: "Any", 202: "Links", 400: "Error", 409: "Error", 413: "Error", 415: "Error", 500: "InstanceOrError", **_WRITES,
}  # fmt: skip
_CONTROLLED: dict[int, str | None] = {202: None, 400: "Error", 404: None, 410: None, **_WRITES}
_SIGNALLED: dict[int, str | None] = {202: None, 400: "Error", 413: "Error", 415: "Error", **_WRITES}
_READ: dict[int, str | None] = {400: "Error", 404: None, **_LATER}
_WAIT = ("timeout", "pollingInterval", "version", "showInput", "showHistory", "showHistoryOutput",
         "returnInternalServerErrorOnFailure")  # fmt: skip
_CREATED = ("createdTimeFrom", "createdTimeTo", "runtimeStatus")
_OF_ENTITIES = ("lastOperationTimeFrom", "lastOperationTimeTo", "fetchState", "top")
_EVENT_BODY = Body(ANY_JSON)
_SIGNAL_BODY = Body(ANY_JSON, is_required=False)
_RUN_BODY = Body({"type": "object", "required": ["input"], "properties": {"input": ANY_JSON}})
_KEY_VALUE: Schema = {"type": "string", "pattern": "^[!-~]{1,1000}$"}
_KEY_BODY = Body({"type": "object", "required": ["value"], "properties": {"name": TEXT, "value": _KEY_VALUE}})
_HOST_KEY: dict[str, Schema] = {"kind": {"enum": ["keys", "functionkeys", "systemkeys"]}, "key": KEY_NAME}
_FUNCTION_KEY: dict[str, Schema] = {"key": KEY_NAME}
_KEY_SET: dict[int, str | None] = {200: "Key", 400: "Error", 404: None, 413: "Error", 415: "Error"}

_TAG_START, _TAG_INSTANCES, _TAG_ENTITIES = "orchestrators", "instances", "entities"
_TAG_HOST, _TAG_FUNCTIONS, _TAG_COMMANDS = "host", "functions", "commands"
_PLACES = (("", _TAG_HOST), ("/admin/perdure", _TAG_COMMANDS))

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/health"): Operation("Is the host ready; which hub is this", _TAG_HOST, {200: "Health", 503: "Health"}),
    ("GET", "openapi.json"): Operation("This document", _TAG_HOST, {200: "Object"}),
    ("POST", "orchestrators/{name}"): Operation(
        "Start an orchestration", _TAG_START, _STARTED, _WAIT, OPTIONAL_JSON
    ),
    ("POST", "orchestrators/{name}/{id}"): Operation(
        "Start an orchestration under this id", _TAG_START, _STARTED, _WAIT, OPTIONAL_JSON, path={"id": NEW_ID}
    ),
    ("GET", "instances"): Operation(
        "One page of instances", _TAG_INSTANCES, {200: "Instances", 400: "Error", **_LATER},
        (*_CREATED, "instanceIdPrefix", "showInput", "top"), is_paged=True,
    ),
    ("DELETE", "instances"): Operation(
        "Purge the finished instances that match", _TAG_INSTANCES,
        {200: "Purged", 400: "ErrorOrText", 404: None, **_WRITES}, ("createdTimeTo", "runtimeStatus", "recursive"),
        query_required={"createdTimeFrom": {"type": "string", "format": "date-time"}},
        query_shapes={"runtimeStatus": {"anyOf": [{"type": "string", "pattern": _WITH_FINISHED}, EMPTY]}},
    ),
    ("GET", "instances/{id}"): Operation(
        "The status of an instance", _TAG_INSTANCES,
        {200: "Instance", 202: "Instance", 500: "InstanceOrError", **_READ},
        ("showInput", "showHistory", "showHistoryOutput", "showWaitingOn", "returnInternalServerErrorOnFailure"),
    ),
    ("DELETE", "instances/{id}"): Operation(
        "Purge a finished instance", _TAG_INSTANCES,
        {200: "Purged", 400: "Error", 404: None, 409: "Error", **_WRITES}, ("force", "recursive"),
    ),
    ("POST", "instances/{id}/raiseevent/{event}"): Operation(
        "Raise an event", _TAG_INSTANCES, {**_CONTROLLED, 413: "Error", 415: "Error"}, body=_EVENT_BODY
    ),
    ("POST", "instances/{id}/terminate"): Operation(
        "End an instance", _TAG_INSTANCES, _CONTROLLED, ("reason", "recursive")
    ),
    ("POST", "instances/{id}/suspend"): Operation("Hold an instance back", _TAG_INSTANCES, _CONTROLLED, ("reason",)),
    ("POST", "instances/{id}/resume"): Operation("Let an instance go on", _TAG_INSTANCES, _CONTROLLED, ("reason",)),
    ("POST", "instances/{id}/rewind"): Operation(
        "Run a failed instance again from its failure", _TAG_INSTANCES, {**_CONTROLLED, 409: "Error"}, ("reason",)
    ),
    ("POST", "instances/{id}/restart"): Operation(
        "Start the same orchestration again with the same input", _TAG_INSTANCES, _STARTED,
        ("restartWithNewInstanceId", *(name for name in _WAIT if name != "version")),
    ),
    **{
        (method, "makeprimary"): Operation("Nothing: this host is the only one of its hub", _TAG_HOST, {200: None})
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    },
    ("POST", "entities/@clean"): Operation(
        "Forget entities that hold nothing, and release orphaned locks", _TAG_ENTITIES,
        {200: "Object", 400: "Error", **_WRITES}, ("removeEmptyEntities", "releaseOrphanedLocks"),
    ),
    ("GET", "entities"): Operation(
        "One page of entities", _TAG_ENTITIES, {200: "Entities", 400: "Error", **_LATER}, _OF_ENTITIES, is_paged=True
    ),
    ("GET", "entities/{name}"): Operation(
        "One page of the entities of a name", _TAG_ENTITIES, {200: "Entities", 400: "Error", **_LATER}, _OF_ENTITIES,
        is_paged=True, path={"name": {"type": "string", "minLength": 1}},
    ),
    ("GET", "entities/{name}/{key}"): Operation("The state of an entity", _TAG_ENTITIES, {200: "Any", **_READ}),
    ("POST", "entities/{name}"): Operation(
        "Signal the entity with the empty key", _TAG_ENTITIES, _SIGNALLED, ("op",), _SIGNAL_BODY
    ),
    ("POST", "entities/{name}/{key}"): Operation(
        "Signal an entity", _TAG_ENTITIES, _SIGNALLED, ("op",), _SIGNAL_BODY
    ),
    ("DELETE", "entities/{name}"): Operation(
        "Signal the operation delete to the entity with the empty key", _TAG_ENTITIES, _SIGNALLED
    ),
    ("DELETE", "entities/{name}/{key}"): Operation("Signal the operation delete", _TAG_ENTITIES, _SIGNALLED),
    ("GET", "/admin/host/ping"): Operation("Is the host alive", _TAG_HOST, {200: None}),
    ("POST", "/admin/host/ping"): Operation("Is the host alive", _TAG_HOST, {200: None}),
    ("GET", "/admin/host/status"): Operation("State, versions, uptime", _TAG_HOST, {200: "Object"}),
    ("POST", "/admin/host/restart"): Operation("Stop in order and start again", _TAG_HOST, {200: None}),
    ("POST", "/admin/host/drain"): Operation("Begin nothing new", _TAG_HOST, {202: None}),
    ("GET", "/admin/host/drain/status"): Operation("How far the drain is", _TAG_HOST, {200: "Object"}),
    ("GET", "/admin/host/{kind}"): Operation(
        "Keys of the host", _TAG_HOST, {200: "Keys", 404: None}, path={"kind": _HOST_KEY["kind"]}
    ),
    ("GET", "/admin/host/{kind}/{key}"): Operation(
        "A key of the host", _TAG_HOST, {200: "Key", 404: None}, path=_HOST_KEY
    ),
    ("POST", "/admin/host/{kind}/{key}"): Operation(
        "Give a key of the host a new random value", _TAG_HOST, _KEY_SET, path=_HOST_KEY
    ),
    ("PUT", "/admin/host/{kind}/{key}"): Operation(
        "Give a key of the host this value", _TAG_HOST, _KEY_SET, body=_KEY_BODY, path=_HOST_KEY
    ),
    ("DELETE", "/admin/host/{kind}/{key}"): Operation(
        "Delete a key of the host", _TAG_HOST, {204: None, 400: "Error", 404: None}, path=_HOST_KEY
    ),
    ("GET", "/admin/functions"): Operation("All functions", _TAG_FUNCTIONS, {200: "Objects"}),
    ("GET", "/admin/functions/{name}"): Operation("A function", _TAG_FUNCTIONS, {200: "Object", 404: None}),
    ("POST", "/admin/functions/{name}"): Operation(
        "Run a function now", _TAG_FUNCTIONS,
        {202: None, 400: "Error", 404: None, 413: "Error", 415: "Error"}, body=_RUN_BODY, names=NamedThings.RUNNABLE,
    ),
    ("GET", "/admin/functions/{name}/status"): Operation(
        "Why a function could not be loaded", _TAG_FUNCTIONS, {200: "Object", 404: None}
    ),
    ("GET", "/admin/functions/{name}/keys"): Operation(
        "Keys of a function", _TAG_FUNCTIONS, {200: "Keys", 404: None}
    ),
    ("GET", "/admin/functions/{name}/keys/{key}"): Operation(
        "A key of a function", _TAG_FUNCTIONS, {200: "Key", 404: None}, path=_FUNCTION_KEY
    ),
    ("POST", "/admin/functions/{name}/keys/{key}"): Operation(
        "Give a key of a function a new random value", _TAG_FUNCTIONS, _KEY_SET, path=_FUNCTION_KEY
    ),
    ("PUT", "/admin/functions/{name}/keys/{key}"): Operation(
        "Give a key of a function this value", _TAG_FUNCTIONS, _KEY_SET, body=_KEY_BODY, path=_FUNCTION_KEY
    ),
    ("DELETE", "/admin/functions/{name}/keys/{key}"): Operation(
        "Delete a key of a function", _TAG_FUNCTIONS, {204: None, 404: None}, path=_FUNCTION_KEY
    ),
    ("GET", "/admin/perdure/instances"): Operation(
        "One page of whole records", _TAG_COMMANDS, {200: "Objects", 400: "Error", **_LATER},
        (*_CREATED, "instanceIdPrefix", "top"), is_paged=True,
    ),
    ("GET", "/admin/perdure/instances/{id}"): Operation(
        "The whole record of an instance", _TAG_COMMANDS, {200: "Object", **_READ}
    ),
    ("GET", "/admin/perdure/instances/{id}/history"): Operation(
        "The events of an instance as they are kept", _TAG_COMMANDS, {200: "Objects", 500: "Error", **_READ}
    ),
    ("GET", "/admin/perdure/verify"): Operation(
        "Read the whole store and name what is wrong", _TAG_COMMANDS, {200: "Objects", **_LATER}, ("liveness",)
    ),
    ("GET", "/admin/perdure/backup"): Operation(
        "A consistent copy of the store", _TAG_COMMANDS, {200: "File", 409: "Error", **_LATER}
    ),
    **{
        ("GET", f"{place}/metrics"): Operation(
            "Figures of the hub, for Prometheus", tag, {200: "Metrics", 404: "Error"}, ("taskHub",)
        )
        for place, tag in _PLACES
    },
    **{
        ("GET", f"{place}/metrics.json"): Operation(
            "How much work there is, for scalers", tag, {200: "Load", 400: "Error", 404: "Error"},
            ("taskHub", "kind", "name"),
        )
        for place, tag in _PLACES
    },
}  # fmt: skip
"""Method and route template, as in ``access.LEVELS`` → what it does."""
