"""The command tree, and how its errors become exit codes."""

import difflib
import os
import sys
from collections.abc import Sequence

import click

from perdure import __version__
from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.output import CommandFailed, print_error

CONTEXT = {"help_option_names": ["-h", "--help", "-?"], "max_content_width": 100}


class ForgivingGroup(click.Group):
    """Knows commands without case and names the nearest one for a word it does not know."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, whatever its case."""
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, cmd_name.lower())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UsageError with the nearest known command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            near = difflib.get_close_matches(args[0].lower(), known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Commands: {', '.join(known)}."
            raise click.UsageError(f"There is no command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


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
    from perdure.cli.start_command import start
    from perdure.cli.verify_command import verify

    perdure.add_command(start)
    perdure.add_command(verify)
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
