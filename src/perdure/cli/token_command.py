"""`perdure token`: who may call a server that runs with --auth. A running server sees a change within a second."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from perdure.cli.exit_codes import FAILURE, NOT_FOUND, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand, ForgivingGroup
from perdure.cli.output import fail, print_json
from perdure.cli.tables import table

if TYPE_CHECKING:
    from perdure.host.tokens import Token, TokenFile

F = TypeVar("F", bound=Callable[..., Any])

_ROLES = ["reader", "worker", "contributor", "admin"]
_SPAN = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group("token", cls=ForgivingGroup, context_settings=CONTEXT)
def token() -> None:
    """The tokens that callers of `perdure serve --auth` show.

    Example: perdure token create --role worker
    """


def _place_options(command: F) -> F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="JSON on stdout."),
        click.option("--token-file", type=click.Path(path_type=Path), help="The file.  [default: beside the store]"),
        click.option("--store", help="The server's store.  [default: .perdure/hub.db]"),
    ):
        command = option(command)
    return command


@token.command("create", cls=ForgivingCommand, context_settings=CONTEXT)
@click.option("--role", required=True, type=click.Choice(_ROLES, case_sensitive=False), help="What it allows.")
@click.option("--hub", "hubs", multiple=True, help="Only in this task hub (repeat).  [default: in all]")
@click.option("--expires", help="Not longer than this: 90s, 30m, 12h, 90d.  [default: for ever]")
@click.option("--label", default="", help="What it is for, as the list shows it.")
@_place_options
def create(
    role: str, hubs: tuple[str, ...], expires: str | None, label: str, store: str | None, token_file: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Make a token and show it, this once: only its hash is kept.

    Example: perdure token create --role worker --hub orders --expires 90d --label "order workers"
    """
    from perdure.grpc_api.access import Role
    from perdure.host.options import StartFailed
    from perdure.host.serve_options import check_hub_name
    from perdure.host.tokens import new_token, without_expired

    try:
        for hub in hubs:
            check_hub_name(hub)
    except StartFailed as error:
        fail(str(error), error.code)
    now = datetime.now(UTC).replace(microsecond=0)
    file = _file(store, token_file)
    text, made = new_token(Role(role.lower()), hubs=hubs, label=label, now=now, lifetime=_lifetime(expires))
    _keep(file, [*without_expired(_tokens(file), now), made])
    if as_json:
        print_json({"token": text, **_row(made)})
        return
    click.echo(text)
    click.echo(f"Token {made.id} is kept as a hash in {file.path}; it is not shown again.", err=True)


@token.command("list", cls=ForgivingCommand, context_settings=CONTEXT)
@_place_options
def list_tokens(store: str | None, token_file: Path | None, as_json: bool) -> None:
    """Show what is known of the tokens, never a token.

    Example: perdure token list
    """
    rows = [_row(known) for known in _tokens(_file(store, token_file))]
    if as_json:
        print_json(rows)
    elif rows:
        shown = [
            [r["id"], r["role"], ", ".join(r["hubs"] or ["all"]), r["label"], r["created"], r["expires"] or "never"]
            for r in rows
        ]
        click.echo(table(("ID", "ROLE", "HUBS", "LABEL", "CREATED", "EXPIRES"), shown))
    else:
        click.echo("There is no token. Make one: perdure token create --role contributor")


@token.command("revoke", cls=ForgivingCommand, context_settings=CONTEXT)
@click.argument("token_id")
@_place_options
def revoke(token_id: str, store: str | None, token_file: Path | None, as_json: bool) -> None:
    """Take a token away, by the id that the list shows.

    Example: perdure token revoke 1f0c9a2b
    """
    file = _file(store, token_file)
    known = _tokens(file)
    left = [one for one in known if one.id != token_id.lower()]
    if len(left) == len(known):
        fail(f"There is no token '{token_id}' in {file.path}. See: perdure token list", NOT_FOUND)
    _keep(file, left)
    if as_json:
        print_json({"id": token_id.lower()})
    else:
        click.echo(f"Token {token_id.lower()} is revoked.")


def _lifetime(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None or not int(match[1]):
        fail(f"--expires takes a number and s, m, h or d, such as 90d, not '{text}'.", USAGE)
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _row(known: "Token") -> dict[str, Any]:
    return {
        "id": known.id,
        "role": known.role.value,
        "hubs": None if known.hubs is None else list(known.hubs),
        "label": known.label,
        "created": _text(known.created_at),
        "expires": None if known.expires_at is None else _text(known.expires_at),
    }


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _file(store: str | None, token_file: Path | None) -> "TokenFile":
    import os

    from perdure.host.options import StartFailed
    from perdure.host.serve_options import store_url_of, token_file_of
    from perdure.host.tokens import TokenFile

    try:
        return TokenFile(token_file_of(token_file, store_url_of(store, os.environ, in_memory=False)))
    except StartFailed as error:
        fail(str(error), error.code)


def _tokens(file: "TokenFile") -> tuple["Token", ...]:
    from perdure.host.tokens import TokenFileError

    try:
        return file.read()
    except TokenFileError as error:
        fail(str(error), FAILURE)


def _keep(file: "TokenFile", tokens: "list[Token]") -> None:
    from perdure.host.tokens import TokenFileError

    try:
        file.write(tokens)
    except TokenFileError as error:
        fail(str(error), FAILURE)
