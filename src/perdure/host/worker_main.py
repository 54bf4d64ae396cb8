"""What a worker process runs: import the app, then serve its plain activities to the host."""

import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode, Registry
from perdure.execution import debugger
from perdure.execution.worker_processes import WorkerProcesses
from perdure.execution.worker_side import end_with_host, serve
from perdure.formats.http_json import LinkTerms
from perdure.functions.activities import fill_registry
from perdure.functions.app_loader import load_app
from perdure.functions.app_settings import AppSettings
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import ActivityFunction, LoadedApp
from perdure.functions.load_errors import AppLoadError
from perdure.functions.logging_setup import LogLevels, configure_logging
from perdure.host import sdk_choice
from perdure.host.options import Sdk, StartFailed
from perdure.host.settings import Settings

_BEGIN = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])["path"]
from perdure.host.worker_main import main
main(sys.argv[1], int(sys.argv[2]))
"""


@dataclass(frozen=True, slots=True)
class WorkerOrders:
    """What a worker process is told. ``path`` is the host's ``sys.path``, so that both find the same modules."""

    app_folder: str
    functions: tuple[str, ...] | None
    sdk: Sdk
    threads_max: int
    levels: LogLevels
    path: tuple[str, ...]

    def command(self, connection: int) -> Sequence[str]:
        """The command line of a worker whose connection is that file."""
        return [sys.executable, "-c", _BEGIN, msgspec.json.encode(self).decode(), str(connection)]


def main(written: str, connection: int) -> None:
    """Serve until the host ends; ends this process."""
    end_with_host()
    orders = msgspec.json.decode(written, type=WorkerOrders)
    configure_logging(orders.levels)
    registry = Registry()
    try:
        sdk = sdk_choice.prepare(orders.sdk)
        app = load_app(Path(orders.app_folder), AppSettings(os.environ), allowed=orders.functions, sdk=sdk)
    except (AppLoadError, StartFailed) as error:
        sys.exit(f"A worker process cannot load the app.\n{error}")
    fill_registry(app, registry, sdk.codec(), ClientTexts(LinkTerms("", "", "", None), ""))
    serve(socket.socket(fileno=connection), registry, orders.threads_max)


def worker_processes(settings: Settings) -> WorkerProcesses:
    """The processes that the settings ask for; not started."""
    orders = WorkerOrders(
        app_folder=str(settings.app_folder),
        functions=settings.functions,
        sdk=settings.sdk,
        threads_max=settings.threads_max,
        levels=settings.log_levels,
        path=tuple(sys.path),
    )
    seconds_max = settings.hub.execution.activity_seconds_max
    return WorkerProcesses(orders.command, settings.processes, seconds_max=seconds_max)


def sent_to_workers(app: LoadedApp, registry: Registry, call: Callable[[ActivityCall], str | None]) -> None:
    """Let ``call`` run the app's plain activities; those that need a durable client stay in this process."""
    for activity in app.activities:
        if not activity.call.is_async and not activity.call.clients:
            key = activity.registered_name.lower()
            registry.activities[key] = _elsewhere(activity, registry.activities[key], call)


def _elsewhere(
    activity: ActivityFunction, definition: ActivityDefinition, call: Callable[[ActivityCall], str | None]
) -> ActivityDefinition:
    here = definition.run

    def run(given: ActivityCall) -> str | None:
        # Whoever debugs the host has set breakpoints here and not in processes that no debugger knows.
        return here(given) if debugger.is_attached() else call(given)

    return ActivityDefinition(activity.registered_name, run, ActivityMode.THREAD)
