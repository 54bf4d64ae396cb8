"""Who may come in: keys or none, as the settings say, for every door of the Functions host."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.functions.all_functions import all_functions, function_name
from perdure.functions.descriptions import AuthLevel, HttpFunction, LoadedApp
from perdure.host.key_store import key_store
from perdure.host.settings import Settings
from perdure.host.shared_keys import SharedKeys
from perdure.http_api.access import Access, KeyAccess, Level, OpenAccess, presented_key
from perdure.http_api.keys import Standing

_LEVELS = {
    AuthLevel.ANONYMOUS: Level.ANONYMOUS,
    AuthLevel.FUNCTION: Level.FUNCTION,
    AuthLevel.ADMIN: Level.ADMIN,
}


class Gate:
    """The host's access rules and the keys they stand on."""

    def __init__(self, settings: Settings) -> None:
        self.keys = key_store(settings.hub, settings.app_folder, settings.app)
        self.access: Access = KeyAccess(self.keys.ring) if settings.checks_keys else OpenAccess(settings.cors.origins)
        self._checks_keys = settings.checks_keys

    async def prepare(self, app: LoadedApp) -> str | None:
        """Make the keys that are missing when keys are checked; the key that links carry, None without any.

        Raises KeyFilesError, StorageError.
        """
        if self._checks_keys:
            return (await self.keys.complete({function_name(function) for function in all_functions(app)})).durable
        return (await self.keys.read()).durable

    def with_fresh_keys(self, door: ASGIApp) -> ASGIApp:
        """The door, behind a look at the keys: nobody comes in by a key that was taken away long ago."""
        refresh = self.keys.refresh

        async def look_and_pass(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await refresh()
            await door(scope, receive, send)

        return look_and_pass if isinstance(self.keys, SharedKeys) else door

    def tell_links(self, *use_code: Callable[[str | None], None]) -> None:
        """Pass each new system key on to whoever makes links."""
        for use in use_code:
            self.keys.watch(lambda ring, use=use: use(ring.durable))

    def admits(self, scope: Scope, function: HttpFunction) -> bool:
        """Whether the caller may call this function."""
        return self.access.admits(scope, _LEVELS[function.auth_level], function.call.name)

    def is_master(self, scope: Scope) -> bool:
        """Whether the caller shows the master key, where keys are not checked as well."""
        presented = presented_key(scope)
        return bool(presented) and self.keys.ring().standing(presented) is Standing.MASTER
