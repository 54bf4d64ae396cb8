"""What commands ask a database server about its hubs."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.cli.exit_codes import NOT_FOUND, STORE
from perdure.cli.output import fail

if TYPE_CHECKING:
    from perdure.storage.places import ServerPlace
    from perdure.storage.server_hubs import HubServer

T = TypeVar("T")


def server_required(place: "ServerPlace") -> "HubServer":
    """The server at a place. Ends the command with exit code 3 when it cannot be used from here."""
    from perdure.contracts.errors import StoreUnusable
    from perdure.storage.opening import hub_server

    try:
        return hub_server(place)
    except StoreUnusable as error:
        fail(str(error), STORE)


def at_server(question: Coroutine[Any, Any, T]) -> T:
    """The answer to one question. Ends the command: with exit code 4 for an unknown hub, 3 for anything else."""
    from perdure.contracts.errors import StorageError
    from perdure.storage.server_hubs import NoSuchHub

    try:
        return asyncio.run(question)
    except NoSuchHub as error:
        fail(f"{error} Which there are: perdure hub list", NOT_FOUND)
    except StorageError as error:
        fail(str(error), STORE)
