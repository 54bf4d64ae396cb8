"""Importing the app's script: its folder first on the path, a time limit, and the author's own errors."""

import importlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable
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
    folder = str(script.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    os.chdir(folder)
    importlib.invalidate_caches()
    importing = threading.get_ident()
    watchdog = threading.Timer(seconds, lambda: give_up(endless_import(script, seconds, importing)))
    watchdog.daemon = True
    watchdog.start()
    try:
        return _import_file(stem, script)
    except (KeyboardInterrupt, AppLoadError):
        raise
    except BaseException as error:  # user code: SystemExit and whatever else must not end the host silently
        raise import_failure(error, script) from error
    finally:
        watchdog.cancel()


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
