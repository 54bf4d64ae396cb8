"""A server in memory for tests: the engine itself, without a file, behind a port of this machine.

The engine is found by the entry point ``perdure.test_server``; this package never imports it.
"""

from datetime import timedelta
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any

from durabletask.grpc_extra import require_grpc

GROUP = "perdure.test_server"
PORT = 50051
HISTORY_EVENTS_MAX = 10_000
_GRACE_SECONDS = 1.0


class InMemoryOrchestrationBackend:
    """A server that keeps nothing; clients and workers of any package connect to ``address``.

    ``port`` 0 takes a free one. An orchestration whose history grows beyond ``max_history_size`` events fails.
    Raises ImportError when gRPC or the engine is not installed.
    """

    def __init__(self, max_history_size: int = HISTORY_EVENTS_MAX, port: int = PORT) -> None:
        require_grpc()
        found = list(entry_points(group=GROUP))
        if not found:
            raise ImportError(
                f"No test server is installed: nothing is registered under the entry point '{GROUP}'. "
                "Install it with: pip install 'perdure[grpc]' (in a checkout: pip install -e '.[grpc]')"
            )
        if max_history_size < 1:
            raise ValueError(f"max_history_size must be at least 1, not {max_history_size}.")
        self._server: Any = found[0].load()(history_events_max=max_history_size)
        self._port = port
        self._bound: int | None = None

    @property
    def address(self) -> str:
        """Where it is reached. Raises RuntimeError when it was not started and the port is any free one."""
        port = self._bound or self._port
        if port == 0:
            raise RuntimeError("The backend has no address before it is started: its port is any free one.")
        return f"localhost:{port}"

    def start(self) -> str:
        """Serve, from an empty store; gives the address. Raises OSError when the port is taken, RuntimeError when it
        runs already.
        """
        if self._server.is_running:
            raise RuntimeError("The backend is already running.")
        self._bound = self._server.start(self._port)
        return self.address

    def stop(self, grace: float | None = None) -> None:
        """End, and forget everything. Work under way gets ``grace`` seconds. Twice-safe."""
        self._server.stop(_GRACE_SECONDS if grace is None else grace)
        self._bound = None

    def reset(self) -> None:
        """Forget everything and go on; workers stay connected, or connect again by themselves."""
        self._server.reset()

    def advance_time(self, by: timedelta) -> None:
        """Set the backend's time forward: timers, and what was to begin later, that are due until then are due now.

        A timer that code makes afterwards counts from the new time. Raises ValueError for going back.
        """
        if by < timedelta(0):
            raise ValueError("Time only goes forward.")
        self._server.advance(by)

    def __enter__(self) -> "InMemoryOrchestrationBackend":
        if not self._server.is_running:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def create_test_backend(port: int = PORT, max_history_size: int = HISTORY_EVENTS_MAX) -> InMemoryOrchestrationBackend:
    """A backend that has been started."""
    backend = InMemoryOrchestrationBackend(max_history_size=max_history_size, port=port)
    backend.start()
    return backend
