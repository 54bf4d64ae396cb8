"""Values passed to functions: what triggered them, durable clients, the context, outputs (functions-host.md §9)."""

import json
import logging
from dataclasses import replace
from typing import Any

import azure.functions as func

from perdure.formats.http_json import LinkTerms, client_binding
from perdure.functions.descriptions import RETURN_BINDING, UserFunction
from perdure.functions.invocations import Invocation, InvocationContext, Retries, TraceContext, running_trace
from perdure.functions.signatures import CONTEXT

_log = logging.getLogger("perdure.functions.bindings")


class MissingBinding(Exception):
    """The function needs a binding that this host has not."""


class ClientTexts:
    """The texts of durable client bindings: links of this host, and the token of the client in this process."""

    def __init__(self, terms: LinkTerms, token: str, rpc_base_url: str | None = None) -> None:
        self._task_hub = terms.task_hub
        self._terms = terms
        self._token = token
        self._rpc_base_url = rpc_base_url
        self._text = json.dumps(client_binding(terms, token, rpc_base_url))

    def use_code(self, code: str | None) -> None:
        """From now on links carry this key."""
        self._terms = replace(self._terms, code=code)
        self._text = json.dumps(client_binding(self._terms, self._token, self._rpc_base_url))

    def text(self, task_hub: str | None) -> str:
        """The text for a binding. Raises MissingBinding when it names another hub."""
        if task_hub is not None and task_hub.lower() != self._task_hub.lower():
            raise MissingBinding(
                f"The durable client is for task hub '{task_hub}'; this host serves '{self._task_hub}' only."
            )
        return self._text


class OutputHolder(func.Out[Any]):
    """A ``func.Out`` parameter."""

    def __init__(self) -> None:
        self.value: Any = None

    def set(self, val: Any) -> None:
        self.value = val

    def get(self) -> Any:
        return self.value


def build_arguments(
    call: UserFunction,
    value: Any,
    clients: ClientTexts,
    invocation: Invocation,
    trace: TraceContext | None = None,
    retries: Retries | None = None,
) -> dict[str, Any]:
    """All keyword arguments of a call. Raises MissingBinding, naming it, rather than passing None for it."""
    if call.missing:
        raise MissingBinding(
            f"Function '{call.name}' needs what does not exist here: {', '.join(call.missing)}. It was not called. "
            "Call the service's own client from an activity instead"
            + ("; PERDURE_OUTPUT_BINDINGS=log runs it and logs each output." if call.outputs else ".")
        )
    arguments: dict[str, Any] = {call.argument: value}
    for client in call.clients:
        arguments[client.name] = clients.text(client.task_hub)
    for output in call.outputs:
        if output.name != RETURN_BINDING:
            arguments[output.name] = OutputHolder()
    if call.wants_context:
        arguments[CONTEXT] = InvocationContext(invocation, call.directory, trace or running_trace.get(), retries)
    return arguments


def log_outputs(call: UserFunction, arguments: dict[str, Any], returned: Any) -> None:
    """Say what would have gone to outputs that do not exist here."""
    for output in call.outputs:
        value = returned if output.name == RETURN_BINDING else arguments[output.name].value
        if value is not None:
            text = "Function '%s' set its %s output '%s', which is only logged: %r"
            _log.warning(text, call.name, output.type, output.name, value)
