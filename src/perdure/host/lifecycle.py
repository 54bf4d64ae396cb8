"""Start and stop order of the Functions host, and its signals."""

import asyncio
import ctypes
import errno
import ipaddress
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass

from perdure.contracts.errors import StorageError
from perdure.functions.load_errors import AppLoadError
from perdure.host.assembly import FunctionsHost
from perdure.host.http_server import HttpServer, bind
from perdure.host.key_files import KeyFilesError
from perdure.host.options import StartFailed
from perdure.host.reload import LISTEN_FD
from perdure.host.running_process import SWITCH_INTERVAL_SECONDS, spare_collections, stop_on_signals
from perdure.host.settings import Settings

REQUESTS_SECONDS_MAX = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Announcements:
    """What the user is told, and when."""

    opened: Callable[[FunctionsHost], None]
    ready: Callable[[FunctionsHost], None]
    stopping: Callable[[str], None]


def listening_socket(settings: Settings) -> socket.socket:
    """The socket to serve on: inherited from a reloading parent or from before a restart, else bound now.

    Raises StartFailed.
    """
    number, _, by_restart = os.environ.pop(LISTEN_FD, "").partition(",")
    if number:
        if not by_restart:
            _die_with_parent()
        return socket.socket(fileno=int(number))
    try:
        return bind(settings.address, settings.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartFailed(
                f"Port {settings.port} is in use. Choose another one: --port {settings.port + 1}", 1
            ) from None
        raise StartFailed(f"Cannot listen on {settings.address}:{settings.port}: {error.strerror}.", 1) from None


class RestartAsked(Exception):
    """The host has stopped and is to be started again; ``listening`` has kept the port meanwhile."""

    def __init__(self, listening: socket.socket) -> None:
        super().__init__("The host is to be started again.")
        self.listening = listening


async def run_host(settings: Settings, bound: socket.socket, say: Announcements) -> int:
    """Run until a signal; returns the exit code: 0 after a clean stop, 1 after a failure or a cut-off activity.

    Raises StartFailed; RestartAsked when the admin endpoint asked for it.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    stop = asyncio.Event()
    tls = _tls(settings)
    host = await _opened(settings)
    server: HttpServer | None = None
    try:
        say.opened(host)
        try:
            await host.load()
        except (AppLoadError, KeyFilesError) as error:
            raise StartFailed(str(error), 1) from error
        except StorageError as error:
            raise StartFailed(str(error), 3) from error
        assert host.door is not None
        spare_collections()
        stop_on_signals(stop)
        await host.start()
        server = HttpServer(host.door)
        await server.start(bound, tls)
        say.ready(host)
        failure = await _until_stopped(host, stop)
        if failure is not None:
            say.stopping(f"The host stops because its store or engine failed: {failure}")
            return 1
        say.stopping("Stopping: running activities may finish.")
        kept = bound.dup() if host.condition.restart_asked.is_set() else None
        server.stop_listening()
        # Requests under way need no partition here.
        host.hub.leave()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + settings.grace_seconds
        finished = await server.finish(min(settings.grace_seconds, REQUESTS_SECONDS_MAX))
        drained = await host.stop(max(deadline - loop.time(), 0))
        if not (drained and finished):
            say.stopping("The grace period is over: what still runs is cut off and runs again after the next start.")
        if kept is not None:
            raise RestartAsked(kept)
        return 0 if drained and finished else 1
    finally:
        if server is not None:
            server.stop_listening()
        await host.stop(0)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.https is None:
        return None
    names = {"localhost", "127.0.0.1", "::1"}
    if not ipaddress.ip_address(settings.address).is_unspecified:
        names.add(settings.address)
    from perdure.host.certificates import tls_context

    return tls_context(settings.https, folder=settings.app_folder / ".perdure", names=names)


async def _opened(settings: Settings) -> FunctionsHost:
    try:
        host = FunctionsHost(settings)
        await host.open()
    except StorageError as error:
        raise StartFailed(str(error), 3) from error
    return host


async def _until_stopped(host: FunctionsHost, stop: asyncio.Event) -> BaseException | None:
    failed = host.hub.worker.failed
    assert failed is not None
    waiting = [asyncio.ensure_future(event.wait()) for event in (stop, host.condition.restart_asked)]
    try:
        await asyncio.wait([*waiting, failed], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return failed.result() if failed.done() else None


def _die_with_parent() -> None:
    """A parent that stops orderly stops its child so too; one that was killed leaves nobody to wait for activities."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
