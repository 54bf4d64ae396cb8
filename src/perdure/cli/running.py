"""Runs the Functions host in this process, or under a reloading parent, and tells the user what goes on."""

import asyncio
import logging
import os
import socket
import sys
import threading
import traceback

import click

from perdure import __version__
from perdure.cli.exit_codes import FAILURE, OK
from perdure.cli.output import fail, print_error, wants_color
from perdure.functions.load_errors import AppLoadError
from perdure.functions.local_settings import LocalSettingsError
from perdure.functions.logging_setup import configure_logging
from perdure.functions.setting_tree import HostJsonError
from perdure.host import sdk_choice
from perdure.host.assembly import FunctionsHost
from perdure.host.lifecycle import Announcements, exit_on_signals, listening_socket, run_host
from perdure.host.options import StartFailed, StartOptions
from perdure.host.reload import Reloader, python_command
from perdure.host.settings import Settings, read_settings
from perdure.sdks import SdkAlreadyImported

logger = logging.getLogger("perdure.host")


def run_app(options: StartOptions, *, debug: bool) -> int:
    """Run until a signal; returns the exit code."""
    settings = _settings(options)
    configure_logging(settings.log_levels)
    exit_on_signals()
    try:
        bound = listening_socket(settings)
        code = _run(settings, bound)
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


def run_reloading(options: StartOptions, *, debug: bool) -> int:
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


def check_app(options: StartOptions, *, debug: bool) -> int:
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


def _run(settings: Settings, bound: socket.socket) -> int:
    say = Announcements(_say_opened, _say_ready, _say)
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
    click.echo(f"perdure {__version__}   (Python {python}; {host.hub.storage.describe()}; hub {settings.hub_name})")
    click.echo(sdk_choice.describe(settings.sdk))
    for notice in settings.notices:
        print_error(f"Note: {notice}")
    if settings.app.get("AzureWebJobsStorage"):
        logger.info("AzureWebJobsStorage is set and never opened: the store is %s.", settings.hub.store_url)


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
