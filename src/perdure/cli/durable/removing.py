"""`purge-history` and `delete-task-hub`."""

import click

from perdure.cli.asking import all_of, asked, commands, management, refuse, state_required
from perdure.cli.confirming import confirm
from perdure.cli.doors import HubDoor, Reply
from perdure.cli.durable.options import FINISHED, json_option, range_options, statuses_of, time_of, yes_option
from perdure.cli.exit_codes import USAGE
from perdure.cli.grammar import ForgivingCommand
from perdure.cli.hub_removal import drop_hub
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, hub_options, reached

_EARLIEST = "1970-01-01T00:00:00+00:00"


@click.command("purge-history", cls=ForgivingCommand)
@range_options
@click.option("--id", "instance_id", help="Only this instance.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@yes_option
@json_option
@hub_options
def purge_history(
    reach: HubOptions,
    created_after: str | None,
    created_before: str | None,
    runtime_status: str | None,
    instance_id: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove orchestrations that have ended.

    Their histories go with them.

    Example: perdure durable purge-history --created-before 2026-01-01 --runtime-status "completed"
    """
    filters = (created_after, created_before, runtime_status)
    if instance_id is not None and any(filters):
        fail("--id names one instance; the other filters do not go with it.", USAGE)
    query = {
        "createdTimeFrom": time_of(created_after, "--created-after") or _EARLIEST,
        "createdTimeTo": time_of(created_before, "--created-before"),
        "runtimeStatus": ",".join(statuses_of(runtime_status, FINISHED) or FINISHED),
    }
    with reached(reach) as door:
        if instance_id is not None:
            count = _purge_one(door, instance_id, dry_run=dry_run)
        elif dry_run:
            count = sum(1 for _ in all_of(door, commands("instances"), query=query))
        else:
            if not any(filters):
                confirm("Remove every orchestration that has ended?", said_yes=yes)
            reply = door.ask("DELETE", management("instances"), query={**query, "taskHub": reach.hub})
            count = 0 if reply.status == 404 else _deleted(door, reply)
    if as_json:
        print_json({"instancesFound" if dry_run else "instancesDeleted": count})
        return
    if instance_id is None:
        span = f"from {created_after or 'the beginning'} to {created_before or 'now'}"
        click.echo(f"Orchestrations created {span}; status {query['runtimeStatus'].replace(',', ', ')}")
    click.echo(f"{count} would be removed" if dry_run else f"{count} removed")


def _purge_one(door: HubDoor, instance_id: str, *, dry_run: bool) -> int:
    if dry_run:
        return int(state_required(door, instance_id)["OrchestrationStatus"] in FINISHED)
    return _deleted(door, asked(door, "DELETE", management("instances", instance_id), about=instance_id))


def _deleted(door: HubDoor, reply: Reply) -> int:
    if reply.status >= 400:
        refuse(door, reply, "")
    return int(reply.value()["instancesDeleted"])


@click.command("delete-task-hub", cls=ForgivingCommand)
@yes_option
@json_option
@hub_options
def delete_task_hub(reach: HubOptions, yes: bool, as_json: bool) -> None:
    """Delete everything of a hub.

    No host may be running on it.

    Example: perdure durable delete-task-hub --yes
    """
    deleted = drop_hub(reach, said_yes=yes)
    if as_json:
        print_json({"taskHub": deleted})
    else:
        click.echo(f"Deleted the task hub '{deleted}'")
