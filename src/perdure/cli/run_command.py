"""`perdure run`: a portable program with our `durabletask`, whatever else is installed (architecture.md §11)."""

import os
import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import click

from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand
from perdure.cli.output import fail

_PROGRAM_CONTEXT = {**CONTEXT, "ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("run", cls=ForgivingCommand, context_settings=_PROGRAM_CONTEXT)
@click.option("-m", "module", help="Run a module, as python -m does.")
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
def run(module: str | None, program: tuple[str, ...]) -> None:
    """Run a portable program with perdure's SDK.

    That one comes first, also where the official package is installed. The program runs as python runs it, in the
    environment that is active or beside it, with ARGS for itself.

    Example: perdure run app.py --its-own-option
    """
    if module is None and not program:
        fail("Say which program: perdure run app.py, or perdure run -m package.module.", USAGE)
    file = None if module is not None else Path(program[0])
    if file is not None and not file.exists():
        fail(f"There is no program {file}.", USAGE)
    _use_the_programs_interpreter(Path.cwd() if file is None else file.resolve().parent)
    _prefer_our_sdks()
    if file is None:
        assert module is not None, "one of both is given"
        # As python -m: the working folder is where modules are looked for.
        sys.path[0:1] = [os.getcwd()]
        sys.argv = [module, *program]
        name = module
        _run(lambda: runpy.run_module(name, run_name="__main__", alter_sys=True))
    else:
        place = str(file)
        if file.is_file():
            sys.path[0:1] = [str(file.resolve().parent)]
        sys.argv = list(program)
        _run(lambda: runpy.run_path(place, run_name="__main__"))


def _use_the_programs_interpreter(folder: Path) -> None:
    from perdure.host.interpreter import PerdureMissing, interpreter_for, restart_in

    try:
        python = interpreter_for(folder, os.environ)
    except PerdureMissing as error:
        fail(str(error), FAILURE)
    if python is not None:
        restart_in(python, sys.argv[1:])


def _prefer_our_sdks() -> None:
    from perdure.sdks import SdkAlreadyImported, prefer_ours

    try:
        prefer_ours()
    except SdkAlreadyImported as error:
        fail(str(error), FAILURE)


def _run(program: Callable[[], object]) -> None:
    """Ends the process as python would: with the program's exit code, or its traceback and 1."""
    try:
        program()
    except KeyboardInterrupt as error:
        _print(error)
        sys.exit(130)
    except Exception as error:
        _print(error)
        sys.exit(FAILURE)


def _print(error: BaseException) -> None:
    """The traceback from the program's own first line on."""
    sys.stdout.flush()
    traceback.print_exception(type(error), error, _own_part(error.__traceback__))


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    before = (__file__, "<frozen runpy>", runpy.__file__)
    own = trace
    while own is not None and own.tb_frame.f_code.co_filename in before:
        own = own.tb_next
    return own or trace
