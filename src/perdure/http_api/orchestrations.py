"""Orchestrations over HTTP: start, status, list, control, purge (http-api.md §6.1 to 6.10)."""

from perdure.client import (
    InstanceFilter,
    InstanceKind,
    InstanceNotFound,
    InstanceRecord,
    InvalidInput,
    PageKey,
    RuntimeStatus,
    TaskHubClient,
)
from perdure.core.status import TERMINAL
from perdure.formats.http_json import (
    InvalidQuery,
    history_rows,
    long_error_body,
    purge_body,
    raw_value,
    read_token,
    status_body,
    write_token,
)
from perdure.http_api.answers import ACCEPTED, NOT_FOUND, Answer, BodyRefused, json_answer
from perdure.http_api.links import check_status_answer, origin_of
from perdure.http_api.options import ManagementOptions
from perdure.http_api.requests import Request

CONTINUATION = "x-ms-continuation-token"
POLL_AGAIN_SECONDS = "5"
_NO_INSTANCE = "There is no instance with this id."


async def start(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Start, and with ``timeout`` wait for the end."""
    timeout = _wait_seconds(request)
    instance_id = await client.start(
        request.parameters["name"],
        instance_id=request.parameters.get("id"),
        input=await request.optional_json_text(),
        version=request.query.text("version"),
    )
    return await _started_answer(request, client, options, instance_id, timeout)


async def _started_answer(
    request: Request, client: TaskHubClient, options: ManagementOptions, instance_id: str, seconds: float | None
) -> Answer:
    if seconds is not None:
        record = await request.unless_gone(client.wait_for_completion(instance_id, seconds))
        if record is not None:
            return await _ended_answer(request, client, options, record)
    return check_status_answer(request, options, instance_id, failure_as_500=_failure_as_500(request))


def _wait_seconds(request: Request) -> float | None:
    timeout, interval = request.query.seconds("timeout"), request.query.seconds("pollingInterval")
    if timeout is not None and interval is not None and interval > timeout:
        raise InvalidInput(f"pollingInterval ({interval:g} s) is longer than timeout ({timeout:g} s).")
    return timeout


async def _ended_answer(
    request: Request, client: TaskHubClient, options: ManagementOptions, record: InstanceRecord
) -> Answer:
    if record.progress.status is RuntimeStatus.Completed:
        return json_answer(200, raw_value(record.progress.output))
    return await _status_answer(request, client, options, record)


async def status(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """The status object of one instance; with ``showHistory`` its history."""
    record = await client.get(request.parameters["id"])
    return NOT_FOUND if record is None else await _status_answer(request, client, options, record)


async def _status_answer(
    request: Request, client: TaskHubClient, options: ManagementOptions, record: InstanceRecord
) -> Answer:
    query = request.query
    show_input = query.flag("showInput", True)
    history = None
    if query.flag("showHistory", False) and record.origin.kind is InstanceKind.ORCHESTRATION:
        events = await client.history(record.origin.instance_id)
        # An instance that has not begun has no history to show, not even an empty one.
        if events:
            history = history_rows(events, show_input, query.flag("showHistoryOutput", False), raw_value)
    state = record.progress.status
    waiting = None
    if query.flag("showWaitingOn", False) and not state.is_terminal:
        waiting = await client.waiting_on(record)
    body = status_body(record, show_input=show_input, history=history, waiting=waiting)
    if state.is_terminal:
        failed = state is RuntimeStatus.Failed and _failure_as_500(request)
        return json_answer(500 if failed else 200, body)
    location = request.url(origin_of(request, options))
    return json_answer(202, body, (("location", location), ("retry-after", POLL_AGAIN_SECONDS)))


def _failure_as_500(request: Request) -> bool:
    return request.query.flag("returnInternalServerErrorOnFailure", False)


async def list_instances(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """One page of status objects; the token of the next page is in a header, empty on the last."""
    query = request.query
    prefix = query.text("instanceIdPrefix")
    of_entities = prefix is not None and prefix.startswith("@")
    filter_ = InstanceFilter(
        kind=InstanceKind.ENTITY if of_entities else InstanceKind.ORCHESTRATION,
        created_from=query.time("createdTimeFrom"),
        created_to=query.time("createdTimeTo"),
        statuses=query.statuses("runtimeStatus"),
        id_prefix=prefix,
    )
    page = await client.query(filter_, query.page_size("top"), page_start(request))
    show_input = query.flag("showInput", True)
    rows = [status_body(record, show_input=show_input) for record in page.records]
    return json_answer(200, rows, ((CONTINUATION, write_token(page.next_key)),))


def page_start(request: Request) -> PageKey | None:
    """Where the page begins that the request's continuation token asks for. Raises InvalidQuery."""
    token = request.header(CONTINUATION.encode())
    if not token:
        return None
    try:
        return read_token(token)
    except ValueError:
        raise InvalidQuery(CONTINUATION, "header holds a token that this API did not give.") from None


async def raise_event(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Raise an event with any JSON value."""
    instance_id = request.parameters["id"]
    await client.require_unfinished(instance_id)
    if not request.is_json():
        raise BodyRefused(400, "Events are raised with the content type application/json.")
    await client.raise_event(instance_id, request.parameters["event"], await request.json_text())
    return ACCEPTED


async def terminate(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """End an instance; with ``recursive`` its children too."""
    recursive = request.query.flag("recursive", False)
    await client.terminate(request.parameters["id"], request.query.text("reason"), recursive)
    return ACCEPTED


async def suspend(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Hold an instance back."""
    await client.suspend(request.parameters["id"], request.query.text("reason"))
    return ACCEPTED


async def resume(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Let an instance go on."""
    await client.resume(request.parameters["id"], request.query.text("reason"))
    return ACCEPTED


async def rewind(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Let a failed instance go on from before its failure."""
    await client.rewind(request.parameters["id"], request.query.text("reason"))
    return ACCEPTED


async def restart(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Start an instance once more, under a new id or its own; with ``timeout`` wait for the end."""
    timeout = _wait_seconds(request)
    instance_id = request.parameters["id"]
    new_id = None if request.query.flag("restartWithNewInstanceId", True) else instance_id
    await request.body()
    try:
        started = await client.restart(instance_id, new_instance_id=new_id)
    except InstanceNotFound as error:
        text = f"There is no instance with the id '{instance_id}' that could be started again."
        return json_answer(400, long_error_body(_NO_INSTANCE, text, type(error).__name__))
    return await _started_answer(request, client, options, started, timeout)


async def make_primary(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Nothing: whoever answers here runs the hub."""
    return Answer(200)


async def purge(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Remove one finished instance, with ``recursive`` its descendants; with ``force`` they are ended first."""
    remove = client.terminate_and_purge if request.query.flag("force", False) else client.purge
    count = await remove(request.parameters["id"], request.query.flag("recursive", False))
    return json_answer(200, purge_body(count))


async def purge_many(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Remove the finished instances that match; the lower bound must be given."""
    query = request.query
    created_from = query.time("createdTimeFrom")
    if created_from is None:
        return json_answer(400, "The query parameter 'createdTimeFrom' must be given.")
    filter_ = InstanceFilter(
        created_from=created_from,
        created_to=query.time("createdTimeTo"),
        statuses=query.statuses("runtimeStatus", TERMINAL),
    )
    count = await client.purge_matching(filter_, query.flag("recursive", False))
    return json_answer(200, purge_body(count)) if count else NOT_FOUND
