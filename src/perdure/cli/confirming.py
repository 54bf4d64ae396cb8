"""Asking before something is lost."""

import sys

import click

from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.output import fail


def confirm(question: str, *, said_yes: bool) -> None:
    """Go on only when the user agrees. Without a terminal ``--yes`` must be given (exit code 2)."""
    if said_yes:
        return
    if not sys.stdin.isatty():
        fail(f"{question} There is nobody to ask here: say --yes.", USAGE)
    if not click.confirm(question, err=True):
        fail("Nothing was changed.", FAILURE)
