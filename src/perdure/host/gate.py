"""Who may come in: keys or none, as the settings say, for every door of the Functions host."""

from collections.abc import Callable

from starlette.types import Scope

from perdure.functions.all_functions import all_functions, function_name
from perdure.functions.descriptions import AuthLevel, HttpFunction, LoadedApp
from perdure.host.key_files import KeyFiles, key_folder
from perdure.host.settings import Settings
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
        self.keys = KeyFiles(key_folder(settings.hub.store_url, settings.app_folder, settings.app))
        self.access: Access = KeyAccess(self.keys.ring) if settings.checks_keys else OpenAccess(settings.cors.origins)
        self._checks_keys = settings.checks_keys

    def prepare(self, app: LoadedApp) -> str | None:
        """Make the keys that are missing when keys are checked; the key that links carry, None without any.

        Raises KeyFilesError.
        """
        if self._checks_keys:
            return self.keys.complete({function_name(function) for function in all_functions(app)}).durable
        return self.keys.ring().durable

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
