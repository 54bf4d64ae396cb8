"""One rule for every command on a hub: how it is reached (cli.md §2).

``--url`` names a host. Else the store: ``--store``, ``--connection-string-setting``, or what the app's files say.
A SQLite store that a running host holds is reached through that host, whose URL stands in the lock file; one that
nobody holds is opened for the length of the command. A hub on a database server is joined beside its hosts.
"""

import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from perdure.cli.doors import HttpDoor, HubDoor, StoreDoor
from perdure.cli.exit_codes import FAILURE, STORE, USAGE
from perdure.cli.output import fail, print_error

if TYPE_CHECKING:
    from perdure.contracts.errors import StoreInUse
    from perdure.host.settings import Settings
    from perdure.storage.places import ServerPlace, StorePlace

HELD_SECONDS_MAX = 10.0
"""How long to wait for a holder that names no URL: another command, or a host that is just starting."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What the options of ``hub_options`` said."""

    url: str | None = None
    code: str | None = None
    store: str | None = None
    hub: str | None = None
    connection_setting: str | None = None
    script_root: Path | None = None

    @property
    def folder(self) -> Path:
        """The app's folder."""
        return (self.script_root or Path.cwd()).resolve()


def hub_options(command: F) -> F:
    """Add the options that say which hub; the command gets them as ``reach``."""

    def pack(**given: Any) -> object:
        names = ("url", "code", "store", "hub", "connection_setting", "script_root")
        return command(reach=HubOptions(**{name: given.pop(name) for name in names}), **given)

    pack.__doc__, pack.__name__ = command.__doc__, command.__name__
    # Decorators that came before have left their options on the command.
    pack.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(
        (
            click.option("--url", help="A running host, as http://localhost:7071, instead of the store."),
            click.option("--code", help="The host's key.  [default: with --url none, else from the key files]"),
            click.option("--store", help="Store URL.  [default: as the app's host, .perdure/hub.db under its folder]"),
            click.option("--task-hub-name", "hub", help="The hub's name.  [default: as the app's host]"),
            click.option(
                "--connection-string-setting", "connection_setting", help="A setting that holds the store's URL."
            ),
            click.option("--script-root", type=click.Path(path_type=Path), help="The app's folder.  [default: here]"),
        )
    ):
        pack = option(pack)
    return pack  # type: ignore[return-value]


@contextmanager
def reached(options: HubOptions, *, creates: bool = False) -> Iterator[HubDoor]:
    """The hub's door, closed afterwards. ``creates``: a store that is not there yet is made.

    Ends the command with exit code 3 when the hub cannot be reached.
    """
    door = _open(options, creates)
    try:
        yield door
    finally:
        door.close()


def settings_of(options: HubOptions) -> "Settings":
    """The settings of the app in the options' folder, with the store that the options name."""
    from perdure.functions.local_settings import LocalSettingsError
    from perdure.functions.setting_tree import HostJsonError
    from perdure.host.options import StartFailed, StartOptions
    from perdure.host.settings import read_settings
    from perdure.storage.places import is_store_url

    environment = dict(os.environ)
    try:
        # The address matters to nobody here.
        start = StartOptions(options.folder, address="127.0.0.1", store=options.store)
        settings = read_settings(start, environment)
        if options.store is not None or options.connection_setting is None:
            return settings
        url = settings.app.get(options.connection_setting)
        if not url:
            fail(f"There is no setting '{options.connection_setting}', in the environment or local.settings.json.", 1)
        if not is_store_url(url):
            print_error(f"Note: '{options.connection_setting}' names no store of perdure's; the app's own is used.")
            return settings
        return read_settings(StartOptions(options.folder, address="127.0.0.1", store=url), environment)
    except StartFailed as error:
        fail(str(error), error.code)
    except (LocalSettingsError, HostJsonError, ValueError) as error:
        fail(str(error), FAILURE)


def _open(options: HubOptions, creates: bool) -> HubDoor:
    if options.url is not None:
        if not options.url.startswith(("http://", "https://")):
            fail(f"--url is the address of a host, such as http://localhost:7071, not '{options.url}'.", USAGE)
        return HttpDoor(options.url, options.code, hub=options.hub)
    return _store_or_holder(chosen_hub(options, settings_of(options)), options.code, creates)


def place_of_store(settings: "Settings") -> "StorePlace":
    """Where the hub's store lies. Ends the command with exit code 3 for a URL that names none."""
    from perdure.contracts.errors import StoreUnusable

    try:
        return settings.hub.place
    except StoreUnusable as error:
        fail(str(error), STORE)


def chosen_hub(options: HubOptions, settings: "Settings") -> "Settings":
    """The settings for the hub that the options name: any on a server; a file holds one, the app's."""
    from perdure.storage.places import ServerPlace

    hub = options.hub
    if hub is None or hub.lower() == settings.hub_name.lower():
        return settings
    if isinstance(place_of_store(settings), ServerPlace):
        return replace(settings, hub_name=hub, hub=replace(settings.hub, name=hub))
    fail(
        f"There is no task hub '{hub}' here; the app's hub is '{settings.hub_name}'. "
        "Name its store with --store, or its folder with --script-root.",
        STORE,
    )


def _store_or_holder(settings: "Settings", code: str | None, creates: bool) -> HubDoor:
    from perdure.contracts.errors import StorageError, StoreInUse
    from perdure.storage.places import MemoryPlace

    if isinstance(place_of_store(settings), MemoryPlace):
        fail("The store memory: lives in its host; name that with --url http://localhost:7071.", STORE)
    deadline = time.monotonic() + HELD_SECONDS_MAX
    while True:
        try:
            return _store_door(settings, creates)
        except StoreInUse as error:
            if error.url is not None or time.monotonic() >= deadline:
                return holder_door(error, settings, code)
        except StorageError as error:
            fail(str(error), STORE)


def holder_door(error: "StoreInUse", settings: "Settings", code: str | None) -> HttpDoor:
    """The host that holds a store. Ends the command with exit code 3 when it says no URL."""
    if error.url is None:
        fail(str(error), STORE)
    return HttpDoor(error.url, code or _key_beside(settings), _trust_of(error.url))


def _store_door(settings: "Settings", creates: bool) -> StoreDoor:
    from starlette.routing import Router

    from perdure.client import TaskHubClient
    from perdure.client.options import ClientOptions
    from perdure.contracts.errors import StoreUnusable
    from perdure.host.cli_routes import CommandRoutes, HubParts
    from perdure.http_api.access import OpenAccess
    from perdure.http_api.app import management_routes
    from perdure.http_api.options import ManagementOptions
    from perdure.storage.opening import open_storage
    from perdure.storage.options import Access, Placement, StorageOptions
    from perdure.storage.places import FilePlace, ServerPlace
    from perdure.storage.system_clock import SystemClock

    hub, place = settings.hub, settings.hub.place
    file = place.path if isinstance(place, FilePlace) else None
    if file is not None and not file.exists() and not creates:
        raise StoreUnusable(f"There is no store {file}. Start the app once, or name the store with --store.")
    joins = isinstance(place, ServerPlace) and not creates
    options = StorageOptions(
        durability=hub.storage.durability,
        access=Access.JOIN if joins else Access.HOLD,
        placement=Placement.INLINE,
        lock_seconds_max=0.2,
    )
    storage = open_storage(hub.store_url, SystemClock(), options, hub=hub.name)
    client = TaskHubClient(
        storage,
        storage.clock,
        ClientOptions(
            default_version=hub.decisions.default_version,
            reuse=hub.reuse,
            payload_bytes_max=hub.decisions.payload_bytes_max,
            versioning=hub.versioning,
        ),
    )
    management = ManagementOptions(task_hub=settings.hub_name, connection_name=settings.connection_name)
    routes = [
        *management_routes(client, management),
        CommandRoutes(HubParts(client, storage.verify, file), OpenAccess()),
    ]
    door = StoreDoor(place.shown, storage, Router(routes, redirect_slashes=False))
    door.open()
    if isinstance(place, ServerPlace):
        door.host_url = _working_host(place, hub.name)
    return door


def _working_host(place: "ServerPlace", hub: str) -> str | None:
    import asyncio

    from perdure.storage.opening import hub_server

    alive = [host.name for host in asyncio.run(hub_server(place).status(hub)).hosts if host.is_alive]
    return alive[0] if alive else None


def _key_beside(settings: "Settings") -> str | None:
    """The key that the holder of the store checks, if there is one and this user may read it."""
    from perdure.host.key_files import KeyFiles, KeyFilesError, key_folder
    from perdure.http_api.keys import DURABLE_SYSTEM_KEY

    try:
        ring = KeyFiles(key_folder(settings.hub.store_url, settings.app_folder, settings.app)).ring()
    except (KeyFilesError, PermissionError):
        # Whether a key is needed at all only the host knows; it says so.
        return None
    return ring.master or ring.system.get(DURABLE_SYSTEM_KEY)


def _trust_of(url: str) -> ssl.SSLContext | None:
    if not url.startswith("https://"):
        return None
    # The lock file, which only the holder writes, has named a host of this machine; its certificate is its own.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
