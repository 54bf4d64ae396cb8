"""`perdure backup DEST`: a consistent copy of a SQLite store, also while a host runs (through it)."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perdure.cli.asking import commands, refuse
from perdure.cli.doors import HttpDoor
from perdure.cli.durable.options import json_option
from perdure.cli.exit_codes import FAILURE, STORE
from perdure.cli.grammar import CONTEXT, ForgivingCommand
from perdure.cli.hub_files import store_file
from perdure.cli.output import fail, print_json, progress_bar
from perdure.cli.reaching import HubOptions, hub_options, place_of_store, reached, settings_of

if TYPE_CHECKING:
    from perdure.host.settings import Settings


@click.command("backup", cls=ForgivingCommand, context_settings=CONTEXT)
@click.argument("dest", type=click.Path(path_type=Path))
@json_option
@hub_options
def backup(reach: HubOptions, dest: Path, as_json: bool) -> None:
    """Copy the store to the new file DEST.

    As one commit left it, also while a host runs.

    The copy is a store: --store sqlite:DEST opens it.

    Example: perdure backup ../hub-before-upgrade.db
    """
    if dest.is_dir():
        dest = dest / "hub.db"
    if dest.exists() or dest.is_symlink():
        fail(f"{dest} exists; a backup is written to a new file.", FAILURE)
    _refuse_server(reach)
    with reached(reach) as door:
        if isinstance(door, HttpDoor):
            _download(door, dest)
        else:
            _copy(settings_of(reach), dest)
    size = dest.stat().st_size
    if as_json:
        print_json({"file": str(dest), "bytes": size})
    else:
        click.echo(f"Copied {size:,} bytes to {dest}")


def _refuse_server(reach: HubOptions) -> None:
    """A store on a server is copied by the server's own programs. Ends the command with exit code 3 for one."""
    if reach.url is not None:
        return
    from perdure.storage.places import ServerPlace

    place = place_of_store(settings_of(reach))
    if isinstance(place, ServerPlace):
        fail(
            f"The store {place.shown} is no file: back it up with pg_dump, or copy the hub with "
            "perdure hub copy SOURCE sqlite:FILE.",
            STORE,
        )


def _copy(settings: "Settings", dest: Path) -> None:
    from perdure.contracts.errors import StorageError
    from perdure.storage.sqlite.copying import copy_store

    with progress_bar("Copying") as show:
        try:
            copy_store(str(store_file(settings)), str(dest), lambda left, pages: show(pages - left, pages))
        except StorageError as error:
            fail(str(error), STORE)


def _download(door: HttpDoor, dest: Path) -> None:
    """Into a file of another name first, so that DEST is whole or not there."""
    coming = dest.with_name(f"{dest.name}.part")
    try:
        descriptor = os.open(coming, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        fail(f"{coming} cannot be written: {error.strerror}.", FAILURE)
    try:
        with os.fdopen(descriptor, "wb") as file, progress_bar("Copying") as show:
            reply = door.download(commands("backup"), file, show)
            if reply.status >= 400:
                refuse(door, reply, "")
            file.flush()
            os.fsync(file.fileno())
        os.rename(coming, dest)
    except OSError as error:
        fail(f"{dest} cannot be written: {error.strerror}.", FAILURE)
    finally:
        coming.unlink(missing_ok=True)
