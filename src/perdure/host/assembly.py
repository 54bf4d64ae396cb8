"""The whole object graph of the Functions host, in one place."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.types import ASGIApp

from perdure import __version__
from perdure.client import TaskHubClient, attached
from perdure.contracts.observer import Observer
from perdure.core.registry import FailedOperations, Registry
from perdure.execution.threads import ThreadPool
from perdure.execution.time_limits import within
from perdure.execution.user_loop import UserLoop
from perdure.formats.http_json import LinkTerms
from perdure.functions.activities import fill_registry
from perdure.functions.app_loader import load_app
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import LoadedApp
from perdure.functions.http_activity import HttpCallOptions, http_activity_definition
from perdure.functions.http_door import BODY_BYTES_MAX, FunctionsApp
from perdure.functions.http_triggers import HttpTriggers, UserCode
from perdure.functions.invocations import know_turns
from perdure.functions.listing import list_functions
from perdure.functions.load_errors import AppLoadError
from perdure.functions.manual_runs import ManualRuns
from perdure.functions.outgoing_addresses import read_rules
from perdure.functions.routes import RouteTable
from perdure.functions.timer_status import FileTimerStatuses
from perdure.functions.timer_triggers import TimerTriggers
from perdure.host import sdk_choice
from perdure.host.admin_routes import AdminParts, AdminRoutes, DrainState
from perdure.host.app_names import names_of
from perdure.host.cli_routes import CommandRoutes, HubParts
from perdure.host.durable_tracking import durable_tracking
from perdure.host.front_door import front_door
from perdure.host.gate import Gate
from perdure.host.hub import Hub
from perdure.host.notifications import LifeCyclePublisher
from perdure.host.observers import LoggingObserver
from perdure.host.options import Sdk
from perdure.host.rpc_endpoint import RpcEndpoint
from perdure.host.settings import BODY_LIMIT_SETTING, Settings
from perdure.host.system_clock import SystemClock
from perdure.host.tracing_setup import open_tracing
from perdure.http_api.app import ManagementRoute
from perdure.http_api.health import HubFacts, health_routes
from perdure.http_api.links import PREFIX
from perdure.http_api.options import ManagementOptions
from perdure.storage.sqlite.storage import SqliteStorage

if TYPE_CHECKING:
    from perdure.execution.worker_processes import WorkerProcesses

T = TypeVar("T")


class UsersCode:
    """The lanes of HTTP and timer functions (functions/http_triggers.py, ``UserCode``)."""

    def __init__(self, threads: ThreadPool, loop: UserLoop, seconds_max: float | None) -> None:
        self._threads = threads
        self._loop = loop
        self._seconds_max = seconds_max

    def run_sync(self, job: Callable[[], T]) -> Awaitable[T]:
        """On a thread."""
        return within(self._seconds_max, self._threads.run(job))

    def run_async(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """On the users' loop."""
        return within(self._seconds_max, self._loop.run(begin))


class FunctionsHost:
    """An app, its hub and its door. ``assemble`` builds it, ``lifecycle`` runs it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gate(settings)
        self.registry = Registry()
        tracing = self._tracing = open_tracing(settings)
        observers: list[Observer] = [LoggingObserver(), durable_tracking(settings)]
        self._publisher: LifeCyclePublisher | None = None
        if settings.host.durable.notifications.topic_endpoint:
            self._publisher = LifeCyclePublisher(settings.host.durable.notifications, settings.app, settings.hub_name)
            observers.append(self._publisher)
        self.hub = Hub(
            self.registry,
            settings.hub,
            observers if tracing is None else [*observers, tracing.observer],
            make_client=TaskHubClient if tracing is None else tracing.client,
        )
        self.threads = ThreadPool(settings.threads_max)
        lanes = UsersCode(self.threads, self.hub.user_loop, settings.hub.execution.activity_seconds_max)
        self.user_code: UserCode = lanes if tracing is None else tracing.user_code(lanes)
        self.not_ready: str | None = "The host is starting."
        self.restart_asked = asyncio.Event()
        self._drain: asyncio.Task[None] | None = None
        self._drain_state = DrainState.DISABLED
        self.app: LoadedApp | None = None
        self.door: ASGIApp | None = None
        self._timers: TimerTriggers | None = None
        self._workers: WorkerProcesses | None = None
        self.manual_runs: ManualRuns | None = None
        self._token: str | None = None
        self._rpc: RpcEndpoint | None = None

    async def open(self) -> None:
        """Open the store. Raises StoreInUse, StoreUnusable."""
        await self.hub.open()

    def load(self) -> LoadedApp:
        """Import the app and build the door. Raises AppLoadError, KeyFilesError, StartFailed."""
        settings = self.settings
        sdk = sdk_choice.prepare(settings.sdk, settings.host.durable.has_local_rpc)
        app = self.app = load_app(
            settings.app_folder, settings.app, allowed=settings.functions, retry=settings.host.retry, sdk=sdk
        )
        know_turns(self.hub.turn_here)
        self._token = attached.attach(self.hub.client, asyncio.get_running_loop())
        code = self.gate.prepare(app)
        terms = LinkTerms(f"{self.url}{PREFIX}", settings.hub_name, settings.connection_name, code)
        if settings.sdk is Sdk.INSTALLED or settings.host.durable.has_local_rpc:
            # Its own address is for clients on this machine; the links it gives are for everybody.
            self._rpc = RpcEndpoint(self.hub.client, replace(self._management_options(app, code), origin=self.url))
        clients = ClientTexts(terms, self._token, None if self._rpc is None else self._rpc.url)
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
        statuses = FileTimerStatuses(settings.app_folder / ".perdure", settings.hub_name)
        self._timers = TimerTriggers(app.timers, self.user_code, clients, statuses, SystemClock())
        self.manual_runs = ManualRuns(app, self.user_code, clients)
        routes = RouteTable(app.http, settings.host.http.route_prefix)
        links = self._management_options(app, code)
        management = ManagementRoute(self.hub.client, links, self.gate.access)
        self.gate.tell_links(clients.use_code, management.use_code)
        self.door = front_door(
            [
                management,
                *health_routes(self._facts),
                CommandRoutes(self._hub_parts(), self.gate.access),
                AdminRoutes(self._admin_parts(app, links), self.gate.access),
            ],
            FunctionsApp(
                HttpTriggers(routes, self.user_code, clients, settings.host.http),
                settings.host.http,
                body_bytes_max=_body_limit(settings),
                has_home_page=(settings.app.get("AzureWebJobsDisableHomepage") or "").lower() != "true",
                admits=self.gate.admits,
            ),
            settings.allowed_hosts,
            settings.cors,
            settings.host.http,
        )
        if self._tracing is not None:
            self.door = self._tracing.door(self.door)
        return app

    async def start(self) -> None:
        """Run what the store holds."""
        if self._workers is not None:
            self._workers.start()
        await self.hub.start()
        if self._rpc is not None:
            await self._rpc.start()
        self.hub.name_url(self._own_url())
        assert self._timers is not None, "not loaded"
        self._timers.start()
        self.not_ready = None

    async def stop(self, grace_seconds: float) -> bool:
        """End everything; False when activities were cut off. Twice-safe."""
        self.not_ready = "The host is stopping."
        deadline = asyncio.get_running_loop().time() + grace_seconds
        if self._drain is not None:
            self._drain.cancel()
        if self._timers is not None:
            with contextlib.suppress(TimeoutError):
                # A timer function that does not end in time is cut off, like an activity.
                await asyncio.wait_for(self._timers.stop(), max(grace_seconds, 0.1))
        if self.manual_runs is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.manual_runs.stop(), max(deadline - asyncio.get_running_loop().time(), 0.1))
        if self._rpc is not None:
            await self._rpc.stop()
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

    def _admin_parts(self, app: LoadedApp, links: ManagementOptions) -> AdminParts:
        assert self.manual_runs is not None, "not loaded"
        return AdminParts(
            app, self.manual_runs, self.gate.keys, links,
            host_id=self.settings.hub_name.lower(),
            route_prefix=self.settings.host.http.route_prefix,
            state=self._state,
            drain_state=lambda: self._drain_state,
            drain=self._begin_drain,
            restart=self.restart_asked.set,
        )  # fmt: skip

    def _state(self) -> str:
        if self.restart_asked.is_set():
            return "Stopping"
        return "Running" if self.not_ready is None else "Starting"

    def _begin_drain(self) -> None:
        if self._drain is None:
            self._drain_state = DrainState.IN_PROGRESS
            self._drain = asyncio.get_running_loop().create_task(self._drained())

    async def _drained(self) -> None:
        assert self._timers is not None, "not loaded"
        await asyncio.gather(self._timers.stop(), self.hub.drain())
        self._drain_state = DrainState.COMPLETED

    def _hub_parts(self) -> HubParts:
        storage = self.hub.storage
        file = storage.path if isinstance(storage, SqliteStorage) else None
        return HubParts(self.hub.client, storage.verify, file)

    def _facts(self) -> HubFacts:
        settings = self.settings
        return HubFacts(
            task_hub=settings.hub_name,
            store=settings.hub.store_url.partition(":")[0],
            durability=settings.hub.storage.durability.value,
            version=__version__,
            not_ready=self.not_ready,
        )


def _http_calls(settings: Settings) -> HttpCallOptions:
    try:
        addresses = read_rules(settings.app)
    except ValueError as error:
        raise AppLoadError(str(error)) from error
    return HttpCallOptions(poll_interval=settings.host.durable.http_poll_interval, addresses=addresses)


def _body_limit(settings: Settings) -> int:
    text = settings.app.get(BODY_LIMIT_SETTING)
    if text is not None and text.isdigit():
        return int(text)
    return BODY_BYTES_MAX
