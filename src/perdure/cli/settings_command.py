"""`perdure settings`: local.settings.json from the command line (cli.md §6)."""

import json
import sys
from pathlib import Path
from typing import Any, NoReturn, cast

import click

from perdure.cli.exit_codes import FAILURE, NOT_FOUND, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand, ForgivingGroup
from perdure.cli.output import fail, print_json

FILE_NAME = "local.settings.json"
_MASK = "*****"
_root_option = click.option("--script-root", type=click.Path(path_type=Path), help="The app's folder.  [default: here]")
_connection_option = click.option("--connectionString", "--connection-string", "connection", is_flag=True,
                                  help="Of ConnectionStrings, not of Values.")  # fmt: skip

_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")


@click.group("settings", cls=ForgivingGroup, context_settings=CONTEXT)
def settings() -> None:
    """The app's settings in local.settings.json.

    Example: perdure settings list
    """


@settings.command("list", cls=ForgivingCommand)
@click.option("-a", "--showValue", "--show-value", "show_value", is_flag=True, help="Show the values.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
@_root_option
def list_settings(show_value: bool, as_json: bool, script_root: Path | None) -> None:
    """List the names; values are masked.

    Example: perdure settings list --showValue
    """
    content = _read(script_root)
    values = {name: value if show_value else _MASK for name, value in _section(content, "Values").items()}
    connections = {
        name: (_connection_text(value) if show_value else _MASK)
        for name, value in _section(content, "ConnectionStrings").items()
    }
    if as_json:
        print_json({"Values": values, "ConnectionStrings": connections})
        return
    click.echo("App Settings:")
    for name, value in values.items():
        click.echo(f"  {name} = {value}")
    if connections:
        click.echo("Connection Strings:")
        for name, value in connections.items():
            click.echo(f"  {name} = {value}")


@settings.command("add", cls=ForgivingCommand)
@click.argument("name")
@click.argument("value", required=False)
@_connection_option
@_json_option
@_root_option
def add(name: str, value: str | None, connection: bool, as_json: bool, script_root: Path | None) -> None:
    """Set a setting; asks for the value, unseen, when it is not given.

    Example: perdure settings add Region west
    """
    content = _read(script_root)
    if value is None:
        if not sys.stdin.isatty():
            fail(f"The value of '{name}' is needed where nobody can be asked.", USAGE)
        value = str(click.prompt(f"Value of {name}", hide_input=True, err=True))
    section = _section_name(connection)
    _section(content, section)[name] = {"ConnectionString": value} if connection else value
    _write(script_root, content)
    _tell("Set", name, section, as_json=as_json)


@settings.command("delete", cls=ForgivingCommand)
@click.argument("name")
@_connection_option
@_json_option
@_root_option
def delete(name: str, connection: bool, as_json: bool, script_root: Path | None) -> None:
    """Remove a setting.

    Example: perdure settings delete Region
    """
    content = _read(script_root)
    section = _section_name(connection)
    values = _section(content, section)
    if name not in values:
        fail(f"There is no setting '{name}'.", NOT_FOUND)
    del values[name]
    _write(script_root, content)
    _tell("Deleted", name, section, as_json=as_json)


@settings.command("encrypt", cls=ForgivingCommand, hidden=True)
def encrypt() -> None:
    """Not supported.

    Example: perdure settings list
    """
    _unsupported()


@settings.command("decrypt", cls=ForgivingCommand, hidden=True)
def decrypt() -> None:
    """Not supported.

    Example: perdure settings list
    """
    _unsupported()


def _section_name(connection: bool) -> str:
    return "ConnectionStrings" if connection else "Values"


def _tell(deed: str, name: str, section: str, *, as_json: bool) -> None:
    """Say what was done; never the value."""
    if as_json:
        print_json({deed.lower(): name, "section": section})
    else:
        click.echo(f"{deed} '{name}'")


def _unsupported() -> NoReturn:
    fail(
        "perdure does not encrypt settings: the key would lie beside them. Keep secrets in the environment, "
        'and "IsEncrypted": false in the file; what Core Tools encrypted, "func settings decrypt" decrypts.',
        FAILURE,
    )


def _read(script_root: Path | None) -> dict[str, Any]:
    place = (script_root or Path()) / FILE_NAME
    try:
        content: Any = json.loads(place.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {"IsEncrypted": False, "Values": {}}
    except OSError as error:
        fail(f"{place} cannot be read: {error.strerror}.", FAILURE)
    except json.JSONDecodeError as error:
        fail(f"{place} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.", FAILURE)
    except UnicodeDecodeError:
        fail(f"{place} is not UTF-8.", FAILURE)
    if not isinstance(content, dict):
        fail(f"{place} does not hold a JSON object.", FAILURE)
    if content.get("IsEncrypted") is True:
        _unsupported()
    return cast(dict[str, Any], content)


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of the file, made if it is not there; names of sections have no case."""
    found = next((key for key in content if key.lower() == name.lower()), name)
    section = content.setdefault(found, {})
    if not isinstance(section, dict):
        fail(f"{found} in {FILE_NAME} is not an object.", FAILURE)
    return cast(dict[str, Any], section)


def _connection_text(value: Any) -> Any:
    return cast(dict[str, Any], value).get("ConnectionString") if isinstance(value, dict) else value


def _write(script_root: Path | None, content: dict[str, Any]) -> None:
    place = (script_root or Path()) / FILE_NAME
    try:
        place.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror}.", FAILURE)
