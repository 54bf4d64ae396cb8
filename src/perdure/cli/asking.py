"""What commands ask of a door, and how refusals become messages and exit codes."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import quote

from perdure.cli.doors import HubDoor, Query, Reply
from perdure.cli.exit_codes import FAILURE, NOT_FOUND, STORE
from perdure.cli.output import fail

MANAGEMENT = "/runtime/webhooks/durabletask"
COMMANDS = "/admin/perdure"
CONTINUATION = "x-ms-continuation-token"
PAGE = 1000


def management(*segments: str) -> str:
    """A path of the public management API."""
    return "/".join((MANAGEMENT, *(quote(segment, safe="") for segment in segments)))


def commands(*segments: str) -> str:
    """A path of what only commands ask."""
    return "/".join((COMMANDS, *(quote(segment, safe="") for segment in segments)))


def asked(
    door: HubDoor, method: str, path: str, *, query: Query | None = None, body: str | None = None, about: str = ""
) -> Reply:
    """A reply that is no refusal; ``about`` is the instance or entity it is about."""
    reply = door.ask(method, path, query=query, body=None if body is None else body.encode())
    if reply.status >= 400:
        refuse(door, reply, about)
    return reply


def refuse(door: HubDoor, reply: Reply, about: str) -> NoReturn:
    """End the command as the reply says."""
    if reply.status == 404 and about:
        fail(f"There is no instance with the id '{about}'.", NOT_FOUND)
    if reply.status in (401, 403):
        fail(f"The host at {door.where} refuses without the right key; name it with --code.", FAILURE)
    if reply.status == 410:
        fail(f"The instance '{about}' has ended and takes no more messages.", FAILURE)
    said = _said(reply)
    if reply.status == 404:
        fail(said or f"The host at {door.where} does not know this request; is it perdure's?", FAILURE)
    if reply.status in (503, 507):
        fail(said or f"The host at {door.where} takes no requests now (HTTP {reply.status}).", STORE)
    fail(said or f"{door.where} refuses this (HTTP {reply.status}).", FAILURE)


def _said(reply: Reply) -> str:
    try:
        body: Any = json.loads(reply.body)
    except ValueError:
        return reply.body.decode("utf-8", "replace").strip()
    if isinstance(body, dict):
        return str(body.get("ExceptionMessage") or body.get("Message") or "")
    return str(body)


def state_of(door: HubDoor, instance_id: str) -> dict[str, Any] | None:
    """All that is kept of an instance; None when there is none."""
    reply = door.ask("GET", commands("instances", instance_id))
    if reply.status == 404:
        return None
    if reply.status >= 400:
        refuse(door, reply, instance_id)
    state: dict[str, Any] = reply.value()
    return state


def state_required(door: HubDoor, instance_id: str) -> dict[str, Any]:
    """All that is kept of an instance; ends the command with exit code 4 when there is none."""
    state = state_of(door, instance_id)
    if state is None:
        fail(f"There is no instance with the id '{instance_id}'.", NOT_FOUND)
    return state


def page_of(door: HubDoor, path: str, *, query: Query, token: str | None = None) -> tuple[list[dict[str, Any]], str]:
    """One page of a list, and the token of the next; an empty one on the last."""
    reply = door.ask("GET", path, query=query, headers={CONTINUATION: token} if token else None)
    if reply.status >= 400:
        refuse(door, reply, "")
    rows: list[dict[str, Any]] = reply.value()
    return rows, reply.headers.get(CONTINUATION, "")


def all_of(door: HubDoor, path: str, *, query: Query) -> Iterator[dict[str, Any]]:
    """Every row of a list, page by page."""
    token: str | None = None
    while token != "":
        rows, token = page_of(door, path, query={**query, "top": str(PAGE)}, token=token)
        yield from rows
