"""The command tree, and how its errors become exit codes."""

import os
import sys
from collections.abc import Sequence

import click

from perdure import __version__
from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingGroup
from perdure.cli.output import CommandFailed, print_error


@click.group(cls=ForgivingGroup, context_settings=CONTEXT)
@click.version_option(__version__, "-v", "--version", message="%(version)s")
def perdure() -> None:
    """Runs Durable Functions apps on this machine.

    Example: perdure start samples/hello_cities
    """


@perdure.group(cls=ForgivingGroup, context_settings=CONTEXT)
def host() -> None:
    """The Functions host, in the words of Core Tools.

    Example: perdure host start
    """


def _add_commands() -> None:
    from perdure.cli.backup_command import backup
    from perdure.cli.durable.group import durable
    from perdure.cli.hub_command import hub
    from perdure.cli.start_command import start
    from perdure.cli.verify_command import verify

    for command in (start, durable, verify, backup, hub):
        perdure.add_command(command)
    host.add_command(start)


_add_commands()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["help"]:
        given = [*given[1:], "--help"]
    if not given:
        given = ["--help"]
    try:
        code = perdure.main(given, prog_name="perdure", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.UsageError as error:
        usage = f"\n{error.ctx.get_usage()}" if error.ctx is not None else ""
        print_error(f"{error.format_message()}{usage}")
        sys.exit(USAGE)
    except click.ClickException as error:
        print_error(error.format_message())
        sys.exit(FAILURE)
    except click.Abort:
        sys.exit(130)
    except CommandFailed as error:
        print_error(str(error))
        sys.exit(error.code)
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILURE)
