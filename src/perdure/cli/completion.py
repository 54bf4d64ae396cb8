"""`--install-completion`: bash, zsh and fish learn perdure's words. The scripts are click's own."""

import os
from pathlib import Path

import click

from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.output import fail

_STARTUP_FILES = {"bash": ".bashrc", "zsh": ".zshrc"}


def install_completion(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Write the script of the user's shell where the shell finds it, and end."""
    if not wanted or ctx.resilient_parsing:
        return
    # Every command imports this module, and only this one needs the scripts.
    from click.shell_completion import get_completion_class

    shell = Path(os.environ.get("SHELL", "")).name
    made = get_completion_class(shell)
    if made is None or shell not in ("bash", "zsh", "fish"):
        fail(f"The variable SHELL names no shell that can complete: '{shell}'. Known: bash, zsh, fish.", USAGE)
    script = made(ctx.command, {}, "perdure", "_PERDURE_COMPLETE").source()
    try:
        place = _write(shell, script)
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}.", FAILURE)
    click.echo(f"Completion for {shell} is in {place}. It works in the next shell that you open.")
    ctx.exit()


def _write(shell: str, script: str) -> Path:
    home = Path.home()
    if shell == "fish":
        return _written(home / ".config" / "fish" / "completions" / "perdure.fish", script)
    place = _written(home / ".local" / "share" / "perdure" / f"completion.{shell}", script)
    startup = home / _STARTUP_FILES[shell]
    line = f'source "{place}"'
    before = startup.read_text("utf-8") if startup.exists() else ""
    if line not in before.splitlines():
        gap = "" if not before or before.endswith("\n") else "\n"
        startup.write_text(f"{before}{gap}{line}\n", "utf-8")
    return place


def _written(place: Path, text: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, "utf-8")
    return place
