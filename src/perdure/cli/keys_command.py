"""`perdure keys`: the keys that callers of an app's host need (functions-host.md §8).

They are kept in files beside a store that is a file, and in a hub that many hosts share. A running host sees a change
at its next request, beside others after three seconds.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from perdure.cli.exit_codes import FAILURE, STORE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand, ForgivingGroup
from perdure.cli.output import fail, print_json
from perdure.cli.reaching import HubOptions, settings_of
from perdure.cli.tables import table

if TYPE_CHECKING:
    from perdure.host.key_store import KeyStore
    from perdure.http_api.keys import KeyPlace, KeyRing

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


@click.group("keys", cls=ForgivingGroup, context_settings=CONTEXT)
def keys() -> None:
    """The keys that open an app's functions and its management API.

    Example: perdure keys list
    """


def _place_options(command: F) -> F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="JSON on stdout."),
        click.option("--store", help="Store URL.  [default: as the app's host]"),
        click.option("--script-root", type=click.Path(path_type=Path), help="The app's folder.  [default: here]"),
        click.option("--system", is_flag=True, help="System keys; durabletask_extension opens the management API."),
        click.option("--function", help="The keys of this function."),
    ):
        command = option(command)
    return command


@keys.command("list", cls=ForgivingCommand, context_settings=CONTEXT)
@_place_options
def list_keys(function: str | None, system: bool, script_root: Path | None, store: str | None, as_json: bool) -> None:
    """Show the keys: all, or those of one place.

    Example: perdure keys list --function hello
    """
    ring = _ring(_kept(script_root, store))
    rows = [row for row in _rows(ring) if _wanted(row, function, system)]
    if as_json:
        print_json(rows)
    elif rows:
        click.echo(table(("OF", "NAME", "VALUE"), [tuple(row.values()) for row in rows]))
    else:
        click.echo("There are no such keys. A host makes them at its first start with --enableAuth; or: keys set NAME")


@keys.command("set", cls=ForgivingCommand, context_settings=CONTEXT)
@click.argument("name")
@click.argument("value", required=False)
@_place_options
def set_key(
    name: str, value: str | None, function: str | None, system: bool, script_root: Path | None, store: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Make a key or give it another value: VALUE, or a new random one. The host key 'master' is the master key.

    Example: perdure keys set partner --function hello
    """
    from perdure.http_api.keys import InvalidKey, new_key

    kept = _kept(script_root, store)
    value = new_key() if value is None else value
    try:
        ring = _ring(kept).with_key(_place(function, system), name, value)
    except InvalidKey as error:
        fail(str(error), USAGE)
    _save(kept, ring)
    if as_json:
        print_json({"name": name, "value": value})
    else:
        click.echo(f"Key '{name}' is: {value}")


@keys.command("delete", cls=ForgivingCommand, context_settings=CONTEXT)
@click.argument("name")
@_place_options
def delete_key(
    name: str, function: str | None, system: bool, script_root: Path | None, store: str | None, as_json: bool
) -> None:
    """Delete a key; whoever has it is refused from then on.

    Example: perdure keys delete partner --function hello
    """
    from perdure.http_api.keys import InvalidKey

    kept, place = _kept(script_root, store), _place(function, system)
    ring = _ring(kept)
    try:
        without = ring.without_key(place, name)
    except InvalidKey as error:
        fail(str(error), USAGE)
    if without == ring:
        fail(f"There is no key '{name}' there.", FAILURE)
    _save(kept, without)
    if as_json:
        print_json({"name": name})
    else:
        click.echo(f"Key '{name}' is deleted.")


def _place(function: str | None, system: bool) -> "KeyPlace":
    from perdure.http_api.keys import FunctionKeys, HostKeys, SystemKeys

    if function is not None and system:
        fail("--function and --system name two places; keep one.", USAGE)
    if function is not None:
        return FunctionKeys(function)
    return SystemKeys() if system else HostKeys()


def _rows(ring: "KeyRing") -> Iterator[dict[str, str]]:
    if ring.master is not None:
        yield {"of": "host", "name": "master", "value": ring.master}
    for of, kept in (("host", ring.host), ("system", ring.system)):
        for name, value in kept.items():
            yield {"of": of, "name": name, "value": value}
    for function, kept in sorted(ring.functions.items()):
        for name, value in kept.items():
            yield {"of": f"function {function}", "name": name, "value": value}


def _wanted(row: dict[str, str], function: str | None, system: bool) -> bool:
    if function is None and not system:
        return True
    return row["of"] == ("system" if system else f"function {(function or '').lower()}")


def _kept(script_root: Path | None, store: str | None) -> "KeyStore":
    from perdure.contracts.errors import StoreUnusable
    from perdure.host.key_store import key_store

    settings = settings_of(HubOptions(store=store, script_root=script_root))
    try:
        return key_store(settings.hub, settings.app_folder, settings.app)
    except StoreUnusable as error:
        fail(str(error), STORE)


def _ring(kept: "KeyStore") -> "KeyRing":
    return _done(kept.read())


def _save(kept: "KeyStore", ring: "KeyRing") -> None:
    _done(kept.save(ring))


def _done(asked: Coroutine[Any, Any, T]) -> T:
    from perdure.contracts.errors import StorageError
    from perdure.host.key_files import KeyFilesError

    try:
        return asyncio.run(asked)
    except KeyFilesError as error:
        fail(str(error), FAILURE)
    except StorageError as error:
        fail(str(error), STORE)
