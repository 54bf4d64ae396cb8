"""An app folder, of either programming model → LoadedApp (functions-host.md §1). Imports user code."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from azure.functions.decorators.function_app import Blueprint, DecoratorApi, Function, FunctionBuilder, FunctionRegister

from perdure.functions.app_import import end_process, import_script, script_name
from perdure.functions.app_settings import AppSettings
from perdure.functions.declared_functions import declared_by_decorators, function_name, place_of
from perdure.functions.descriptions import (
    ActivityFunction,
    BrokenFunction,
    DisabledFunction,
    EntityFunction,
    ForeignFunction,
    HttpFunction,
    LoadedApp,
    OrchestratorFunction,
    TimerFunction,
)
from perdure.functions.indexing import Description, IndexingOptions, index_function
from perdure.functions.load_errors import AppLoadError, indexing_failure
from perdure.functions.retry_policies import RetryPolicy
from perdure.functions.schedules import read_zone
from perdure.functions.sdk_side import OWN_SDK, SdkSide

IMPORT_SECONDS = 30.0


def load_app(
    folder: Path,
    settings: AppSettings,
    *,
    allowed: Sequence[str] | None = None,
    retry: RetryPolicy | None = None,
    sdk: SdkSide = OWN_SDK,
    import_seconds: float = IMPORT_SECONDS,
    give_up: Callable[[AppLoadError], None] = end_process,
) -> LoadedApp:
    """Import the app in ``folder`` and describe its functions; ``allowed`` keeps only those names.

    ``retry`` is for functions without a retry policy of their own; ``sdk`` is the one the app runs on.
    Changes the working directory to the folder and puts it on ``sys.path``. Raises AppLoadError when the app cannot
    run: for decorators, when anything in it is wrong; for folders with a function.json, when nothing in it is right.
    An import that does not end is left to ``give_up`` after ``import_seconds``.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise AppLoadError(f"The app folder {folder} does not exist.")
    script = folder / script_name(settings)
    folders = _function_folders(folder)
    if not script.is_file() and not folders:
        raise AppLoadError(f"There is no {script.name} in {folder}. Give the app's folder: perdure start APP_DIR")
    warnings: list[str] = []
    options = IndexingOptions(folder, settings, _time_zone(settings, warnings), retry, sdk)
    if script.is_file():
        module = import_script(script, seconds=import_seconds, give_up=give_up)
        app = _register_of(vars(module), script)
        _take_in_default_blueprint(app, warnings)
        functions = _functions_of(app, folder)
        ignored = ", ".join(path.name for path in folders)
        if functions or not folders:
            descriptions = _index_all(functions, options)
            if folders:
                warnings.append(
                    f"{script.name} is there, so these folders with a function.json are ignored: {ignored}."
                )
            if not functions:
                warnings.append(f"No functions were found in {script.name}.")
            return _sort_out(LoadedApp(folder, script.name), _allowed(descriptions, allowed, warnings), warnings)
        warnings.append(f"No functions were found in {script.name}; the folders with a function.json run: {ignored}.")
    # Most apps have none, and need not pay for it.
    from perdure.functions.v1_loader import load_folders

    kept, broken = load_folders(
        _allowed_folders(folders, allowed), options, import_seconds=import_seconds, give_up=give_up
    )
    _check_broken(kept, broken)
    warnings += [f"{function.reason}\nThe other functions run." for function in broken]
    return _sort_out(LoadedApp(folder, None, broken=broken), _allowed(kept, allowed, warnings), warnings)


def _function_folders(folder: Path) -> list[Path]:
    """The folders of an app that hold a function.json, by name."""
    return sorted(
        (path.parent for path in folder.glob("*/function.json")), key=lambda path: (path.name.lower(), path.name)
    )


def _allowed_folders(folders: Sequence[Path], allowed: Sequence[str] | None) -> list[Path]:
    """What is not to run is not imported either."""
    wanted = None if allowed is None else {name.lower() for name in allowed}
    return [path for path in folders if wanted is None or path.name.lower() in wanted]


def _check_broken(kept: Sequence[Description], broken: Sequence[BrokenFunction]) -> None:
    if broken and not kept:
        reasons = "\n".join(function.reason for function in broken)
        raise AppLoadError(f"None of the app's functions can run.\n{reasons}")


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


def _take_in_default_blueprint(app: FunctionRegister, warnings: list[str]) -> None:
    """Register what the durable SDK's own decorators decorated, where the app has not done so."""
    sdk = sys.modules.get("azure.durable_functions")
    blueprint: Any = getattr(sdk, "default_blueprint", None)
    if not isinstance(blueprint, DecoratorApi):
        return
    registered = {id(builder) for builder in _builders_of(app)}
    if any(id(builder) not in registered for builder in _builders_of(blueprint)):
        app.register_functions(blueprint)
        warnings.append(
            "Functions decorated with azure.durable_functions' own decorators were registered for you; "
            "write app.register_functions(df.default_blueprint)."
        )


def _builders_of(container: Any) -> list[FunctionBuilder]:
    """The builders of an app or blueprint; the library has no public name for them."""
    return cast(list[FunctionBuilder], getattr(container, "_function_builders", []))


def _functions_of(app: FunctionRegister, folder: Path) -> list[Function]:
    try:
        return app.get_functions()
    except Exception as error:
        # The library stops at the first bad function and only names it.
        raise _unbuildable(error, app, _builders_of(app), folder) from error


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
            description = index_function(declared_by_decorators(function, options.folder), options)
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
        case (
            HttpFunction(call=call)
            | TimerFunction(call=call)
            | ActivityFunction(call=call)
            | ForeignFunction(call=call)
        ):
            return call.name
        case OrchestratorFunction(name=name) | EntityFunction(name=name) | DisabledFunction(name=name):
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
