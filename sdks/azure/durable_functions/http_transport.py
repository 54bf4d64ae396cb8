"""The hub of a host in another process, asked over HTTP (functions-sdk.md §10, http-api.md §7)."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from azure.durable_functions.bindings import DurableOrchestrationBindings
from azure.durable_functions.constants import DATETIME_STRING_FORMAT
from azure.durable_functions.entity_id import EntityId, address_of
from azure.durable_functions.status import (
    DurableOrchestrationStatus,
    EntityStateResponse,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
)
from azure.durable_functions.transport import HERE, Place, Shown, StatusFilter
from azure.durable_functions.web_requests import JsonText, active_trace
from perdure.client import (
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InstanceRunning,
    InvalidIdentifier,
    InvalidInput,
    NotRegistered,
    Overloaded,
    PayloadTooLarge,
    StoreFull,
    Unavailable,
)

T = TypeVar("T")

_UNRESERVED = "/:,@"
"""What stands in queries as it is, besides letters and digits."""

_ENDED = frozenset(
    {
        OrchestrationRuntimeStatus.Completed,
        OrchestrationRuntimeStatus.Failed,
        OrchestrationRuntimeStatus.Canceled,
        OrchestrationRuntimeStatus.Terminated,
    }
)
_REFUSALS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        InstanceExists,
        InstanceNotFailed,
        InstanceNotFound,
        InstanceRunning,
        InvalidIdentifier,
        InvalidInput,
        NotRegistered,
        Overloaded,
        PayloadTooLarge,
        StoreFull,
        Unavailable,
    )
}
"""A host of ours names the error; it is raised as in the host's own process."""


class UnexpectedAnswer(Exception):
    """The host answered with a status that this request does not have."""


class Sender(Protocol):
    """Sends the requests: the client itself, so that tests can put their own functions in its place."""

    _post_async_request: Callable[..., Awaitable[Any]]
    _get_async_request: Callable[..., Awaitable[Any]]
    _delete_async_request: Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Base:
    """Where a host listens. ``wraps_payloads``: payloads are sent as texts that hold JSON, as official hosts expect."""

    url: str
    key_query: str
    wraps_payloads: bool


def base_of(bindings: DurableOrchestrationBindings) -> _Base | None:
    """Where to ask the host that the binding is from; None when it does not say.

    A host of ours is asked at its public address, an official one at the one it keeps for clients.
    """
    public: str | None = bindings.client_data.get("baseUrl")
    rpc = bindings.rpc_base_url
    if rpc and not (bindings.client_token and public):
        return _Base(rpc if rpc.endswith("/") else f"{rpc}/", "", wraps_payloads=True)
    if not public:
        return None
    key = bindings.client_data.get("requiredQueryStringParameters") or ""
    return _Base(f"{public.rstrip('/')}/", key, wraps_payloads=False)


class HttpTransport:
    """A ``Transport`` over HTTP."""

    def __init__(self, sender: Sender, base: _Base, invocation_id: str | None) -> None:
        self._sender = sender
        self._base = base
        self._invocation_id = invocation_id

    def blocking(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return _in_a_loop_of_its_own(call)

    async def start(self, name: str, *, instance_id: str | None, input: str | None, version: str | None) -> str:
        path = f"orchestrators/{_segment(name)}"
        if instance_id:
            path += f"/{_segment(instance_id)}"
        status, body = await self._post(path, {"version": version}, data=self._payload(input), traced=True)
        if status <= 202 and body:
            return str(body["id"])
        raise _refusal(status, body, _text_of(body))

    async def status(self, instance_id: str, shown: Shown) -> DurableOrchestrationStatus:
        # Python-cased, as official clients write them.
        query = {
            "showInput": "True" if shown.input else None,
            "showHistory": "True" if shown.history else None,
            "showHistoryOutput": "True" if shown.history_outputs else None,
        }
        status, body = await self._get(f"instances/{_segment(instance_id)}", query)
        if status not in (200, 202, 400, 404, 500):
            raise _refusal(status, body)
        return DurableOrchestrationStatus.from_json(body or "")

    async def statuses(self, filter_: StatusFilter) -> list[DurableOrchestrationStatus]:
        url = self._url("instances/", _filter_query(filter_))
        found: list[DurableOrchestrationStatus] = []
        answer = await self._sender._get_async_request(url)
        while True:
            status, body = answer
            if status != 200:
                raise _refusal(status, body)
            found += [DurableOrchestrationStatus.from_json(row) for row in body]
            continuation = getattr(answer, "continuation", None)
            if not continuation:
                return found
            answer = await self._sender._get_async_request(url, continuation)

    async def ended(
        self, instance_id: str, *, limit: timedelta, interval: timedelta
    ) -> DurableOrchestrationStatus | None:
        clock = asyncio.get_running_loop()
        end = clock.time() + limit.total_seconds()
        while True:
            status = await self.status(instance_id, Shown())
            if status.runtime_status in _ENDED:
                return status
            remaining = end - clock.time()
            if remaining <= 0:
                return None
            await asyncio.sleep(min(interval.total_seconds(), remaining))

    async def raise_event(self, instance_id: str, name: str, *, input: str | None, place: Place) -> None:
        # Not wrapped for any host: the orchestrator gets the value that was raised.
        data = JsonText("null" if input is None else input)
        status, body = await self._post(
            f"instances/{_segment(instance_id)}/raiseEvent/{_segment(name)}", _place_query(place), data=data
        )
        if status == 404:
            raise _not_found(instance_id)
        if status == 410:
            raise InstanceFinished(f"The instance '{instance_id}' has ended and takes no more events.")
        if status != 202:
            raise _refusal(status, body)

    async def terminate(self, instance_id: str, reason: str, recursive: bool) -> None:
        await self._steer(instance_id, "terminate", {"reason": reason, "recursive": "true" if recursive else None})

    async def suspend(self, instance_id: str, reason: str) -> None:
        await self._steer(instance_id, "suspend", {"reason": reason})

    async def resume(self, instance_id: str, reason: str) -> None:
        await self._steer(instance_id, "resume", {"reason": reason})

    async def rewind(self, instance_id: str, reason: str, place: Place) -> None:
        query = {"reason": reason, **_place_query(place)}
        status, body = await self._post(f"instances/{_segment(instance_id)}/rewind", query)
        if status == 404:
            raise _not_found(instance_id)
        if status == 410:
            raise InstanceFinished("The rewind operation is only supported on failed orchestration instances.")
        if status not in (200, 202):
            raise _refusal(status, body)

    async def restart(self, instance_id: str, with_new_id: bool) -> str:
        query = {"restartWithNewInstanceId": "true" if with_new_id else "false"}
        status, body = await self._post(f"instances/{_segment(instance_id)}/restart", query)
        if status in (202, 410):
            if isinstance(body, dict):
                return str(body.get("id") or instance_id)
            return str(body) if body else instance_id
        if status == 404:
            raise _not_found(instance_id)
        raise _refusal(status, body)

    async def purge(self, instance_id: str) -> int:
        return await self._purge(f"instances/{_segment(instance_id)}", {})

    async def purge_matching(self, filter_: StatusFilter) -> int:
        return await self._purge("instances/", _filter_query(filter_))

    async def signal_entity(self, entity_id: EntityId, operation: str, *, input: str | None, place: Place) -> None:
        query = {**_place_query(place), "op": operation}
        status, body = await self._post(_entity_path(entity_id), query, data=self._payload(input), traced=True)
        if status != 202:
            raise _refusal(status, body)

    async def read_entity(self, entity_id: EntityId, place: Place) -> EntityStateResponse:
        status, body = await self._get(_entity_path(entity_id), _place_query(place))
        if status == 404:
            return EntityStateResponse(False)
        if status != 200:
            raise _refusal(status, body)
        return EntityStateResponse(True, body)

    def _payload(self, text: str | None) -> str | None:
        if text is None:
            return None
        return text if self._base.wraps_payloads else JsonText(text)

    async def _steer(self, instance_id: str, verb: str, query: Mapping[str, str | None]) -> None:
        status, body = await self._post(f"instances/{_segment(instance_id)}/{verb}", query)
        if status == 404:
            raise _not_found(instance_id)
        if status not in (202, 410):
            raise _refusal(status, body)

    async def _purge(self, path: str, query: Mapping[str, str | None]) -> int:
        status, body = await self._sender._delete_async_request(self._url(path, query))
        if status == 404:
            return 0
        if status == 409:
            raise InstanceRunning(_text_of(body))
        if status != 200:
            raise _refusal(status, body)
        return PurgeHistoryResult.from_json(body).instances_deleted

    async def _get(self, path: str, query: Mapping[str, str | None]) -> Any:
        return await self._sender._get_async_request(self._url(path, query))

    async def _post(self, path: str, query: Mapping[str, str | None], *, data: Any = None, traced: bool = False) -> Any:
        trace_parent, trace_state = active_trace() if traced else (None, None)
        return await self._sender._post_async_request(
            self._url(path, query), data, trace_parent, trace_state, self._invocation_id
        )

    def _url(self, path: str, query: Mapping[str, str | None]) -> str:
        given = [f"{name}={quote(value, safe=_UNRESERVED)}" for name, value in query.items() if value]
        if self._base.key_query:
            given.append(self._base.key_query)
        return f"{self._base.url}{path}{'?' if given else ''}{'&'.join(given)}"


def _segment(text: str) -> str:
    return quote(text, safe="@:")


def _entity_path(entity_id: EntityId) -> str:
    address_of(entity_id)
    return f"entities/{_segment(entity_id.name)}/{_segment(str(entity_id.key))}"


def _place_query(place: Place) -> dict[str, str | None]:
    return {"taskHub": place.task_hub, "connection": place.connection} if place != HERE else {}


def _filter_query(filter_: StatusFilter) -> dict[str, str | None]:
    return {
        "createdTimeFrom": _written(filter_.created_from),
        "createdTimeTo": _written(filter_.created_to),
        "instanceIdPrefix": filter_.id_prefix,
        "runtimeStatus": ",".join(status.name for status in filter_.statuses),
    }


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime(DATETIME_STRING_FORMAT)


def _not_found(instance_id: str) -> InstanceNotFound:
    return InstanceNotFound(f"There is no orchestration instance with the id '{instance_id}'.")


def _refusal(status: int, body: Any, message: str = "") -> Exception:
    """The error that the answer names; else one with this message, or with the status and what the answer says."""
    text = _text_of(body)
    kind = _REFUSALS.get(str(body.get("ExceptionType"))) if isinstance(body, dict) else None
    if kind is not None:
        return kind(text)
    unexpected = f"The operation failed with an unexpected status code {status}"
    return UnexpectedAnswer(message or (f"{unexpected}: {text}" if text else f"{unexpected}."))


def _text_of(body: Any) -> str:
    if isinstance(body, dict):
        return str(body.get("ExceptionMessage") or body.get("Message") or json.dumps(body))
    return "" if body is None else str(body)


def _in_a_loop_of_its_own(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(call())
    # This thread runs a loop, which must not run another one: a thread that does not.
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(call()))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="durable-client")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
