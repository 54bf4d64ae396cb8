"""Entities over HTTP: signal, read, list, clean (http-api.md §6.11 to 6.13)."""

import json

from perdure.client import InstanceFilter, InstanceKind, InvalidInput, TaskHubClient, entity_id_of
from perdure.formats.http_json import cleaned_body, entity_row, raw_value, write_token
from perdure.http_api.answers import ACCEPTED, NOT_FOUND, Answer, json_answer
from perdure.http_api.options import ManagementOptions
from perdure.http_api.orchestrations import CONTINUATION, page_start
from perdure.http_api.requests import Request

EMPTY_KEY = "$"


async def signal(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Ask for the operation named by ``op``."""
    return await _signal(request, client, request.query.text("op") or "")


async def delete(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Ask for the operation ``delete``."""
    return await _signal(request, client, "delete")


async def _signal(request: Request, client: TaskHubClient, operation: str) -> Answer:
    entity = entity_id_of(request.parameters["name"], request.parameters.get("key", ""))
    await client.signal_entity(entity, operation, await _operation_input(request))
    return ACCEPTED


async def _operation_input(request: Request) -> str | None:
    if request.is_json():
        return await request.optional_json_text()
    body = await request.body()
    if not body:
        return None
    try:
        return json.dumps(body.decode())
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The request body is not UTF-8 (at byte {error.start}).") from None


async def read(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """The state as the whole body."""
    key = request.parameters["key"]
    state = await client.read_entity(entity_id_of(request.parameters["name"], "" if key == EMPTY_KEY else key))
    return NOT_FOUND if state is None else json_answer(200, raw_value(state))


async def list_entities(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """One page of the entities that exist, of one name when the path has it."""
    query = request.query
    name = request.parameters.get("name")
    filter_ = InstanceFilter(
        kind=InstanceKind.ENTITY,
        updated_from=query.time("lastOperationTimeFrom"),
        updated_to=query.time("lastOperationTimeTo"),
        name=None if name is None else name.lower(),
        existing_entities_only=True,
    )
    page = await client.query(filter_, query.page_size("top"), page_start(request))
    fetch_state = query.flag("fetchState", False)
    rows = [entity_row(record, fetch_state) for record in page.records]
    return json_answer(200, rows, ((CONTINUATION, write_token(page.next_key)),))


async def clean(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    """Forget what holds nothing, and release locks whose orchestration does not run any more."""
    cleaned = await client.clean_entity_storage(
        remove_empty_entities=request.query.flag("removeEmptyEntities", True),
        release_orphaned_locks=request.query.flag("releaseOrphanedLocks", True),
    )
    return json_answer(200, cleaned_body(cleaned.empty_entities_removed, cleaned.orphaned_locks_released))
