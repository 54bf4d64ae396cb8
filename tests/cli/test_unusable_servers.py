"""Every command that takes a store, at a server it cannot use: one line, exit code 3, never the password."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest

from perdure.cli.main import perdure
from support.commands import command
from support.postgres_server import shared_server

APART = ("start", "host start", "serve", "info", "token create", "token list", "token revoke", "backup")
"""Processes of their own (tests/host), or commands that ask no server. A backup names the server's own programs."""
VALUES = {"--name": "counter", "--op": "add", "--role": "admin"}


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Those with ``--store``, with whatever else they cannot do without."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*words, name))
        elif found is not None and " ".join((*words, name)) not in APART:
            options = {option: parameter for parameter in found.params for option in parameter.opts}
            if "--store" in options:
                yield (*words, name, *_needed(found.params), *(["--yes"] if "--yes" in options else []))


def _needed(parameters: list[click.Parameter]) -> Iterator[str]:
    for parameter in parameters:
        if parameter.required and isinstance(parameter, click.Argument):
            yield "x"
        elif parameter.required:
            yield parameter.opts[0]
            yield VALUES.get(parameter.opts[0], "x")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://app:s3cret@127.0.0.1:1/shop", "cannot be reached"),
        ("postgresql://nobody-here:s3cret@{server}/postgres", "refuses the user"),
        ("postgresql://postgres:s3cret@{server}/nowhere", "does not exist"),
        ("postgresql://app:s3cret@db:99999/shop", "cannot be read"),
        ("postgres//app:s3cret@db/shop", "names no store"),
    ],
)
def test_each_command_says_what_is_wrong_and_where(tmp_path: Path, url: str, says: str) -> None:
    url = url.format(server=urlsplit(shared_server()).netloc.rpartition("@")[2])
    known = list(commands(perdure))
    assert len(known) > 20
    for words in known:
        refused = command(*words, "--store", url, folder=tmp_path)
        assert (refused.code, len(refused.error_lines)) == (3, 1), (words, refused)
        assert says in refused.err, (words, refused)
        assert "s3cret" not in refused.err + refused.out, (words, refused)
    assert list(tmp_path.iterdir()) == []
