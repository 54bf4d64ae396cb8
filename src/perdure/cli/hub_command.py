"""`perdure hub list` and `perdure hub drop`."""

from datetime import UTC, datetime

import click

from perdure.cli.durable.options import json_option, yes_option
from perdure.cli.exit_codes import STORE
from perdure.cli.grammar import CONTEXT, ForgivingCommand, ForgivingGroup
from perdure.cli.hub_files import drop_hub, store_file
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, hub_options, reached, settings_of
from perdure.cli.tables import table


@click.group("hub", cls=ForgivingGroup, context_settings=CONTEXT)
def hub() -> None:
    """Task hubs: the place where the state of an app is kept.

    Example: perdure hub list
    """


@hub.command("list", cls=ForgivingCommand)
@json_option
@hub_options
def list_hubs(reach: HubOptions, as_json: bool) -> None:
    """List the task hubs of a store.

    A store in SQLite has one.

    Example: perdure hub list --script-root samples/hello_cities
    """
    hubs = [_through_host(reach)] if reach.url is not None else _in_store(reach)
    if as_json:
        print_json(hubs)
    elif hubs:
        heads = ("Task hub", "Store", "Size", "Changed", "Host")
        names = ("taskHub", "store", "size", "changed", "host")
        click.echo(table(heads, [[hub[name] for name in names] for hub in hubs]))
    else:
        click.echo("There is no task hub yet.")


def _through_host(reach: HubOptions) -> dict[str, object]:
    with reached(reach) as door:
        reply = door.ask("GET", "/health")
        if reply.status not in (200, 503):
            fail(f"{door.where} is no host of perdure's (HTTP {reply.status}).", STORE)
        health = reply.value()
    return {"taskHub": health["taskHub"], "store": health["store"], "size": None, "changed": None, "host": door.where}


def _in_store(reach: HubOptions) -> list[dict[str, object]]:
    settings = settings_of(reach)
    file = store_file(settings)
    if not file.exists():
        return []
    with reached(reach) as door:
        host = door.host_url
    stat = file.stat()
    changed = f"{datetime.fromtimestamp(stat.st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
    found = {"taskHub": settings.hub_name, "store": settings.hub.store_url, "size": stat.st_size}
    return [{**found, "changed": changed, "host": host}]


@hub.command("drop", cls=ForgivingCommand)
@click.argument("name", required=False)
@yes_option
@json_option
@hub_options
def drop(reach: HubOptions, name: str | None, yes: bool, as_json: bool) -> None:
    """Delete a task hub with everything in it.

    No host may be running on it.

    Example: perdure hub drop --yes
    """
    if name is not None:
        reach = HubOptions(reach.url, reach.code, reach.store, name, reach.connection_setting, reach.script_root)
    dropped = drop_hub(reach, said_yes=yes)
    if as_json:
        print_json({"taskHub": dropped})
    else:
        click.echo(f"Deleted the task hub '{dropped}'")
