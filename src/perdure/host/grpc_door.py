"""The gRPC door of a Functions host: workers of other processes share the app's hub (architecture.md J17).

It listens on loopback only; a server for other machines, with TLS and tokens, is ``perdure serve``.
"""

from perdure.client import InvalidInput
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import RemoteOptions
from perdure.grpc_api.calls import Door
from perdure.grpc_api.health_service import Health
from perdure.grpc_api.hub_choice import HubChoice, ServedHub
from perdure.grpc_api.item_format import ProtocolItems
from perdure.grpc_api.server import GrpcServer, PortTaken
from perdure.grpc_api.work_item_service import WorkItemService
from perdure.host.hub import Hub
from perdure.host.options import StartFailed

ADDRESS = "127.0.0.1"
DRAIN_SECONDS = 5.0
"""How long workers may finish what they have when the host stops."""
LAST_CALLS_SECONDS = 1.0


def remote_workers(hub_name: str, payload_bytes_max: int) -> RemoteExecutor:
    """Who runs what the app does not have."""
    return RemoteExecutor(ProtocolItems(), RemoteOptions(hub=hub_name, payload_bytes_max=payload_bytes_max))


class GrpcDoor:
    """See ``FurtherDoor``."""

    def __init__(self, hub: Hub, hub_name: str, remote: RemoteExecutor, port: int) -> None:
        self._remote = remote
        self._port = port
        served = ServedHub(hub_name, hub.portable_client(), WorkItemService(remote))
        self._door = Door(HubChoice(_OneHub(served)))
        self._server = GrpcServer()
        self._is_open = False

    async def start(self) -> None:
        self._server.mount_door(self._door)
        self._server.mount_health(Health(lambda: self._is_open, self._door.stopping).handlers())
        try:
            self._server.listen(ADDRESS, self._port)
        except PortTaken:
            raise StartFailed(
                f"Port {self._port} is in use. Choose another one: --grpc-port {self._port + 1}", 1
            ) from None
        await self._server.start()
        self._is_open = True

    async def stop(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._door.stopping.set()
        await self._remote.drain(DRAIN_SECONDS)
        await self._remote.stop()
        await self._server.stop(LAST_CALLS_SECONDS)


class _OneHub:
    """The app's hub: it is there for as long as the app."""

    def __init__(self, hub: ServedHub) -> None:
        self._hub = hub

    @property
    def default_name(self) -> str:
        return self._hub.name

    async def find(self, name: str) -> ServedHub | None:
        return self._hub if name.lower() == self._hub.name.lower() else None

    async def create(self, name: str, *, recreate: bool) -> None:
        if recreate or await self.find(name) is None:
            raise self._is_the_apps()

    async def drop(self, name: str) -> None:
        if await self.find(name) is not None:
            raise self._is_the_apps()

    def _is_the_apps(self) -> InvalidInput:
        return InvalidInput(f"This is the host of an app, which has one task hub, '{self._hub.name}'.")
