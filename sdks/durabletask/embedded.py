"""The embedded engine as this package sees it, and where it is found: the entry point ``perdure.embedded``.

The package never imports the engine. A worker codes against ``EmbeddedHub.serve``; clients against ``client``.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

from perdure.client import AttachedClient, TaskHubClient
from perdure.core.registry import ActivityDefinition, EntityDefinition, OrchestratorDefinition

GROUP = "perdure.embedded"
SCHEME = "embedded://"
DATABASE_SCHEME = "embedded+postgresql://"


class EmbeddedServing(Protocol):
    """One worker's part in a hub."""

    def stop(self, grace_seconds: float = ...) -> bool:
        """End this worker's part; blocks until its activities have ended, or as long as the grace is.

        Answers whether all ended in time. While other workers of the hub serve, its functions go on. Twice-safe.
        """
        ...


class EmbeddedHub(Protocol):
    """A hub of this process. Its methods block (opening and closing a store, ending activities): use a thread."""

    @property
    def client(self) -> AttachedClient:
        """The hub's client, awaitable on any loop."""
        ...

    @property
    def task_hub(self) -> TaskHubClient:
        """The same for ``client.run``."""
        ...

    @property
    def make_options(self) -> Callable[..., Any]:
        """Makes the options of ``serve``, from ``versioning`` (``perdure.core.versioning.Versioning``),
        ``default_version`` (of sub-orchestrations), ``activities_max`` and ``threads_max``, all by name and optional.
        """
        ...

    def serve(
        self,
        orchestrators: Sequence[OrchestratorDefinition],
        activities: Sequence[ActivityDefinition],
        entities: Sequence[EntityDefinition],
        options: Any = ...,
    ) -> EmbeddedServing:
        """Run the hub with these functions besides those of other workers; returns once it runs.

        The serving holds the hub open by itself: whoever opened the hub only to serve may close it at once.
        Raises ValueError for a name that another running worker serves here, or options that differ from its.
        """
        ...

    def close(self) -> None:
        """Give back what ``open_hub`` gave."""
        ...


def open_hub(endpoint: str, task_hub: str) -> EmbeddedHub:
    """The hub that an endpoint names: ``embedded://`` or ``embedded://NAME`` in memory, ``embedded:///path`` in a file,
    ``embedded+postgresql://…`` in a database, beside the other processes that work on it.

    Blocks while the store is opened. Raises ValueError for an endpoint or hub name that cannot be; ImportError when
    the engine is not installed; and what the engine says when the store cannot be opened: it names who holds it.
    """
    location, name = place_of(endpoint)
    found = list(entry_points(group=GROUP))
    if not found:
        raise ImportError(
            f"No embedded engine is installed: nothing is registered under the entry point '{GROUP}'. "
            "Install it with: pip install perdure (in a checkout: pip install -e .)"
        )
    return found[0].load()(location, task_hub, name=name)


def is_embedded(endpoint: str) -> bool:
    """Whether the endpoint is an engine in this process."""
    return endpoint.lower().startswith(("embedded:", "embedded+"))


def place_of(endpoint: str) -> tuple[str | None, str]:
    """File or database, and name, of an endpoint: one of them is given. Raises ValueError."""
    if endpoint.lower().startswith(DATABASE_SCHEME):
        if endpoint[len(DATABASE_SCHEME) :].strip("/") == "":
            raise ValueError("embedded+postgresql:// names no server; write embedded+postgresql://USER@HOST/DATABASE.")
        return endpoint[len("embedded+") :], ""
    if endpoint.lower().startswith("embedded+"):
        # What follows may hold a password.
        raise ValueError("Of embedded+… there is embedded+postgresql://USER:PASSWORD@HOST/DATABASE.")
    if not endpoint.lower().startswith(SCHEME):
        raise ValueError(f"'{endpoint}' is no embedded hub: use embedded:// or embedded:///path/to/store.")
    rest = endpoint[len(SCHEME) :]
    if rest.startswith("/"):
        if rest.strip("/") == "":
            raise ValueError(f"'{endpoint}' names no file: use embedded:///path/to/store, or embedded:// for memory.")
        return rest, ""
    name = rest.rstrip("/")
    if "/" in name:
        raise ValueError(
            f"'{endpoint}' is neither a name nor a path: a path has three slashes, as embedded:///path/to/store."
        )
    return None, name
