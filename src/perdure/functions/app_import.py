"""Importing the app's script: its folder first on the path, a time limit, and the author's own errors."""

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from perdure.functions.app_settings import AppSettings
from perdure.functions.load_errors import AppLoadError, endless_import, import_failure

DEFAULT_SCRIPT = "function_app.py"
_SCRIPT_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py")


def script_name(settings: AppSettings) -> str:
    """The app's script by the setting PYTHON_SCRIPT_FILE_NAME. Raises AppLoadError for a name that is none."""
    name = settings.get("PYTHON_SCRIPT_FILE_NAME") or DEFAULT_SCRIPT
    if _SCRIPT_NAME.fullmatch(name) is None:
        raise AppLoadError(
            f"PYTHON_SCRIPT_FILE_NAME is '{name}'; it must be a file name of letters, digits, '_', '-', ending in .py."
        )
    return name


def end_process(error: AppLoadError) -> None:
    """Say why and end the process: code that never returns cannot be stopped otherwise."""
    sys.stderr.write(f"{error}\n")
    sys.stderr.flush()
    os._exit(1)


def import_script(script: Path, *, seconds: float, give_up: Callable[[AppLoadError], None]) -> ModuleType:
    """Import the script in this thread, under its stem name, with its folder as working directory and on the path.

    Raises AppLoadError for whatever the app raises, SystemExit included. After ``seconds`` it calls ``give_up``
    on another thread, since nothing else can end an import that does not return.
    """
    stem = script.stem
    if stem in sys.stdlib_module_names:
        raise AppLoadError(f"{script.name} has the name of a module of the standard library; choose another one.")
    enter_folder(script.parent)
    with import_limit(script, script.parent, seconds=seconds, give_up=give_up):
        return imported(lambda: _import_file(stem, script), script, script.parent)


def enter_folder(folder: Path) -> None:
    """Make the app's folder the working directory, and the first place where modules are looked for."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    os.chdir(folder)
    importlib.invalidate_caches()


@contextlib.contextmanager
def import_limit(
    script: Path, folder: Path, *, seconds: float, give_up: Callable[[AppLoadError], None]
) -> Iterator[None]:
    """Call ``give_up`` on another thread when what is imported inside has not returned after ``seconds``."""
    importing = threading.get_ident()
    say = lambda: endless_import(script, folder, seconds=seconds, thread_id=importing)  # noqa: E731 - one word of glue
    watchdog = threading.Timer(seconds, lambda: give_up(say()))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def imported(begin: Callable[[], ModuleType], script: Path, folder: Path) -> ModuleType:
    """What ``begin`` imports of the app in ``folder``. Raises AppLoadError for whatever it raises, or exits."""
    try:
        return begin()
    except (KeyboardInterrupt, AppLoadError):
        raise
    except BaseException as error:  # user code: SystemExit and whatever else must not end the host silently
        raise import_failure(error, script, folder) from error


def _import_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AppLoadError(f"{path.name} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
