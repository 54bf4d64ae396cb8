"""A client that is told what to do: a JSON list in each line of its input, a JSON answer for each.

What is asked while the server is away is asked again until it is back.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from stage import SECONDS_MAX, Stage

from durabletask.entities import EntityInstanceId

AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
stage = Stage(sys.argv[1], sys.argv[2])


def patiently(call: Callable[[], Any]) -> Any:
    end = time.monotonic() + 2 * SECONDS_MAX
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() not in AWAY or time.monotonic() > end:  # type: ignore[attr-defined]
                raise
            time.sleep(0.05)


def start(instance_id: str, name: str, input: Any = None) -> str:
    try:
        return stage.start(name, input, instance_id=instance_id)
    except grpc.RpcError as error:
        # Asked before, and the answer was lost.
        if error.code() is grpc.StatusCode.ALREADY_EXISTS:  # type: ignore[attr-defined]
            return instance_id
        raise


def start_later(instance_id: str, name: str, seconds: float) -> str:
    return stage.start(name, None, instance_id=instance_id, start_at=_in(seconds))


def signal_later(key: str, n: int, seconds: float) -> None:
    stage.client.signal_entity(EntityInstanceId("tally", key), "add", n, signal_time=_in(seconds))


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def status(instance_id: str) -> Any:
    state = stage.client.get_orchestration_state(instance_id)
    return None if state is None else [state.runtime_status.name, state.get_custom_status()]


def entity(name: str, key: str) -> Any:
    found = stage.client.get_entity(EntityInstanceId(name, key))
    return None if found is None else found.get_state(int)


def kinds(instance_id: str) -> list[str]:
    return [type(event).__name__ for event in stage.client.get_orchestration_history(instance_id)]


CALLS: dict[str, Callable[..., Any]] = {
    "start": start,
    "start later": start_later,
    "signal later": signal_later,
    "status": status,
    "output": stage.output,
    "entity": entity,
    "kinds": kinds,
    "event": lambda instance_id, data: stage.client.raise_orchestration_event(instance_id, "go", data=data),
    "suspend": stage.client.suspend_orchestration,
    "resume": stage.client.resume_orchestration,
    "terminate": stage.client.terminate_orchestration,
    "signal": lambda key, n: stage.client.signal_entity(EntityInstanceId("tally", key), "add", n),
}
for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        answer = {"answer": patiently(lambda: CALLS[name](*arguments))}  # noqa: B023 - called at once
    except grpc.RpcError as error:
        answer = {"code": error.code().name, "text": error.details()}  # type: ignore[attr-defined]
    print(json.dumps(answer), flush=True)
