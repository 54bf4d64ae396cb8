"""`perdure hub list`, `perdure hub create` and `perdure hub drop`."""

from datetime import UTC, datetime
from urllib.parse import quote

import click

from perdure.cli.confirming import confirm
from perdure.cli.durable.options import json_option, yes_option
from perdure.cli.exit_codes import NOT_FOUND, STORE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand, ForgivingGroup
from perdure.cli.hub_files import drop_hub, store_file
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, hub_options, reached, settings_of
from perdure.cli.tables import table

PLACE = "/admin/perdure/hubs"
SERVER_URL = "http://localhost:8082"


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

    A store in SQLite has one; a server (perdure serve), named by --url, may have several.

    Example: perdure hub list --script-root samples/hello_cities
    """
    hubs = _through_host(reach) if reach.url is not None else _in_store(reach)
    if as_json:
        print_json(hubs)
    elif hubs:
        heads = ("Task hub", "Store", "Size", "Changed", "Host")
        names = ("taskHub", "store", "size", "changed", "host")
        click.echo(table(heads, [[hub[name] for name in names] for hub in hubs]))
    else:
        click.echo("There is no task hub yet.")


def _through_host(reach: HubOptions) -> list[dict[str, object]]:
    with reached(reach) as door:
        served = door.ask("GET", PLACE)
        if served.status == 200:
            rest = {"size": None, "changed": None, "host": door.where}
            return [{"taskHub": hub["taskHub"], "store": hub["store"], **rest} for hub in served.value()]
        if served.status in (401, 403):
            fail(f"{door.where} asks for a token that may read: --code TOKEN", STORE)
        reply = door.ask("GET", "/health")
        if reply.status not in (200, 503):
            fail(f"{door.where} is no host of perdure's (HTTP {reply.status}).", STORE)
        health = reply.value()
    rest = {"size": None, "changed": None, "host": door.where}
    return [{"taskHub": health["taskHub"], "store": health["store"], **rest}]


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


@hub.command("create", cls=ForgivingCommand)
@click.argument("name")
@click.option("--url", default=SERVER_URL, help=f"The server's HTTP address.  [default: {SERVER_URL}]")
@click.option("--code", help="A token with the role admin, where the server asks for one.")
@json_option
def create(name: str, url: str, code: str | None, as_json: bool) -> None:
    """Make a task hub at a running server (perdure serve).

    Example: perdure hub create orders
    """
    made = _ask_server(HubOptions(url=url, code=code), "POST", name)
    if as_json:
        print_json({"taskHub": name, "created": made == 201})
    else:
        click.echo(f"Made the task hub '{name}'" if made == 201 else f"There is a task hub '{name}' already")


def _ask_server(reach: HubOptions, method: str, name: str) -> int:
    """The status of what worked. Ends the command otherwise."""
    with reached(reach) as door:
        reply = door.ask(method, f"{PLACE}/{quote(name, safe='')}")
        if reply.status in (200, 201):
            return reply.status
        if reply.status in (401, 403):
            fail(f"{door.where} asks for a token with the role admin: --code TOKEN", STORE)
        if reply.status == 400:
            fail(str(reply.value()["Message"]), USAGE)
        if reply.status == 404:
            fail(f"There is no task hub '{name}' at {door.where} that could be dropped.", NOT_FOUND)
        fail(f"{door.where} did not do it (HTTP {reply.status}).", STORE)


@hub.command("drop", cls=ForgivingCommand)
@click.argument("name", required=False)
@yes_option
@json_option
@hub_options
def drop(reach: HubOptions, name: str | None, yes: bool, as_json: bool) -> None:
    """Delete a task hub with everything in it.

    No host may be running on it; a server (perdure serve), named by --url, drops the hub while it runs.

    Example: perdure hub drop --yes
    """
    if name is not None:
        reach = HubOptions(reach.url, reach.code, reach.store, name, reach.connection_setting, reach.script_root)
    if reach.url is not None and name is not None:
        confirm(f"Delete the task hub '{name}' of {reach.url} with everything in it?", said_yes=yes)
        _ask_server(reach, "DELETE", name)
        dropped = name
    else:
        dropped = drop_hub(reach, said_yes=yes)
    if as_json:
        print_json({"taskHub": dropped})
    else:
        click.echo(f"Deleted the task hub '{dropped}'")
