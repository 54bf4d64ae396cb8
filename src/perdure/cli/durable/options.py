"""Options and readings that several durable commands share."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from perdure.cli.exit_codes import USAGE
from perdure.cli.output import fail

F = TypeVar("F", bound=Callable[..., Any])

STATUSES = {
    name.lower(): name
    for name in ("Running", "Completed", "ContinuedAsNew", "Failed", "Canceled", "Terminated", "Pending", "Suspended")
}
FINISHED = ("Completed", "Failed", "Canceled", "Terminated")
SECONDS_BETWEEN = 0.1

instance_option = click.option("--id", "instance_id", required=True, help="The instance id.")
reason_option = click.option("--reason", help="Why; kept in the history.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def range_options(command: F) -> F:
    """``--created-after``, ``--created-before``, ``--runtime-status``."""
    for option in (
        click.option("--runtime-status", help="Status names, separated by spaces or commas.  [default: all]"),
        click.option("--created-before", help="Latest creation time, ISO 8601."),
        click.option("--created-after", help="Earliest creation time, ISO 8601."),
    ):
        command = option(command)
    return command


def statuses_of(text: str | None, usable: tuple[str, ...] = tuple(STATUSES.values())) -> list[str]:
    """The names in a text; none for no text. Ends the command with exit code 2 for an unknown one."""
    names: list[str] = []
    for word in re.split(r"[\s,]+", (text or "").strip()):
        name = STATUSES.get(word.lower())
        if word and name not in usable:
            fail(f"--runtime-status: '{word}' is none of {', '.join(usable)}.", USAGE)
        if name is not None:
            names.append(name)
    return names


def time_of(text: str | None, option: str) -> str | None:
    """A time as the HTTP API takes it. Ends the command with exit code 2 for anything else."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        fail(f"{option}: '{text}' is no ISO 8601 time such as 2026-02-03 or 2026-02-03T04:05:06Z.", USAGE)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return at.isoformat()


def until(seconds: float | None) -> Iterator[None]:
    """Come again and again, at once at first, until the time is over."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        yield
        left = SECONDS_BETWEEN if deadline is None else min(SECONDS_BETWEEN, deadline - time.monotonic())
        if left <= 0:
            return
        time.sleep(left)
