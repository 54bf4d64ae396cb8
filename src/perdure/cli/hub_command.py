"""`perdure hub list`, `perdure hub create` and `perdure hub drop`."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from perdure.cli.confirming import confirm
from perdure.cli.durable.options import json_option, yes_option
from perdure.cli.exit_codes import NOT_FOUND, STORE, USAGE
from perdure.cli.grammar import ForgivingCommand
from perdure.cli.hub_files import store_file
from perdure.cli.hub_removal import drop_hub
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, hub_options, place_of_store, reached, settings_of
from perdure.cli.server_hubs import at_server, server_required
from perdure.cli.tables import table

if TYPE_CHECKING:
    from perdure.host.settings import Settings
    from perdure.storage.places import ServerPlace

PLACE = "/admin/perdure/hubs"
SERVER_URL = "http://localhost:8082"


@click.command("list", cls=ForgivingCommand)
@json_option
@hub_options
def list_hubs(reach: HubOptions, as_json: bool) -> None:
    """List the task hubs of a store.

    A store in SQLite has one; a PostgreSQL database, or a server (perdure serve) named by --url, may have several.

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
    from perdure.storage.places import ServerPlace

    settings = settings_of(reach)
    place = place_of_store(settings)
    return _at_database(place) if isinstance(place, ServerPlace) else _in_file(reach, settings)


def _at_database(place: "ServerPlace") -> list[dict[str, object]]:
    return [
        {
            "taskHub": hub.name,
            "store": place.shown,
            "size": hub.size,
            "changed": None,
            "host": None if hub.hosts == 0 else f"{hub.hosts} host{'' if hub.hosts == 1 else 's'}",
            "hosts": hub.hosts,
            "schemaVersion": hub.version,
        }
        for hub in at_server(server_required(place).entries())
    ]


def _in_file(reach: HubOptions, settings: "Settings") -> list[dict[str, object]]:
    file = store_file(settings)
    if not file.exists():
        return []
    with reached(reach) as door:
        host = door.host_url
    stat = file.stat()
    changed = f"{datetime.fromtimestamp(stat.st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
    found = {"taskHub": settings.hub_name, "store": settings.hub.place.shown, "size": stat.st_size}
    return [{**found, "changed": changed, "host": host}]


@click.command("create", cls=ForgivingCommand)
@click.argument("name")
@click.option("--url", help=f"The HTTP address of a server.  [default: {SERVER_URL}, unless the store is PostgreSQL]")
@click.option("--code", help="A token with the role admin, where the server asks for one.")
@click.option("--store", help="Make it in this PostgreSQL database.  [default: as the app's host]")
@click.option("--partitions", type=click.IntRange(1, 1024), help="Into how many parts, for ever.  [default: 32]")
@json_option
def create(
    name: str, url: str | None, code: str | None, store: str | None, partitions: int | None, as_json: bool
) -> None:
    """Make a task hub.

    In a PostgreSQL database, or at a running server (perdure serve).

    Example: perdure hub create orders --store postgresql://app@db/shop
    """
    place = None if url is not None else _database(store)
    if place is not None:
        made = at_server(server_required(place).create(name, partitions))
    elif partitions is not None:
        fail("--partitions is for a hub in a PostgreSQL database; name that with --store.", USAGE)
    else:
        made = _ask_server(HubOptions(url=url or SERVER_URL, code=code), "POST", name) == 201
    if as_json:
        print_json({"taskHub": name, "created": made})
    else:
        click.echo(f"Made the task hub '{name}'" if made else f"There is a task hub '{name}' already")


def _database(store: str | None) -> "ServerPlace | None":
    """The database that ``--store`` or the app's files name, if they name one."""
    from perdure.storage.places import ServerPlace

    place = place_of_store(settings_of(HubOptions(store=store)))
    if isinstance(place, ServerPlace):
        return place
    if store is not None:
        fail(f"{place.shown} holds one task hub, which is made when its host starts.", USAGE)
    return None


def _ask_server(reach: HubOptions, method: str, name: str) -> int:
    """The status of what worked. Ends the command otherwise."""
    with reached(reach) as door:
        reply = door.ask(method, f"{PLACE}/{quote(name, safe='')}")
        if reply.status in (200, 201):
            return reply.status
        if reply.status in (401, 403):
            fail(f"{door.where} asks for a token with the role admin: --code TOKEN", STORE)
        if reply.status in (400, 409):
            fail(str(reply.value()["Message"]), USAGE if reply.status == 400 else STORE)
        if reply.status == 404:
            fail(f"There is no task hub '{name}' at {door.where} that could be dropped.", NOT_FOUND)
        fail(f"{door.where} did not do it (HTTP {reply.status}).", STORE)


@click.command("drop", cls=ForgivingCommand)
@click.argument("name", required=False)
@yes_option
@json_option
@hub_options
def drop(reach: HubOptions, name: str | None, yes: bool, as_json: bool) -> None:
    """Delete a task hub with everything in it.

    No host may be working on it; a server (perdure serve), named by --url, drops the hub while it runs.

    Example: perdure hub drop --yes
    """
    if name is not None:
        reach = replace(reach, hub=name)
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
