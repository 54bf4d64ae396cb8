"""The v1 model: folders with a function.json and a script (functions-host.md §1.2). Imports user code."""

import importlib
import sys
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from azure.functions.decorators.function_app import FunctionBuilder

from perdure.functions.app_import import enter_folder, import_limit, imported
from perdure.functions.declared_functions import DeclaredFunction
from perdure.functions.descriptions import (
    ActivityFunction,
    BrokenFunction,
    EntityFunction,
    OrchestratorFunction,
)
from perdure.functions.function_json import FILE_NAME, FunctionFile, FunctionJsonError, read_function_file
from perdure.functions.indexing import Description, IndexingOptions, index_function
from perdure.functions.load_errors import AppLoadError

PACKAGE = "__app__"
"""What apps of this model know their root as: ``from __app__.shared import x``."""

_PREFERRED = ("run.py", "__init__.py")


def load_folders(
    folders: Iterable[Path],
    options: IndexingOptions,
    *,
    import_seconds: float,
    give_up: Callable[[AppLoadError], None],
) -> tuple[list[Description], tuple[BrokenFunction, ...]]:
    """Import and describe one function per folder; what is wrong with one leaves out only that one."""
    enter_folder(options.folder)
    mount_app_package(options.folder)
    kept: list[Description] = []
    broken: list[BrokenFunction] = []
    taken: dict[tuple[str, str], str] = {}
    for folder in folders:
        try:
            file = read_function_file(folder)
            script = script_of(folder, file, options.folder)
            with import_limit(script, options.folder, seconds=import_seconds, give_up=give_up):
                module = import_of_app(script, options.folder)
            description = index_function(_declared(folder, file, module, options), options)
            _take_names(description, folder.name, taken)
        except FunctionJsonError as error:
            broken.append(BrokenFunction(folder.name, f"Function '{folder.name}': {error}"))
        except (AppLoadError, ValueError) as error:
            # Indexing says what the function has; the others say a sentence of their own.
            separator = " " if isinstance(error, ValueError) else ": "
            where = f"Function '{folder.name}' ({folder.name}/{FILE_NAME})"
            broken.append(BrokenFunction(folder.name, f"{where}{separator}{error}"))
        else:
            kept.append(description)
    return kept, tuple(broken)


def mount_app_package(folder: Path) -> None:
    """Make the app's folder importable as the package ``__app__``; what an earlier app left there goes."""
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[PACKAGE] = module_from_spec(spec)


def script_of(folder: Path, file: FunctionFile, root: Path) -> Path:
    """The function's script. Raises AppLoadError when there is none, or not one, or when it is outside the app."""
    if file.script_file is None:
        return _only_script(folder)
    script = (folder / file.script_file).resolve()
    if root not in script.parents:
        raise AppLoadError(f"scriptFile is '{file.script_file}', which is outside the app's folder.")
    if not script.is_file():
        raise AppLoadError(f"scriptFile is '{file.script_file}', and there is no such file.")
    if script.suffix != ".py":
        raise AppLoadError(f"scriptFile is '{file.script_file}', which is not a Python file.")
    return script


def import_of_app(script: Path, root: Path) -> ModuleType:
    """The script as a module of ``__app__``. Raises AppLoadError for whatever it raises."""
    parts = list(script.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return imported(lambda: importlib.import_module(".".join([PACKAGE, *parts])), script, root)


def _only_script(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != FILE_NAME)
    if len(files) == 1 and files[0].suffix == ".py":
        return files[0]
    named = {path.name.lower(): path for path in files}
    for name in _PREFERRED:
        if name in named:
            return named[name]
    found = ", ".join(path.name for path in files) or "no file besides it"
    raise AppLoadError(f"has no scriptFile, and the folder has no run.py and no __init__.py but {found}.")


def _declared(folder: Path, file: FunctionFile, module: ModuleType, options: IndexingOptions) -> DeclaredFunction:
    code: Any = getattr(module, file.entry_point, None)
    script = Path(module.__file__).name if module.__file__ else module.__name__
    if isinstance(code, FunctionBuilder):
        raise AppLoadError(
            f"its entry point '{file.entry_point}' in {script} is decorated, yet here {FILE_NAME} says what a function "
            "is. Take the decorators away, or move the function to function_app.py."
        )
    if not callable(code):
        what = "no such name" if code is None else f"a {type(code).__name__} of that name"
        raise AppLoadError(f"its entry point is '{file.entry_point}', and {script} has {what}.")
    if file.trigger["type"].lower() == "activitytrigger" and len(file.bindings) == 1:
        code = options.sdk.activity(code, file.trigger["name"])
    disabled = file.disabled
    return DeclaredFunction(
        name=folder.name,
        code=code,
        trigger=file.trigger,
        others=tuple(binding for binding in file.bindings if binding is not file.trigger),
        directory=folder,
        retry=file.retry,
        is_disabled=disabled if isinstance(disabled, bool) else options.settings.is_true(disabled),
    )


def _take_names(description: Description, folder_name: str, taken: dict[tuple[str, str], str]) -> None:
    wanted = [("function", folder_name)]
    match description:
        case ActivityFunction(registered_name=name):
            wanted.append(("activity", name))
        case OrchestratorFunction(definition=definition):
            wanted.append(("orchestrator", definition.name))
        case EntityFunction(definition=definition):
            wanted.append(("entity", definition.name))
        case _:
            pass
    for kind, name in wanted:
        other = taken.get((kind, name.lower()))
        if other is not None:
            raise ValueError(f"has the same {kind} name ('{name}') as the folder {other}")
    taken.update({(kind, name.lower()): folder_name for kind, name in wanted})
