"""Runs the Functions host in this process, or under a reloading parent, and tells the user what goes on."""

import asyncio
import logging
import os
import socket
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click

from perdure import __version__
from perdure.cli.debugging import debugger_door, hold_one_thread, open_door, spare_this_thread, worker_arguments
from perdure.cli.exit_codes import FAILURE, OK
from perdure.cli.output import fail, print_error, wants_color
from perdure.functions.load_errors import AppLoadError
from perdure.functions.local_settings import LocalSettingsError
from perdure.functions.logging_setup import configure_logging
from perdure.functions.setting_tree import HostJsonError
from perdure.host import sdk_choice
from perdure.host.assembly import FunctionsHost
from perdure.host.lifecycle import Announcements, RestartAsked, listening_socket, run_host
from perdure.host.options import StartFailed, StartOptions
from perdure.host.reload import LISTEN_FD, Reloader, python_command
from perdure.host.running_process import exit_on_signals
from perdure.host.settings import Settings, read_settings
from perdure.sdks import SdkAlreadyImported
from perdure.storage.places import ServerPlace

logger = logging.getLogger("perdure.host")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How this process runs a host, besides what the host is told. ``start_seconds_max`` None: as long as it takes."""

    debug: bool = False
    debug_port: int | None = None
    waits_for_debugger: bool = False
    worker_arguments: str | None = None
    has_json_output: bool = False
    json_file: Path | None = None
    start_seconds_max: float | None = None


def run_app(options: StartOptions, run: RunOptions) -> int:
    """Run until a signal; returns the exit code."""
    began = os.getcwd(), dict(os.environ)
    settings = _settings(options)
    _configure_log(settings, run)
    exit_on_signals()
    arguments = run.worker_arguments or worker_arguments(os.environ)
    door = debugger_door(run.debug_port, waits=run.waits_for_debugger, arguments=arguments)
    if door is not None:
        open_door(door)
    hold_one_thread()
    patience = StartPatience(run.start_seconds_max)
    patience.begin()
    debug = run.debug
    try:
        bound = listening_socket(settings)
        code = _run(settings, bound, patience)
    except RestartAsked as asked:
        _begin_again(asked.listening, *began)
    except StartFailed as error:
        fail(str(error), error.code)
    except SdkAlreadyImported as error:
        fail(str(error), FAILURE)
    except Exception as error:
        if debug:
            traceback.print_exc()
        fail(f"The host ended with an error: {type(error).__name__}: {error} (more with --debug)", FAILURE)
    _end(code)
    return code


def _begin_again(listening: socket.socket, folder: str, environment: dict[str, str]) -> NoReturn:
    """Become a new process of the same command, which finds the port open, so that no caller is refused."""
    listening.set_inheritable(True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(folder)
    command = python_command(*sys.argv[1:])
    os.execve(command[0], command, {**environment, LISTEN_FD: f"{listening.fileno()},restart"})


def run_reloading(options: StartOptions) -> int:
    """Hold the port and run the app in a child that is replaced when sources change."""
    settings = _settings(options)
    try:
        bound = listening_socket(settings)
    except StartFailed as error:
        fail(str(error), error.code)
    bound.set_inheritable(True)
    arguments = [a for a in sys.argv[1:] if a != "--reload"]
    folders = [settings.app_folder, *(settings.app_folder / f for f in settings.host.watch_directories)]
    say = lambda text: click.echo(f"perdure: {text}")  # noqa: E731 - one word of glue
    reloader = Reloader(python_command(*arguments), python_command(*arguments, "--check"), folders, bound.fileno(), say)
    return reloader.run()


def check_app(options: StartOptions) -> int:
    """Load the app and say what is wrong with it; runs nothing."""
    from perdure.functions.app_loader import load_app

    settings = _settings(options)
    try:
        sdk = sdk_choice.prepare(settings.sdk)
    except StartFailed as error:
        fail(str(error), error.code)
    try:
        load_app(settings.app_folder, settings.app, allowed=settings.functions, retry=settings.host.retry, sdk=sdk)
    except AppLoadError as error:
        fail(str(error), FAILURE)
    return OK


def _settings(options: StartOptions) -> Settings:
    try:
        return read_settings(options, os.environ)
    except StartFailed as error:
        fail(str(error), error.code)
    except (LocalSettingsError, HostJsonError, ValueError) as error:
        fail(str(error), FAILURE)


def _configure_log(settings: Settings, run: RunOptions) -> None:
    handler = configure_logging(settings.log_levels)
    if not (run.has_json_output or run.json_file):
        return
    from perdure.cli.json_log import JsonFormatter, json_file_handler

    if run.json_file is None:
        handler.setFormatter(JsonFormatter())
        return
    try:
        logging.getLogger().addHandler(json_file_handler(run.json_file, handler))
    except OSError as error:
        fail(f"--json-output-file: {run.json_file} cannot be written: {error.strerror}.", FAILURE)


class StartPatience:
    """Ends a process whose host is not ready in time: an app's import may never return."""

    def __init__(self, seconds_max: float | None) -> None:
        self._seconds_max = seconds_max
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Count from now."""
        if self._seconds_max is not None:
            self._timer = threading.Timer(self._seconds_max, self._end)
            self._timer.daemon = True
            self._timer.start()

    def ready(self) -> None:
        """It is ready: nothing ends any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        print_error(f"The host was not ready in {self._seconds_max:g} s (--timeout); its app was still being imported.")
        sys.stdout.flush()
        os._exit(FAILURE)


def _run(settings: Settings, bound: socket.socket, patience: StartPatience) -> int:
    def ready(host: FunctionsHost) -> None:
        patience.ready()
        spare_this_thread()
        _say_ready(host)

    say = Announcements(_say_opened, ready, _say)
    main = run_host(settings, bound, say)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def _end(code: int) -> None:
    """Leave without waiting for user code that will not return."""
    stuck = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    if stuck:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _say(text: str) -> None:
    click.echo(text)


def _say_opened(host: FunctionsHost) -> None:
    settings = host.settings
    python = ".".join(str(n) for n in sys.version_info[:3])
    store = host.hub.storage.describe()
    # A server's store is described with the hub.
    hub = "" if isinstance(host.hub.place, ServerPlace) else f"; hub {settings.hub_name}"
    click.echo(f"perdure {__version__}   (Python {python}; {store}{hub})")
    click.echo(sdk_choice.describe(settings.sdk))
    for notice in settings.notices:
        print_error(f"Note: {notice}")
    if settings.app.get("AzureWebJobsStorage"):
        logger.info("AzureWebJobsStorage is set and never opened: the store is %s.", settings.hub.place.shown)


def _say_ready(host: FunctionsHost) -> None:
    assert host.app is not None
    for warning in host.app.warnings:
        print_error(f"Note: {warning}")
    colored = wants_color(sys.stdout)
    click.echo()
    for line in host.listing():
        click.echo(click.style(line, fg="yellow") if colored and "http://" in line else line)
    example = _example(host)
    if example:
        click.echo(f"Try: {example}")
    if host.settings.grpc_port is not None:
        click.echo(
            f"gRPC: http://localhost:{host.settings.grpc_port} (this machine only; hub {host.settings.hub_name})"
        )
    if host.settings.checks_keys:
        click.echo(f"Callers need keys: perdure keys list --script-root {host.settings.app_folder}")
    click.echo("For more detail run with --verbose. Ctrl+C stops.\n")
    sys.stdout.flush()


def _example(host: FunctionsHost) -> str | None:
    """One curl line that starts an orchestration, through the app's own starter when it has one for any name."""
    app = host.app
    assert app is not None
    if not app.orchestrators:
        return None
    orchestrator = app.orchestrators[0].definition.name
    prefix = host.settings.host.http.route_prefix
    for function in app.http:
        route = function.route
        if (
            route.count("{") == 1
            and "function" in route.lower()
            and (not function.methods or "POST" in function.methods)
        ):
            path = route[: route.index("{")] + orchestrator + route[route.index("}") + 1 :]
            return f"curl -X POST {host.url}/{f'{prefix}/' if prefix else ''}{path}"
    return f"curl -X POST {host.url}/runtime/webhooks/durabletask/orchestrators/{orchestrator}"
