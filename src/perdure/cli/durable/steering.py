"""`raise-event`, `terminate`, `suspend`, `resume`, `rewind`, `restart`."""

from typing import Any

import click

from perdure.cli.asking import asked, management, state_required
from perdure.cli.doors import HubDoor, Query
from perdure.cli.durable.options import FINISHED, instance_option, json_option, reason_option, until
from perdure.cli.exit_codes import FAILURE
from perdure.cli.grammar import ForgivingCommand
from perdure.cli.inputs import payload_text
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, hub_options, reached

TERMINATE_SECONDS_MAX = 30.0
REWIND_SECONDS_MAX = 3.0
_LATER = "No host is running: it takes effect when one is started."


@click.command("raise-event", cls=ForgivingCommand)
@instance_option
@click.option("--event-name", required=True, help="The event's name.")
@click.option("--event-data", help="JSON, plain text, or @file with JSON.  [default: null]")
@json_option
@hub_options
def raise_event(reach: HubOptions, instance_id: str, event_name: str, event_data: str | None, as_json: bool) -> None:
    """Raise an event for an orchestration.

    Example: perdure durable raise-event --id order-1001 --event-name approval --event-data true
    """
    body = payload_text(event_data, "--event-data") or "null"
    with reached(reach) as door:
        path = management("instances", instance_id, "raiseevent", event_name)
        asked(door, "POST", path, query={"taskHub": reach.hub}, body=body, about=instance_id)
    if as_json:
        print_json({"instanceId": instance_id, "eventName": event_name})
    else:
        click.echo(f"Raised event '{event_name}' for '{instance_id}'")


@click.command("terminate", cls=ForgivingCommand)
@instance_option
@reason_option
@click.option("--recursive", is_flag=True, help="End its sub-orchestrations too.")
@json_option
@hub_options
def terminate(reach: HubOptions, instance_id: str, reason: str | None, recursive: bool, as_json: bool) -> None:
    """End an orchestration.

    Waits until it has ended.

    Example: perdure durable terminate --id order-1001 --reason "ordered twice"
    """
    with reached(reach) as door:
        _control(door, instance_id, "terminate", reach, reason=reason, recursive="true" if recursive else None)
        state = _state_after(door, instance_id, FINISHED, TERMINATE_SECONDS_MAX)
        if door.host_url is not None and state["OrchestrationStatus"] not in FINISHED:
            fail(f"'{instance_id}' has not ended in {TERMINATE_SECONDS_MAX:.0f} s; it will, when its turn is over.", 1)
        _report(door, f"Terminated '{instance_id}'", state, as_json)


@click.command("suspend", cls=ForgivingCommand)
@instance_option
@reason_option
@json_option
@hub_options
def suspend(reach: HubOptions, instance_id: str, reason: str | None, as_json: bool) -> None:
    """Hold an orchestration back; its messages wait.

    Example: perdure durable suspend --id order-1001 --reason "under review"
    """
    with reached(reach) as door:
        _control(door, instance_id, "suspend", reach, reason=reason)
        _report(door, f"Suspend sent to '{instance_id}'", state_required(door, instance_id), as_json)


@click.command("resume", cls=ForgivingCommand)
@instance_option
@reason_option
@json_option
@hub_options
def resume(reach: HubOptions, instance_id: str, reason: str | None, as_json: bool) -> None:
    """Let a suspended orchestration go on.

    Example: perdure durable resume --id order-1001
    """
    with reached(reach) as door:
        _control(door, instance_id, "resume", reach, reason=reason)
        _report(door, f"Resume sent to '{instance_id}'", state_required(door, instance_id), as_json)


@click.command("rewind", cls=ForgivingCommand)
@instance_option
@reason_option
@json_option
@hub_options
def rewind(reach: HubOptions, instance_id: str, reason: str | None, as_json: bool) -> None:
    """Run on from where an orchestration failed.

    Example: perdure durable rewind --id order-0999 --reason "the warehouse is back"
    """
    with reached(reach) as door:
        before = state_required(door, instance_id)
        status = before["OrchestrationStatus"]
        if status != "Failed":
            fail(
                f"'{instance_id}' is {status}; only a Failed orchestration, one with a failed activity or "
                "sub-orchestration, can be rewound.",
                FAILURE,
            )
        _control(door, instance_id, "rewind", reach, reason=reason)
        if not as_json:
            click.echo(f"Rewind sent to '{instance_id}'; reading the new status…")
        after = before
        if door.host_url is not None:
            for _ in until(REWIND_SECONDS_MAX):
                after = state_required(door, instance_id)
                if after["LastUpdatedTime"] != before["LastUpdatedTime"]:
                    break
        if as_json:
            print_json({"instanceId": instance_id, "before": status, "after": after["OrchestrationStatus"]})
            return
        click.echo(f"Before: {status}\nAfter:  {after['OrchestrationStatus']}")
        if door.host_url is None:
            click.echo(_LATER)


@click.command("restart", cls=ForgivingCommand)
@instance_option
@click.option(
    "--new-id/--same-id", "new_id", default=True, help="Under a new instance id, or its own.  [default: a new one]"
)
@json_option
@hub_options
def restart(reach: HubOptions, instance_id: str, new_id: bool, as_json: bool) -> None:
    """Start an orchestration once more.

    With the input it had.

    Example: perdure durable restart --id order-1001 --new-id
    """
    with reached(reach) as door:
        query = {"restartWithNewInstanceId": "true" if new_id else "false", "taskHub": reach.hub}
        state_required(door, instance_id)
        path = management("instances", instance_id, "restart")
        started = asked(door, "POST", path, query=query, about=instance_id).value()["id"]
        if as_json:
            print_json({"instanceId": started, "restarted": instance_id})
        else:
            click.echo(f"Restarted '{instance_id}', instance id '{started}'")


def _control(door: HubDoor, instance_id: str, what: str, reach: HubOptions, **query: str | None) -> None:
    given: Query = {**query, "taskHub": reach.hub}
    asked(door, "POST", management("instances", instance_id, what), query=given, about=instance_id)


def _state_after(door: HubDoor, instance_id: str, wanted: tuple[str, ...], seconds: float) -> dict[str, Any]:
    state = state_required(door, instance_id)
    if door.host_url is not None:
        for _ in until(seconds):
            state = state_required(door, instance_id)
            if state["OrchestrationStatus"] in wanted:
                break
    return state


def _report(door: HubDoor, done: str, state: dict[str, Any], as_json: bool) -> None:
    if as_json:
        identity = state["OrchestrationInstance"]["InstanceId"]
        print_json({"instanceId": identity, "runtimeStatus": state["OrchestrationStatus"]})
        return
    click.echo(done)
    if door.host_url is None:
        click.echo(_LATER)
