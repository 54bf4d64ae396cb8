"""The grammar that all commands share (cli.md §1): words in any case, flags with a value, the nearest known word."""

import difflib
from importlib import import_module
from typing import Any

import click

HELP_NAMES = ("-h", "--help", "-?")
CONTEXT = {"help_option_names": list(HELP_NAMES), "max_content_width": 100, "token_normalize_func": str.lower}
_VALUES = {"true": True, "false": False}


class ForgivingCommand(click.Command):
    """A flag may stand alone or take ``true`` or ``false``: ``--verbose``, ``--verbose=false``, ``--verbose true``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Fold the values of flags into the flags themselves."""
        return super().parse_args(ctx, _without_values(args, self._flags()))

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """The same in every context: click keeps the option that it made for the first one."""
        return list(HELP_NAMES)

    def _flags(self) -> frozenset[str]:
        flags = [p for p in self.params if isinstance(p, click.Option) and p.is_flag and not p.secondary_opts]
        return frozenset(name.lower() for flag in flags for name in flag.opts)


def _without_values(args: list[str], flags: frozenset[str]) -> list[str]:
    folded: list[str] = []
    position = 0
    while position < len(args):
        arg = args[position]
        position += 1
        if arg == "--":
            return [*folded, arg, *args[position:]]
        name, equals, text = arg.partition("=")
        if name.lower() not in flags:
            folded.append(arg)
            continue
        if not equals and position < len(args) and args[position].lower() in _VALUES:
            text = args[position]
            position += 1
        elif equals and text.lower() not in _VALUES:
            raise click.UsageError(f"{name} is true or false, not '{text}'.")
        if _VALUES.get(text.lower(), True):
            folded.append(name)
    return folded


class ForgivingGroup(click.Group):
    """Knows commands without case and names the nearest one for a word it does not know."""

    command_class = ForgivingCommand

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._places: dict[str, str] = {}

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """The same in every context, as for commands."""
        return list(HELP_NAMES)

    def import_on_use(self, name: str, place: str) -> None:
        """Add the command at ``module:attribute``, whose module is imported when somebody asks for the command."""
        self._places[name] = place

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all, imported or not."""
        return sorted({*super().list_commands(ctx), *self._places})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, whatever its case."""
        return self._command(ctx, cmd_name) or self._command(ctx, cmd_name.lower())

    def _command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self._places:
            module, _, attribute = self._places.pop(name).partition(":")
            self.add_command(getattr(import_module(module), attribute), name)
        return super().get_command(ctx, name)

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


ForgivingGroup.group_class = ForgivingGroup
