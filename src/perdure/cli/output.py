"""What commands print: errors of at most three lines on stderr, results on stdout, JSON when asked."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import click
import msgspec


class CommandFailed(Exception):
    """Ends a command with a message for the user and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def fail(message: str, code: int) -> NoReturn:
    """End the command."""
    raise CommandFailed(message, code)


def print_error(message: str) -> None:
    """Say what went wrong, in red on a terminal."""
    click.secho(message, fg="red" if wants_color(sys.stderr) else None, err=True)


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def wants_color(stream: object) -> bool:
    """Colour only for a person at a terminal who has not said no."""
    isatty = getattr(stream, "isatty", None)
    return "NO_COLOR" not in os.environ and callable(isatty) and bool(isatty())


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A function to tell how much of how much is done; drawn on stderr, for a person at a terminal only."""
    if not sys.stderr.isatty():
        yield lambda done, whole: None
        return
    shown = -1

    def show(done: int, whole: int) -> None:
        nonlocal shown
        hundredths = 100 * done // whole if whole else 100
        if hundredths != shown:
            shown = hundredths
            filled = hundredths * 30 // 100
            click.echo(f"\r{label} [{'#' * filled}{'-' * (30 - filled)}] {hundredths:3} %", err=True, nl=False)

    yield show
    click.echo("", err=True)
