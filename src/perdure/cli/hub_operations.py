"""`perdure hub upgrade` and `perdure hub status`."""

from dataclasses import replace
from typing import Any

import click

from perdure.cli.durable.options import json_option
from perdure.cli.exit_codes import FAILURE, STORE, USAGE
from perdure.cli.grammar import ForgivingCommand
from perdure.cli.hub_files import existing_file, upgrade_file
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, chosen_hub, hub_options, place_of_store, reached, settings_of
from perdure.cli.server_hubs import at_server, server_required
from perdure.cli.tables import table

ADMIN_STATUS = "/admin/host/status"


@click.command("upgrade", cls=ForgivingCommand)
@click.argument("name", required=False)
@json_option
@hub_options
def upgrade(reach: HubOptions, name: str | None, as_json: bool) -> None:
    """Bring a task hub's schema up to date.

    A host does the same when it starts. On PostgreSQL the hosts of the version before may go on meanwhile.

    Example: perdure hub upgrade orders --store postgresql://app@db/shop
    """
    from perdure.storage.places import ServerPlace

    if reach.url is not None:
        fail("A hub is brought up to date where its store is; --url does not do it.", USAGE)
    reach = replace(reach, hub=name or reach.hub)
    settings = chosen_hub(reach, settings_of(reach))
    place = place_of_store(settings)
    if isinstance(place, ServerPlace):
        before, after = at_server(server_required(place).upgrade(settings.hub.name))
    else:
        before, after = upgrade_file(settings)
    if as_json:
        print_json({"taskHub": settings.hub_name, "before": before, "after": after})
    elif before == after:
        click.echo(f"The task hub '{settings.hub_name}' has schema version {after} already")
    else:
        click.echo(f"The task hub '{settings.hub_name}' was at schema version {before} and is at {after} now")


@click.command("status", cls=ForgivingCommand)
@click.argument("name", required=False)
@json_option
@hub_options
def status(reach: HubOptions, name: str | None, as_json: bool) -> None:
    """Show who works on a hub and what waits.

    Ends with exit code 1 when nobody works on it or a part of it has no host.

    Example: perdure hub status orders --store postgresql://app@db/shop
    """
    reach = replace(reach, hub=name or reach.hub)
    found = _status(reach)
    if as_json:
        print_json(found)
    else:
        _show(found)
    if found["free"] or not any(host["alive"] for host in found["hosts"]):
        raise SystemExit(FAILURE)


def _status(reach: HubOptions) -> dict[str, Any]:
    from perdure.host.hub_status import status_body, status_of_one
    from perdure.storage.places import ServerPlace

    if reach.url is not None:
        return _through_host(reach)
    settings = chosen_hub(reach, settings_of(reach))
    place = place_of_store(settings)
    if isinstance(place, ServerPlace):
        return status_body(at_server(server_required(place).status(settings.hub.name)), place.shown)
    file = existing_file(settings)
    with reached(reach) as door:
        host = door.host_url
    return {**status_of_one(settings.hub_name, place.shown, host), "size": file.stat().st_size}


def _through_host(reach: HubOptions) -> dict[str, Any]:
    with reached(reach) as door:
        reply = door.ask("GET", ADMIN_STATUS)
        if reply.status in (401, 403):
            fail(f"{door.where} refuses without the master key; name it with --code.", FAILURE)
        body: Any = reply.value() if reply.status == 200 else {}
        if isinstance(body, dict) and body.get("hub"):
            found: dict[str, Any] = body["hub"]
            return found
        why = body.get("errors") if isinstance(body, dict) else None
        fail(f"{door.where} does not tell how its hub is doing: {why[0] if why else f'HTTP {reply.status}'}", STORE)


def _show(found: dict[str, Any]) -> None:
    version = f", schema version {found['schemaVersion']}" if "schemaVersion" in found else ""
    click.echo(f"Task hub '{found['taskHub']}' at {found['store']}: {found.get('size') or 0:,} bytes{version}")
    rows = [
        (host["name"], "yes" if host["alive"] else "no", _lease(host), len(host["partitions"]), _ranges(host))
        for host in found["hosts"]
    ]
    click.echo(table(("Host", "Alive", "Lease", "Count", "Partitions"), rows) if rows else "No host works on it.")
    if found["free"]:
        click.echo(f"Without a host: {len(found['free'])} of {found['partitions']} partitions")
    if "messages" in found:
        waits = "" if found["oldestSeconds"] is None else f"; the oldest waits for {found['oldestSeconds']:.1f} s"
        click.echo(f"Waiting: {found['messages']} messages, {found['activities']} activities{waits}")
        click.echo(f"Connections of the server: {found['connections']} of {found['connectionsMax']}")


def _lease(host: dict[str, Any]) -> str:
    """For how long it is taken to be alive, or has not been any more."""
    seconds = host["leaseSeconds"]
    if seconds is None:
        return "-"
    return f"{seconds:.0f} s" if seconds >= 0 else f"over for {-seconds:.0f} s"


def _ranges(host: dict[str, Any]) -> str:
    """Numbers as ``0-3, 7``."""
    runs: list[list[int]] = []
    for number in host["partitions"]:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
