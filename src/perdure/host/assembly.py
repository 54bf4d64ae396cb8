"""The whole object graph of the Functions host, in one place."""

import asyncio
import contextlib
import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from perdure.client import TaskHubClient, attached
from perdure.contracts.observer import Observer
from perdure.core.registry import FailedOperations, Registry
from perdure.execution.threads import ThreadPool
from perdure.formats.http_json import LinkTerms
from perdure.functions.activities import fill_registry
from perdure.functions.app_loader import load_app
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import LoadedApp
from perdure.functions.http_activity import HttpCallOptions, http_activity_definition
from perdure.functions.http_triggers import UserCode
from perdure.functions.invocations import know_turns
from perdure.functions.listing import list_functions
from perdure.functions.load_errors import AppLoadError
from perdure.functions.outgoing_addresses import read_rules
from perdure.host import sdk_choice
from perdure.host.app_door import DoorParts, app_door
from perdure.host.app_names import names_of
from perdure.host.condition import Condition
from perdure.host.drain import Drain
from perdure.host.durable_tracking import durable_tracking
from perdure.host.further_doors import FurtherDoor
from perdure.host.gate import Gate
from perdure.host.hub import Hub
from perdure.host.observers import LoggingObserver
from perdure.host.options import Sdk, StartFailed
from perdure.host.settings import Settings
from perdure.host.timer_duty import TimerDuty
from perdure.host.tracing_setup import open_tracing
from perdure.host.user_lanes import UserLanes
from perdure.http_api.links import PREFIX
from perdure.http_api.options import ManagementOptions
from perdure.storage.system_clock import SystemClock

if TYPE_CHECKING:
    from perdure.execution.remote import RemoteExecutor
    from perdure.execution.worker_processes import WorkerProcesses
    from perdure.functions.manual_runs import ManualRuns
    from perdure.functions.timer_triggers import TimerTriggers
    from perdure.host.notifications import LifeCyclePublisher
    from perdure.host.rpc_endpoint import RpcEndpoint


class FunctionsHost:
    """An app, its hub and its doors; ``lifecycle`` runs it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gate(settings)
        self.registry = Registry()
        tracing = self._tracing = open_tracing(settings)
        observers: list[Observer] = [LoggingObserver(), durable_tracking(settings)]
        self._publisher = _publisher_of(settings)
        if self._publisher is not None:
            observers.append(self._publisher)
        self._remote = _remote_workers(settings)
        self.hub = Hub(
            self.registry,
            settings.hub,
            observers if tracing is None else [*observers, tracing.observer],
            make_client=TaskHubClient if tracing is None else tracing.client,
            remote=self._remote,
        )
        self.threads = ThreadPool(settings.threads_max)
        lanes = UserLanes(self.threads, self.hub.user_loop, settings.hub.execution.activity_seconds_max)
        self.user_code: UserCode = lanes if tracing is None else tracing.user_code(lanes)
        self.condition = Condition(Drain(self._stop_timers, self.hub.drain))
        self.app: LoadedApp | None = None
        self.door: ASGIApp | None = None
        self._timers: TimerDuty | None = None
        self._workers: WorkerProcesses | None = None
        self._manual_runs: ManualRuns | None = None
        self._token: str | None = None
        self.further_doors: list[FurtherDoor] = []
        """Whoever wants another way in adds it between ``load`` and ``start``."""

    async def open(self) -> None:
        """Open the store. Raises StoreInUse, StoreUnusable."""
        await self.hub.open()

    async def load(self) -> LoadedApp:
        """Import the app and build its doors. Raises AppLoadError, KeyFilesError, StorageError, StartFailed."""
        settings = self.settings
        sdk = sdk_choice.prepare(settings.sdk, settings.host.durable.has_local_rpc)
        app = self.app = load_app(
            settings.app_folder, settings.app, allowed=settings.functions, retry=settings.host.retry, sdk=sdk
        )
        know_turns(self.hub.turn_here)
        self._token = attached.attach(self.hub.client, asyncio.get_running_loop())
        code = await self.gate.prepare(app)
        terms = LinkTerms(f"{self.url}{PREFIX}", settings.hub_name, settings.connection_name, code)
        links = self._management_options(app, code)
        rpc = self._rpc_of(links)
        if rpc is not None:
            self.further_doors.append(rpc)
        if self._remote is not None and settings.grpc_port is not None:
            from perdure.host.grpc_door import GrpcDoor

            self.further_doors.append(GrpcDoor(self.hub, settings.hub_name, self._remote, settings.grpc_port))
        clients = ClientTexts(terms, self._token, None if rpc is None else rpc.url)
        fill_registry(app, self.registry, sdk.codec(), clients)
        if settings.hub.failed_operations is FailedOperations.KEPT:
            self.registry.keep_failed_operations()
        if settings.processes > 1:
            from perdure.host.worker_main import sent_to_workers, worker_processes

            self._workers = worker_processes(settings)
            sent_to_workers(app, self.registry, self._workers.call)
        self.registry.add_activity(http_activity_definition(_http_calls(settings)))
        if self._tracing is not None:
            self._tracing.loaded(self.registry, self.hub.client)
        if app.timers:
            self._timers = TimerDuty(self._timers_of(app, clients))
            self.hub.worker.observe(self._timers)
        self.door = app_door(
            DoorParts(
                settings, app, self.hub, self.gate, self.condition, self.user_code, clients,
                lambda: self._begin_manual_runs(app, clients), links, self._remote,
            )
        )  # fmt: skip
        if self._tracing is not None:
            self.door = self._tracing.door(self.door)
        return app

    async def start(self) -> None:
        """Run what the store holds."""
        if self._workers is not None:
            self._workers.start()
        await self.hub.start()
        for door in self.further_doors:
            await door.start()
        self.hub.name_url(self._own_url())
        if self._timers is not None:
            self._timers.begin()
        self.condition.not_ready = None

    async def stop(self, grace_seconds: float) -> bool:
        """End everything; False when activities were cut off. Twice-safe."""
        self.condition.not_ready = "The host is stopping."
        deadline = asyncio.get_running_loop().time() + grace_seconds
        self.hub.leave()
        self.condition.drain.cancel()
        with contextlib.suppress(TimeoutError):
            # A timer function that does not end in time is cut off, like an activity.
            await asyncio.wait_for(self._stop_timers(), max(grace_seconds, 0.1))
        if self._manual_runs is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._manual_runs.stop(), max(deadline - asyncio.get_running_loop().time(), 0.1))
        for door in self.further_doors:
            await door.stop()
        drained = await self.hub.stop(max(deadline - asyncio.get_running_loop().time(), 0))
        if self._publisher is not None:
            await self._publisher.close()
        if self._tracing is not None:
            await self._tracing.close()
        if self._workers is not None:
            await asyncio.to_thread(self._workers.stop)
        if self._token is not None:
            attached.detach(self._token)
        self.threads.stop()
        return drained

    @property
    def url(self) -> str:
        """Where people reach it; always ``localhost``, as users of Core Tools know it."""
        return f"{self._scheme}://localhost:{self.settings.port}"

    @property
    def _scheme(self) -> str:
        return "http" if self.settings.https is None else "https"

    def _own_url(self) -> str:
        """Where this machine reaches it: an address that ``localhost`` does not mean goes by no other name."""
        address = ipaddress.ip_address(self.settings.address)
        if address.is_unspecified or str(address) in ("127.0.0.1", "::1"):
            return self.url
        return f"{self._scheme}://{f'[{address}]' if address.version == 6 else address}:{self.settings.port}"

    def listing(self) -> list[str]:
        """The functions with their URLs, as lines."""
        assert self.app is not None, "not loaded"
        prefix = self.settings.host.http.route_prefix
        return list_functions(self.app, origin=self.url, prefix=prefix, now=SystemClock().now())

    def _management_options(self, app: LoadedApp, code: str | None) -> ManagementOptions:
        return ManagementOptions(
            task_hub=self.settings.hub_name,
            connection_name=self.settings.connection_name,
            code=code,
            checks_keys=self.settings.checks_keys,
            app=names_of(app, self.settings.host.http.route_prefix),
            use_forwarded_host=self.settings.host.durable.uses_forwarded_host,
        )

    def _rpc_of(self, links: ManagementOptions) -> "RpcEndpoint | None":
        if not (self.settings.sdk is Sdk.INSTALLED or self.settings.host.durable.has_local_rpc):
            return None
        from perdure.host.rpc_endpoint import RpcEndpoint

        # Its own address is for clients on this machine; the links it gives are for everybody.
        return RpcEndpoint(self.hub.client, replace(links, origin=self.url))

    def _timers_of(self, app: LoadedApp, clients: ClientTexts) -> "TimerTriggers":
        from perdure.functions.timer_triggers import TimerTriggers
        from perdure.host.hub_belongings import timer_statuses

        statuses = timer_statuses(self.settings)
        return TimerTriggers(app.timers, self.user_code, clients, statuses, self.hub.storage.clock)

    def _begin_manual_runs(self, app: LoadedApp, clients: ClientTexts) -> "ManualRuns":
        from perdure.functions.manual_runs import ManualRuns

        self._manual_runs = ManualRuns(app, self.user_code, clients)
        return self._manual_runs

    async def _stop_timers(self) -> None:
        if self._timers is not None:
            await self._timers.stop()


def _publisher_of(settings: Settings) -> "LifeCyclePublisher | None":
    if not settings.host.durable.notifications.topic_endpoint:
        return None
    from perdure.host.notifications import LifeCyclePublisher

    return LifeCyclePublisher(settings.host.durable.notifications, settings.app, settings.hub_name)


def _remote_workers(settings: Settings) -> "RemoteExecutor | None":
    """Who runs what the app does not have; None without a gRPC door. Raises StartFailed."""
    if settings.grpc_port is None:
        return None
    try:
        from perdure.host.grpc_door import remote_workers
    except ImportError as error:
        raise StartFailed(f"--grpc-port needs protobuf: pip install 'perdure[grpc]' ({error})", 1) from error
    return remote_workers(settings.hub_name, settings.hub.decisions.payload_bytes_max)


def _http_calls(settings: Settings) -> HttpCallOptions:
    try:
        addresses = read_rules(settings.app)
    except ValueError as error:
        raise AppLoadError(str(error)) from error
    return HttpCallOptions(poll_interval=settings.host.durable.http_poll_interval, addresses=addresses)
