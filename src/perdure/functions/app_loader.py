"""An app folder (v2 model) → LoadedApp (functions-host.md §1). Imports user code."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from azure.functions.decorators.function_app import Blueprint, Function, FunctionBuilder, FunctionRegister

from perdure.functions.app_import import end_process, import_script, script_name
from perdure.functions.app_settings import AppSettings
from perdure.functions.descriptions import (
    ActivityFunction,
    DisabledFunction,
    EntityFunction,
    ForeignFunction,
    HttpFunction,
    LoadedApp,
    OrchestratorFunction,
    TimerFunction,
)
from perdure.functions.indexing import Description, IndexingOptions, function_name, index_function, place_of
from perdure.functions.load_errors import AppLoadError, indexing_failure
from perdure.functions.schedules import read_zone

IMPORT_SECONDS = 30.0


def load_app(
    folder: Path,
    settings: AppSettings,
    *,
    allowed: Sequence[str] | None = None,
    import_seconds: float = IMPORT_SECONDS,
    give_up: Callable[[AppLoadError], None] = end_process,
) -> LoadedApp:
    """Import the app in ``folder`` and describe its functions; ``allowed`` keeps only those names.

    Changes the working directory to the folder and puts it on ``sys.path``. Raises AppLoadError when anything in
    it cannot run; an import that does not end is left to ``give_up`` after ``import_seconds``.
    """
    folder = folder.resolve()
    script = folder / script_name(settings)
    v1_names = _v1_folders(folder)
    if not script.is_file():
        raise AppLoadError(_without_script(script, v1_names))
    module = import_script(script, seconds=import_seconds, give_up=give_up)
    app = _register_of(vars(module), script)
    functions = _functions_of(app, folder)
    warnings: list[str] = []
    zone = _time_zone(settings, warnings)
    descriptions = _index_all(functions, IndexingOptions(folder, settings, zone))
    if v1_names:
        warnings.append(f"{script.name} is there, so these folders with a function.json are ignored: {v1_names}.")
    if not functions:
        warnings.append(f"No functions were found in {script.name}.")
    return _sort_out(LoadedApp(folder, script.name), _allowed(descriptions, allowed, warnings), warnings)


def _time_zone(settings: AppSettings, warnings: list[str]) -> ZoneInfo:
    """The zone of cron expressions. A machine's TZ has forms that are no zone name, so that one only warns."""
    try:
        if name := settings.get("WEBSITE_TIME_ZONE"):
            return read_zone(name)
    except ValueError as error:
        raise AppLoadError(f"The setting WEBSITE_TIME_ZONE: {error}.") from error
    try:
        return read_zone(settings.get("TZ") or "UTC")
    except ValueError as error:
        warnings.append(f"The variable TZ: {error}; timers run by UTC.")
        return read_zone("UTC")


def _v1_folders(folder: Path) -> str:
    if not folder.is_dir():
        raise AppLoadError(f"The app folder {folder} does not exist.")
    return ", ".join(sorted(path.parent.name for path in folder.glob("*/function.json")))


def _without_script(script: Path, v1_names: str) -> str:
    if v1_names:
        return (
            f"There is no {script.name} in {script.parent}, only folders with a function.json ({v1_names}). "
            "This version runs the v2 programming model: functions declared with decorators."
        )
    return f"There is no {script.name} in {script.parent}. Give the app's folder: perdure start APP_DIR"


def _register_of(names: dict[str, Any], script: Path) -> FunctionRegister:
    found: dict[int, tuple[str, FunctionRegister]] = {}
    for name, value in names.items():
        if isinstance(value, FunctionRegister):
            found.setdefault(id(value), (name, value))
    if len(found) == 1:
        return next(iter(found.values()))[1]
    if found:
        shown = ", ".join(name for name, _ in found.values())
        raise AppLoadError(
            f"{script.name} has more than one function app: {shown}. Keep one; make the others blueprints."
        )
    blueprints = ", ".join(name for name, value in names.items() if isinstance(value, Blueprint))
    hint = (
        f" It has the blueprint {blueprints}; register it: app.register_functions({blueprints})." if blueprints else ""
    )
    raise AppLoadError(
        f"{script.name} has no function app. Write app = func.FunctionApp() or app = df.DFApp() at its top level.{hint}"
    )


def _functions_of(app: FunctionRegister, folder: Path) -> list[Function]:
    try:
        return app.get_functions()
    except Exception as error:
        # The library stops at the first bad function and only names it. Its list of builders has no public name.
        builders = cast(list[FunctionBuilder], getattr(app, "_function_builders", []))
        raise _unbuildable(error, app, builders, folder) from error


def _unbuildable(
    error: Exception, app: FunctionRegister, builders: Iterable[FunctionBuilder], folder: Path
) -> AppLoadError:
    problems: list[str] = []
    built: list[Function] = []
    for builder in builders:
        try:
            built.append(builder.build(app.auth_level))
        except Exception as reason:
            code = cast(Function, getattr(builder, "_function", None))
            problems.append(_problem(code, folder, f"{type(reason).__name__}: {reason}"))
    problems += _duplicates([(function_name(f), f) for f in built], folder)
    return indexing_failure(problems or [f"{type(error).__name__}: {error}"], {function_name(f) for f in built})


def _index_all(functions: Sequence[Function], options: IndexingOptions) -> list[Description]:
    problems = _duplicates([(function_name(f), f) for f in functions], options.folder)
    descriptions: list[Description] = []
    registered: list[tuple[str, Function]] = []
    others: list[str] = []
    for function in functions:
        try:
            description = index_function(function, options)
        except ValueError as error:
            problems.append(_problem(function, options.folder, str(error)))
            continue
        descriptions.append(description)
        others.append(function_name(function))
        match description:
            case ActivityFunction(registered_name=name):
                registered.append((f"activity {name}", function))
            case OrchestratorFunction(definition=definition):
                registered.append((f"orchestrator {definition.name}", function))
            case EntityFunction(definition=definition):
                registered.append((f"entity {definition.name}", function))
            case _:
                pass
    problems += _duplicates(registered, options.folder)
    if problems:
        raise indexing_failure(dict.fromkeys(problems), others)
    return descriptions


def _duplicates(named: Iterable[tuple[str, Function]], folder: Path) -> list[str]:
    problems: list[str] = []
    first: dict[str, Function] = {}
    for name, function in named:
        other = first.setdefault(name.lower(), function)
        if other is not function:
            where = place_of(other.get_user_function(), folder)
            problems.append(_problem(function, folder, f"has the same name ('{name}') as the one in {where}"))
    return problems


def _problem(function: Function, folder: Path, reason: str) -> str:
    return f"function '{function_name(function)}' ({place_of(function.get_user_function(), folder)}): {reason}"


def _allowed(
    descriptions: Iterable[Description], allowed: Sequence[str] | None, warnings: list[str]
) -> list[Description]:
    if allowed is None:
        return list(descriptions)
    wanted = {name.lower(): name for name in allowed}
    kept = [d for d in descriptions if name_of(d).lower() in wanted]
    unknown = sorted(wanted[name] for name in wanted.keys() - {name_of(d).lower() for d in kept})
    if unknown:
        warnings.append(f"The list of functions to run names unknown ones: {', '.join(unknown)}.")
    return kept


def name_of(description: Description) -> str:
    """The function's own name."""
    match description:
        case HttpFunction(call=call) | TimerFunction(call=call) | ActivityFunction(call=call):
            return call.name
        case OrchestratorFunction(name=name) | EntityFunction(name=name):
            return name
        case ForeignFunction(name=name) | DisabledFunction(name=name):
            return name


def _sort_out(app: LoadedApp, descriptions: Sequence[Description], warnings: list[str]) -> LoadedApp:
    foreign = tuple(d for d in descriptions if isinstance(d, ForeignFunction))
    if foreign:
        shown = ", ".join(f"{d.name} ({d.trigger})" for d in foreign)
        warnings.append(f"These functions have triggers that do not exist here and are not run: {shown}.")
    return replace(
        app,
        http=tuple(d for d in descriptions if isinstance(d, HttpFunction)),
        timers=tuple(d for d in descriptions if isinstance(d, TimerFunction)),
        orchestrators=tuple(d for d in descriptions if isinstance(d, OrchestratorFunction)),
        activities=tuple(d for d in descriptions if isinstance(d, ActivityFunction)),
        entities=tuple(d for d in descriptions if isinstance(d, EntityFunction)),
        foreign=foreign,
        disabled=tuple(d for d in descriptions if isinstance(d, DisabledFunction)),
        warnings=tuple(warnings),
    )
