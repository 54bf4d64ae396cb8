"""`start-new` and `wait`."""

import json
from typing import Any

import click

from perdure.cli.asking import asked, management, state_required
from perdure.cli.doors import HubDoor
from perdure.cli.durable.options import FINISHED, instance_option, json_option, until
from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.grammar import ForgivingCommand
from perdure.cli.inputs import payload_text
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, hub_options, reached


@click.command("start-new", cls=ForgivingCommand)
@click.option("--function-name", required=True, help="The orchestrator to start.")
@click.option("--id", "instance_id", help="The instance id.  [default: a new one]")
@click.option("--input", "input_", help="JSON, plain text, or @file with JSON.  [default: null]")
@click.option("--input-string", help="Text that is passed as a string whatever it looks like.")
@click.option("--version", help="The version of the instance.  [default: that of host.json]")
@json_option
@hub_options
def start_new(
    reach: HubOptions,
    function_name: str,
    instance_id: str | None,
    input_: str | None,
    input_string: str | None,
    version: str | None,
    as_json: bool,
) -> None:
    """Start an orchestration.

    While no host runs, it waits in the store.

    Example: perdure durable start-new --function-name hello --id first --input @order.json
    """
    if input_ is not None and input_string is not None:
        fail("--input and --input-string are two ways to say one thing; give one.", USAGE)
    text = payload_text(input_, "--input") if input_string is None else json.dumps(input_string)
    with reached(reach, creates=True) as door:
        path = management("orchestrators", function_name, *([] if instance_id is None else [instance_id]))
        reply = asked(door, "POST", path, query={"version": version, "taskHub": reach.hub}, body=text)
        state = state_required(door, reply.value()["id"])
    name, started, created = state["Name"], state["OrchestrationInstance"]["InstanceId"], state["CreatedTime"]
    if as_json:
        print_json({"instanceId": started, "name": name, "createdTime": created})
    else:
        click.echo(f"Started '{name}' at {created[:10]} {created[11:19]}Z, instance id '{started}'")


@click.command("wait", cls=ForgivingCommand)
@instance_option
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait.  [default: until it ends]")
@json_option
@hub_options
def wait(reach: HubOptions, instance_id: str, timeout: float | None, as_json: bool) -> None:
    """Wait for the end of an orchestration.

    Ends with 0 when it has completed, with 1 when it ended otherwise or the time is over.

    Example: perdure durable wait --id order-1001 --timeout 60
    """
    with reached(reach) as door:
        state = _ended(door, instance_id, timeout)
    status = state["OrchestrationStatus"]
    if as_json:
        print_json(state)
    else:
        click.echo(f"'{instance_id}' has ended: {status}")
    if status != "Completed":
        raise SystemExit(FAILURE)


def _ended(door: HubDoor, instance_id: str, timeout: float | None) -> dict[str, Any]:
    status = ""
    for _ in until(timeout):
        state = state_required(door, instance_id)
        status = state["OrchestrationStatus"]
        if status in FINISHED:
            return state
        if door.host_url is None:
            fail(f"'{instance_id}' is {status}, and no host is running that would bring it to its end.", FAILURE)
    fail(f"'{instance_id}' is {status}; it has not ended in {timeout:g} s.", FAILURE)
