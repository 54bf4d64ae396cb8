"""As the samples of the hosted scheduler: ``python scheduler_sample.py ADDRESS HUB TOKENS``; prints what was seen.

TOKENS is a JSON object: of the ``worker``, the ``client`` and others that are tried; empty where none is asked for.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
from azure.core.credentials import AccessToken

from durabletask import task
from durabletask.azuremanaged.client import DurableTaskSchedulerClient
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker


class StaticCredential:
    """Always the same token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)


def hello(ctx: task.ActivityContext, name: str) -> str:
    return f"Hello {name}!"


def hello_cities(ctx: task.OrchestrationContext, _: Any) -> Any:
    greetings = []
    for name in ("Tokyo", "Seattle", "London"):
        greetings.append((yield ctx.call_activity(hello, input=name)))
    return greetings


def code_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name  # type: ignore[attr-defined]
    return "OK"


address, hub, text = sys.argv[1:4]
tokens: dict[str, str] = json.loads(text)
is_secure = address.startswith("https://")


def place(who: str) -> dict[str, Any]:
    token = tokens.get(who)
    credential = None if token is None else StaticCredential(token)
    return {"host_address": address, "taskhub": hub, "token_credential": credential, "secure_channel": is_secure}


with DurableTaskSchedulerWorker(**place("worker")) as worker:
    worker.add_orchestrator(hello_cities)
    worker.add_activity(hello)
    worker.start()
    client = DurableTaskSchedulerClient(**place("client"))
    instance_id = client.schedule_new_orchestration(hello_cities)
    state = client.wait_for_orchestration_completion(instance_id, timeout=30)
    assert state is not None
    seen: dict[str, Any] = {"output": state.get_output()}
    for who in tokens:
        other = DurableTaskSchedulerClient(**place(who))
        seen[who] = [
            code_of(lambda: other.get_orchestration_state(instance_id)),  # noqa: B023 - called at once
            code_of(lambda: other.terminate_orchestration(instance_id)),  # noqa: B023
            code_of(lambda: other.schedule_new_orchestration(hello_cities)),  # noqa: B023
        ]
print(json.dumps(seen), flush=True)
