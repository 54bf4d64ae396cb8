"""`list-entities`, `get-entity`, `signal-entity`."""

import json
import sys

import click

from perdure.cli.asking import asked, management, page_of, refuse
from perdure.cli.durable.options import json_option
from perdure.cli.exit_codes import NOT_FOUND
from perdure.cli.grammar import ForgivingCommand
from perdure.cli.inputs import payload_text
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, hub_options, reached
from perdure.cli.tables import table

name_option = click.option("--name", required=True, help="The entity's name.")
key_option = click.option("--key", required=True, help="The entity's key.")
EMPTY_KEY = "$"


@click.command("list-entities", cls=ForgivingCommand)
@click.option("--name", help="Only entities of this name.")
@click.option("--show-state", is_flag=True, help="Show the states.")
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True, help="Size of a page.")
@click.option("--continuation-token", "token", help="The token that the page before showed.")
@json_option
@hub_options
def list_entities(
    reach: HubOptions, name: str | None, show_state: bool, top: int, token: str | None, as_json: bool
) -> None:
    """List the entities that exist.

    A table at a terminal, else JSON.

    Example: perdure durable list-entities --name counter --show-state
    """
    query = {"top": str(top), "fetchState": "true" if show_state else None, "taskHub": reach.hub}
    with reached(reach) as door:
        rows, following = page_of(door, management("entities", *([name] if name else [])), query=query, token=token)
    if as_json:
        print_json({"entities": rows, "continuationToken": following or None})
        return
    if sys.stdout.isatty():
        heads = ("Name", "Key", "Last operation", *(["State"] if show_state else []))
        lines = [
            (
                row["entityId"]["name"],
                row["entityId"]["key"],
                row["lastOperationTime"][:19] + "Z",
                *([json.dumps(row["state"])] if show_state else []),
            )
            for row in rows
        ]
        click.echo(table(heads, lines))
    else:
        print_json(rows)
    click.echo(f'Continuation token for the next page: "{following}"')


@click.command("get-entity", cls=ForgivingCommand)
@name_option
@key_option
@click.option("--json", "as_json", is_flag=True, help="The same; it is JSON anyway.")
@hub_options
def get_entity(reach: HubOptions, name: str, key: str, as_json: bool) -> None:
    """Show an entity's state.

    Example: perdure durable get-entity --name counter --key visits
    """
    with reached(reach) as door:
        reply = door.ask("GET", management("entities", name, key or EMPTY_KEY), query={"taskHub": reach.hub})
        if reply.status == 404:
            fail(f"There is no entity '{name}' with the key '{key}'.", NOT_FOUND)
        if reply.status >= 400:
            refuse(door, reply, "")
    print_json(reply.value())


@click.command("signal-entity", cls=ForgivingCommand)
@name_option
@key_option
@click.option("--op", "operation", required=True, help="The operation.")
@click.option("--input", "input_", help="JSON, plain text, or @file with JSON.  [default: none]")
@json_option
@hub_options
def signal_entity(reach: HubOptions, name: str, key: str, operation: str, input_: str | None, as_json: bool) -> None:
    """Ask an entity for an operation.

    An entity that does not exist is made by it.

    Example: perdure durable signal-entity --name counter --key visits --op add --input 1
    """
    body = payload_text(input_, "--input")
    with reached(reach) as door:
        segments = ("entities", name, *([key] if key else []))
        asked(door, "POST", management(*segments), query={"op": operation, "taskHub": reach.hub}, body=body)
        running = door.host_url is not None
    if as_json:
        print_json({"name": name, "key": key, "operation": operation})
        return
    click.echo(f"Sent '{operation}' to entity '{name}' with the key '{key}'")
    if not running:
        click.echo("No host is running: it takes effect when one is started.")
