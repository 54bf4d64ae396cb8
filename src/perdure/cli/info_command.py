"""`perdure info`: what runs here, on what, with which store."""

import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from perdure import __version__
from perdure.cli.grammar import CONTEXT, ForgivingCommand
from perdure.cli.output import CommandFailed, print_json
from perdure.cli.reaching import HubOptions, settings_of

_BESIDE = (
    "asyncpg", "azure-functions", "azure-functions-durable", "durabletask", "durabletask-azuremanaged",
    "azure-identity", "debugpy", "msgspec", "starlette", "uvicorn", "uvloop",
)  # fmt: skip


@click.command("info", cls=ForgivingCommand, context_settings=CONTEXT)
@click.option("--sdk-path", is_flag=True, help="Only the folder of perdure's SDKs, for editors and type checkers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
@click.option("--store", help="Store URL.  [default: as the app's host]")
@click.option("--script-root", type=click.Path(path_type=Path), help="The app's folder.  [default: here]")
def info(sdk_path: bool, as_json: bool, store: str | None, script_root: Path | None) -> None:
    """Show what runs here, and with which store.

    Example: perdure info --sdk-path
    """
    from perdure.sdks import describe, sdk_folder

    if sdk_path:
        print_json(str(sdk_folder())) if as_json else click.echo(sdk_folder())
        return
    facts: dict[str, Any] = {
        "perdure": __version__,
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "sdkPath": str(sdk_folder()),
        "sdk": describe().removeprefix("SDK: "),
        **_store(HubOptions(store=store, script_root=script_root)),
        "installed": {name: found for name in _BESIDE if (found := _version(name)) is not None},
    }
    if as_json:
        print_json(facts)
        return
    installed = facts.pop("installed")
    width = max(map(len, (*facts, *installed)))
    for name, value in (*facts.items(), *installed.items()):
        click.echo(f"{name.ljust(width)}  {'-' if value is None else value}")


def _store(options: HubOptions) -> dict[str, Any]:
    from perdure.storage.places import without_password

    try:
        settings = settings_of(options)
    except CommandFailed as error:
        # A folder whose settings are wrong has a store all the same; the rest is worth showing.
        return {"app": str(options.folder), "store": None, "problem": str(error)}
    return {
        "app": str(settings.app_folder),
        "taskHub": settings.hub_name,
        "store": without_password(settings.hub.store_url),
        "durability": settings.hub.storage.durability.value,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
