"""The command tree, and how its errors become exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from perdure import __version__
from perdure.cli.completion import install_completion
from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingGroup
from perdure.cli.output import CommandFailed, print_error


@click.group(cls=ForgivingGroup, context_settings=CONTEXT)
@click.version_option(__version__, "-v", "--version", message="%(version)s")
@click.option(
    "--install-completion", is_flag=True, expose_value=False, is_eager=True, callback=install_completion,
    help="Teach your shell to complete perdure's words.",
)  # fmt: skip
def perdure() -> None:
    """Runs Durable Functions apps on this machine.

    Example: perdure start samples/hello_cities
    """


@click.group(cls=ForgivingGroup, context_settings=CONTEXT)
def host() -> None:
    """The Functions host, in the words of Core Tools.

    Example: perdure host start
    """


@click.group(cls=ForgivingGroup, context_settings=CONTEXT)
def function() -> None:
    """Functions, in the words of Core Tools.

    Example: perdure function new
    """


def _add_commands() -> None:
    """Each is imported when it is used: ``perdure start`` does not pay for the others."""
    for name, place in {
        "start": "start_command:start",
        "serve": "serve_command:serve",
        "run": "run_command:run",
        "token": "token_command:token",
        "init": "project.init_command:init",
        "new": "project.new_command:new",
        "templates": "project.new_command:templates",
        "settings": "settings_command:settings",
        "keys": "keys_command:keys",
        "durable": "durable.group:durable",
        "verify": "verify_command:verify",
        "backup": "backup_command:backup",
        "hub": "hub_group:hub",
        "info": "info_command:info",
    }.items():
        perdure.import_on_use(name, f"perdure.cli.{place}")
    for group in (host, function):
        perdure.add_command(group)
    for name in ("new", "create"):
        function.import_on_use(name, "perdure.cli.project.new_command:new")
    host.import_on_use("start", "perdure.cli.start_command:start")


_add_commands()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    given, wants_trace = _without_global_options(list(sys.argv[1:] if arguments is None else arguments))
    try:
        code = perdure.main(given, prog_name="perdure", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.UsageError as error:
        _end_misused(error)
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
    except Exception as error:
        if wants_trace:
            traceback.print_exc()
        print_error(f"perdure failed: {type(error).__name__}: {error} (more with --debug)")
        sys.exit(FAILURE)


def _without_global_options(given: list[str]) -> tuple[list[str], bool]:
    """The line without what every command takes, and whether full stack traces are wanted."""
    words, separator, rest = given, [], []
    if given[:1] == ["run"]:
        # What follows is the program's.
        return given, False
    if "--" in given:
        at = given.index("--")
        words, separator, rest = given[:at], ["--"], given[at + 1 :]
    said = {word.lower() for word in words}
    if "--no-color" in said:
        os.environ["NO_COLOR"] = "1"
    own = {"--no-color", "--offline"}
    if not said & {"start", "serve"}:
        # Those have their own word on them.
        own |= {"--debug", "--verbose"}
    words = [word for word in words if word.lower() not in own]
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    elif words[-1:] == ["help"] and len(words) == 2:
        words = [words[0], "--help"]
    return [*(words or ["--help"]), *separator, *rest], "--debug" in said


def _end_misused(error: click.UsageError) -> NoReturn:
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        # A group alone lists what it holds.
        click.echo(error.format_message())
        sys.exit(0)
    usage = f"\n{error.ctx.get_usage()}" if error.ctx is not None else ""
    print_error(f"{error.format_message()}{usage}")
    sys.exit(USAGE)
