"""The scheduler server: hubs, gRPC door and HTTP door in one process; start and stop order."""

import asyncio
import contextlib
import errno
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import Router

from perdure import __version__
from perdure.contracts.errors import StorageError
from perdure.grpc_api.calls import Door
from perdure.grpc_api.health_service import Health
from perdure.grpc_api.hub_choice import HubChoice
from perdure.grpc_api.server import GrpcServer, PortTaken
from perdure.host.http_server import HttpServer, bind
from perdure.host.hub_directory import HubDirectory, RunningHub
from perdure.host.hub_routes import HubRoutes, ServerHealth, hub_prefix
from perdure.host.observers import LoggingObserver
from perdure.host.open_files import connections_that_fit
from perdure.host.options import StartFailed
from perdure.host.running_process import SWITCH_INTERVAL_SECONDS, spare_collections, stop_on_signals
from perdure.host.serve_options import ServeOptions, TlsFiles
from perdure.host.server_metrics import metrics_route
from perdure.host.tokens import TokenFile, TokenFileError
from perdure.http_api.allowed_hosts import ANY_HOST, LOOPBACK_NAMES, AllowedHosts
from perdure.storage.opening import trouble_of
from perdure.storage.system_clock import SystemClock

REQUESTS_SECONDS_MAX = 5.0
LAST_CALLS_SECONDS = 1.0
"""How long answers may take to leave once the hubs have stopped."""


@dataclass(frozen=True, slots=True)
class Announcements:
    """What the user is told, and when."""

    ready: Callable[["SchedulerServer"], None]
    stopping: Callable[[str], None]


class SchedulerServer:
    """Everything of a running server. ``open``, ``start`` and ``stop`` belong to one loop."""

    def __init__(self, options: ServeOptions) -> None:
        self.options = options
        self.tokens = TokenFile(options.token_file) if options.asks_tokens else None
        self.hubs = HubDirectory(options, SystemClock(), [LoggingObserver()])
        self.hubs.added = self._name_url
        self._door = Door(HubChoice(self.hubs, self.tokens))
        self.connections_max = connections_that_fit(options.connections_max)
        self._grpc = GrpcServer(options.receive_bytes_max, connections_max=self.connections_max)
        self._http: HttpServer | None = None
        self._bound: socket.socket | None = None
        self.not_ready: str | None = "The server is starting."

    async def open(self) -> None:
        """Take the ports and open the stores. Raises StartFailed."""
        options = self.options
        tls = None if options.tls is None else _tls(options.tls)
        if self.tokens is not None:
            try:
                self.tokens.read()
            except TokenFileError as error:
                raise StartFailed(str(error), 1) from error
        # Tried before the stores are opened.
        for port, option in self._grpc_ports():
            _bound(options.address, port, option).close()
        self._bound = _bound(options.address, options.http_port, "--http-port")
        try:
            await self.hubs.open()
        except StorageError as error:
            notes = getattr(error, "__notes__", None)
            raise StartFailed(f"{error}{f' ({notes[0]})' if notes else ''}", 3) from error
        self._grpc.mount_door(self._door)
        self._grpc.mount_health(Health(lambda: self._why_not_ready() is None, self._door.stopping).handlers())
        for port, option in self._grpc_ports():
            try:
                self._grpc.listen(options.address, port, tls)
            except PortTaken as error:
                raise StartFailed(f"Cannot listen on {options.address}:{port} ({option}): {error}", 1) from error

    async def start(self) -> None:
        """Take calls."""
        options, bound = self.options, self._bound
        assert bound is not None, "not open"
        await self._grpc.start()
        routes = [
            ServerHealth(self._facts),
            metrics_route(self.hubs, self.tokens),
            HubRoutes(self.hubs, self.tokens),
        ]
        hosts = {*LOOPBACK_NAMES, options.address} if options.is_local else {ANY_HOST}
        self._http = HttpServer(AllowedHosts(Router(routes, redirect_slashes=False), hosts))
        await self._http.start(bound, None if options.tls is None else _http_tls(options.tls))
        self.not_ready = None

    async def stop(self, grace_seconds: float) -> bool:
        """End everything; False when workers still had something, which comes again. Twice-safe."""
        self.not_ready = "The server is stopping."
        # From here on clients are refused, and those who wait are told; workers may still answer.
        self._door.stopping.set()
        self.hubs.leave()
        if self._http is not None:
            self._http.stop_listening()
            await self._http.finish(min(grace_seconds, REQUESTS_SECONDS_MAX))
        drained = await self.hubs.stop(grace_seconds)
        await self._grpc.stop(LAST_CALLS_SECONDS)
        if self._bound is not None:
            self._bound.close()
        return drained

    @property
    def http_url(self) -> str:
        """Where this machine reaches the HTTP side."""
        return f"{'http' if self.options.tls is None else 'https'}://{self._name()}:{self.options.http_port}"

    def addresses(self) -> list[str]:
        """Where gRPC clients connect."""
        scheme = "http" if self.options.tls is None else "https"
        return [f"{scheme}://{self._name()}:{port}" for port, _ in self._grpc_ports()]

    def describe_hubs(self) -> list[str]:
        """A line for each hub: its name and its store."""
        return [f"{hub.name}   ({hub.storage.describe()})" for hub in self.hubs.running()]

    def _name(self) -> str:
        address = self.options.address
        if address in ("127.0.0.1", "0.0.0.0", "::", "::1"):
            return "localhost"
        return f"[{address}]" if ":" in address else address

    def _grpc_ports(self) -> list[tuple[int, str]]:
        ports = [(self.options.grpc_port, "--grpc-port")]
        if self.options.sidecar_port is not None:
            ports.append((self.options.sidecar_port, "--sidecar-port"))
        return ports

    def _name_url(self, hub: RunningHub) -> None:
        # Commands on a store that is held ask whoever holds it, and they name no hub.
        is_default = hub.name.lower() == self.hubs.default_name.lower()
        hub.name_url(self.http_url if is_default else self.http_url + hub_prefix(hub.name))

    def _why_not_ready(self) -> str | None:
        if self.not_ready is not None:
            return self.not_ready
        return next((trouble for hub in self.hubs.running() if (trouble := trouble_of(hub.storage))), None)

    def _facts(self) -> dict[str, object]:
        options, reason = self.options, self._why_not_ready()
        return {
            "status": "ready" if reason is None else "notReady",
            "live": True,
            "ready": reason is None,
            "reason": reason,
            "taskHub": self.hubs.default_name,
            "taskHubs": [hub.name for hub in self.hubs.running()] if self.tokens is None else None,
            "store": options.store_url.partition(":")[0],
            "durability": "none" if options.store_url.startswith("memory:") else options.durability.value,
            "version": __version__,
        }


async def run_server(options: ServeOptions, say: Announcements) -> int:
    """Run until a signal; returns the exit code: 0 after a clean stop, 1 after a failure.

    Raises StartFailed.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    stop = asyncio.Event()
    server = SchedulerServer(options)
    try:
        await server.open()
        spare_collections()
        stop_on_signals(stop)
        await server.start()
        say.ready(server)
        failure = await _until_stopped(server, stop)
        if failure is not None:
            say.stopping(failure)
            return 1
        say.stopping("Stopping: workers may finish what they have.")
        if not await server.stop(options.grace_seconds):
            say.stopping("The grace period is over: what workers still have is given out again after the next start.")
        return 0
    finally:
        await server.stop(0)


async def _until_stopped(server: SchedulerServer, stop: asyncio.Event) -> str | None:
    """What made the server stop; None for a signal."""
    asked = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([asked, server.hubs.failed], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
    if not server.hubs.failed.done():
        return None
    failed = server.hubs.failed.result()
    return f"The server stops because the store or engine of task hub '{failed.hub}' failed: {failed.error}"


def _bound(address: str, port: int, option: str) -> socket.socket:
    try:
        return bind(address.strip("[]"), port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartFailed(f"Port {port} is in use. Choose another one: {option} {port + 1}", 1) from None
        raise StartFailed(f"Cannot listen on {address}:{port} ({option}): {error.strerror}.", 1) from None


def _http_tls(files: TlsFiles) -> ssl.SSLContext:
    context = _tls(files)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _tls(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
        if files.client_roots is not None:
            context.load_verify_locations(files.client_roots)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise StartFailed(
            f"The certificate {files.certificate} cannot be used with the key {files.key}: {error}. Both are PEM "
            "files, the key without a password.",
            1,
        ) from error
    return context
