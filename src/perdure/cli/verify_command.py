"""`perdure verify`: read a whole store and name what is damaged or stuck (reliability.md D10, X8)."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import click

from perdure.cli.asking import asked, commands
from perdure.cli.doors import HttpDoor
from perdure.cli.exit_codes import FAILURE, STORE
from perdure.cli.grammar import CONTEXT, ForgivingCommand
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, chosen_hub, holder_door, hub_options, settings_of


@click.command("verify", cls=ForgivingCommand, context_settings=CONTEXT)
@click.argument("app_dir", required=False, type=click.Path(path_type=Path))
@click.option("--liveness", is_flag=True, help="Name also what is running and waits for nothing.")
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON.")
@hub_options
def verify(reach: HubOptions, app_dir: Path | None, liveness: bool, as_json: bool) -> None:
    """Read a whole store.

    Ends with exit code 1 when anything is damaged or stuck.

    While a host holds the store, it reads it itself.

    Example: perdure verify samples/hello_cities --liveness
    """
    reach = dataclasses.replace(reach, script_root=app_dir or reach.script_root)
    found = _findings(reach, liveness)
    if as_json:
        print_json(found)
    else:
        for row in found:
            where = f" {row['instanceId']}" if row["instanceId"] is not None else ""
            click.echo(f"{row['kind']}{where}: {row['what']}")
        if not found:
            click.echo("The store is sound.")
    if found:
        raise SystemExit(FAILURE)


def _findings(reach: HubOptions, liveness: bool) -> list[dict[str, Any]]:
    from perdure.contracts.errors import StorageError, StoreInUse

    if reach.url is not None:
        door = HttpDoor(reach.url, reach.code)
    else:
        settings = chosen_hub(reach, settings_of(reach))
        try:
            return asyncio.run(_read(settings.hub.store_url, settings.hub.name, liveness))
        except StoreInUse as error:
            door = holder_door(error, settings, reach.code)
        except StorageError as error:
            fail(str(error), STORE)
    try:
        rows: list[dict[str, Any]] = asked(
            door, "GET", commands("verify"), query={"liveness": "true" if liveness else None}
        ).value()
        return rows
    finally:
        door.close()


async def _read(url: str, hub: str, liveness: bool) -> list[dict[str, Any]]:
    """Without a write, and without a migration."""
    from perdure.storage.opening import open_storage
    from perdure.storage.options import Access, StorageOptions
    from perdure.storage.system_clock import SystemClock

    storage = open_storage(url, SystemClock(), StorageOptions(access=Access.READ_ONLY), hub=hub)
    await storage.open()
    try:
        return [
            {"kind": finding.kind.value, "instanceId": finding.instance_id, "what": finding.what}
            async for finding in storage.verify(liveness)
        ]
    finally:
        await storage.close()
