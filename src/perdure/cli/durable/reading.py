"""`get-runtime-status`, `get-instances`, `get-history`."""

import sys
from typing import Any

import click

from perdure.cli.asking import asked, commands, management, page_of, state_required
from perdure.cli.durable.options import instance_option, json_option, range_options, statuses_of, time_of
from perdure.cli.grammar import ForgivingCommand
from perdure.cli.output import print_json
from perdure.cli.reaching import HubOptions, hub_options, reached
from perdure.cli.tables import table


@click.command("get-runtime-status", cls=ForgivingCommand)
@instance_option
@click.option("--show-input", is_flag=True, help="Show the input.")
@click.option("--show-output", is_flag=True, help="Show the output.")
@click.option("--show-waiting", is_flag=True, help="Show why it does not move: what it waits for, since when.")
@click.option("--json", "as_json", is_flag=True, help="The same; it is JSON anyway.")
@hub_options
def get_runtime_status(
    reach: HubOptions, instance_id: str, show_input: bool, show_output: bool, show_waiting: bool, as_json: bool
) -> None:
    """Show all that is kept of an instance.

    Example: perdure durable get-runtime-status --id order-1001 --show-output
    """
    with reached(reach) as door:
        state = state_required(door, instance_id)
        if show_waiting:
            query = {"showWaitingOn": "true", "taskHub": reach.hub}
            status = asked(door, "GET", management("instances", instance_id), query=query, about=instance_id).value()
            state["WaitingOn"] = status.get("waitingOn", [])
    print_json(_hidden(state, show_input=show_input, show_output=show_output))


def _hidden(state: dict[str, Any], *, show_input: bool, show_output: bool) -> dict[str, Any]:
    shown = {"Input": show_input, "Output": show_output}
    return {name: value if shown.get(name, True) else None for name, value in state.items()}


@click.command("get-instances", cls=ForgivingCommand)
@range_options
@click.option("--prefix", help="Only ids that begin so.")
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Size of a page.")
@click.option("--continuation-token", "token", help="The token that the page before showed.")
@json_option
@hub_options
def get_instances(
    reach: HubOptions,
    created_after: str | None,
    created_before: str | None,
    runtime_status: str | None,
    prefix: str | None,
    top: int,
    token: str | None,
    as_json: bool,
) -> None:
    """List orchestrations by creation time.

    A table at a terminal, else JSON.

    Example: perdure durable get-instances --runtime-status "running failed" --top 50
    """
    query = {
        "createdTimeFrom": time_of(created_after, "--created-after"),
        "createdTimeTo": time_of(created_before, "--created-before"),
        "runtimeStatus": ",".join(statuses_of(runtime_status)) or None,
        "instanceIdPrefix": prefix,
        "top": str(top),
    }
    with reached(reach) as door:
        rows, following = page_of(door, commands("instances"), query=query, token=token)
    if as_json:
        print_json({"instances": rows, "continuationToken": following or None})
        return
    if sys.stdout.isatty():
        click.echo(table(("Instance id", "Name", "Status", "Created", "Updated"), [_line(row) for row in rows]))
    else:
        print_json([_hidden(row, show_input=False, show_output=False) for row in rows])
    click.echo(f'Continuation token for the next page: "{following}"')


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["OrchestrationInstance"]["InstanceId"],
        row["Name"],
        row["OrchestrationStatus"],
        row["CreatedTime"][:19] + "Z",
        row["LastUpdatedTime"][:19] + "Z",
    )


@click.command("get-history", cls=ForgivingCommand)
@instance_option
@click.option("--folded", is_flag=True, help="As the HTTP API shows it: completions carry what they complete.")
@click.option("--json", "as_json", is_flag=True, help="The same; it is JSON anyway.")
@hub_options
def get_history(reach: HubOptions, instance_id: str, folded: bool, as_json: bool) -> None:
    """Show the events of an orchestration.

    Example: perdure durable get-history --id order-1001 --folded
    """
    with reached(reach) as door:
        if folded:
            query = {"showHistory": "true", "showHistoryOutput": "true", "taskHub": reach.hub}
            status = asked(door, "GET", management("instances", instance_id), query=query, about=instance_id).value()
            rows = status.get("historyEvents", [])
        else:
            rows = asked(door, "GET", commands("instances", instance_id, "history"), about=instance_id).value()
    print_json(rows)
