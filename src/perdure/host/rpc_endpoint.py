"""The local RPC endpoint: where clients of the official 1.x package find this host (http-api.md §1)."""

import errno
import random
import socket

from starlette.routing import Router

from perdure.client import TaskHubClient
from perdure.host.http_server import HttpServer, bind
from perdure.host.options import StartFailed
from perdure.http_api.access import OpenAccess
from perdure.http_api.allowed_hosts import AllowedHosts
from perdure.http_api.options import ManagementOptions
from perdure.http_api.rpc import RPC_PREFIX, RpcRoute

ADDRESS = "127.0.0.1"
PORT = 17071
OTHER_PORTS = range(30_000, 31_000)
OTHER_TRIES = 9
FINISH_SECONDS = 2.0


class RpcEndpoint:
    """Listens on loopback, without keys. Bound when made, since bindings carry its URL; ``start`` takes requests."""

    def __init__(self, client: TaskHubClient, options: ManagementOptions) -> None:
        self._bound = _listening()
        route = RpcRoute(client, options, OpenAccess())
        self._server = HttpServer(AllowedHosts(Router([route], redirect_slashes=False)))

    @property
    def url(self) -> str:
        """The base of all its URLs, with the final slash that clients expect."""
        return f"http://{ADDRESS}:{self._bound.getsockname()[1]}{RPC_PREFIX}/"

    async def start(self) -> None:
        """Take requests from here on."""
        await self._server.start(self._bound)

    async def stop(self) -> None:
        """End the requests under way. Twice-safe."""
        self._server.stop_listening()
        await self._server.finish(FINISH_SECONDS)
        self._bound.close()


def _listening() -> socket.socket:
    for port in (PORT, *random.sample(OTHER_PORTS, OTHER_TRIES)):
        try:
            return bind(ADDRESS, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise StartFailed(f"Cannot listen on {ADDRESS}:{port}: {error.strerror}.", 1) from None
    raise StartFailed(
        f"No port is free for the local RPC endpoint; tried {PORT} and {OTHER_TRIES} of "
        f"{OTHER_PORTS.start} to {OTHER_PORTS.stop - 1}.",
        1,
    )
