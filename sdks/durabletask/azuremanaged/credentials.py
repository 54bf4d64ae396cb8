"""Who a client says it is: bearer tokens, fetched when needed, kept until shortly before their end."""

import asyncio
import importlib
import inspect
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from durabletask.azuremanaged.connection_string import ConnectionString

REFRESHED_BEFORE_SECONDS = 600.0
RESOURCE = "https://durabletask.io"
RESOURCE_OF_GOVERNMENT = "https://durabletask.azure.us"
_SUFFIX = "/.default"

MISSING = "Authentication={kind} needs the package azure-identity. Install it with: pip install 'perdure[azure]'"


class AccessToken(Protocol):
    """What credentials give."""

    @property
    def token(self) -> str:
        """The token's text."""
        ...

    @property
    def expires_on(self) -> int:
        """When it ends, in seconds since 1970."""
        ...


class TokenCredential(Protocol):
    """What gives tokens: credentials of azure-identity do."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for the scope."""
        ...


class AsyncTokenCredential(Protocol):
    """The same for loops: credentials of azure.identity.aio do."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for the scope."""
        ...


def scope_of(resource_id: str | None) -> str:
    """The scope to ask for; None: of the cloud that REGION_NAME tells of. Raises ValueError for an empty one."""
    if resource_id is None:
        region = os.environ.get("REGION_NAME", "").lower()
        resource_id = RESOURCE_OF_GOVERNMENT if region.startswith(("usgov", "usdod")) else RESOURCE
    resource = resource_id.strip().rstrip("/").removesuffix(_SUFFIX).rstrip("/")
    if not resource:
        raise ValueError("resource_id must name a resource, as https://durabletask.io.")
    return resource + _SUFFIX


class BearerTokens:
    """The token of a credential, or none. One request at a time fetches a new one; the others take what it brings."""

    def __init__(self, credential: TokenCredential | AsyncTokenCredential | None, scope: str) -> None:
        self._credential: Any = credential
        self._scope = scope
        self._kept: AccessToken | None = None
        self._fetching = threading.Lock()
        self._fetching_here: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def blocking(self) -> str | None:
        """The token, fetched in this thread when there is none. Raises what the credential raises."""
        if self._credential is None:
            return None
        with self._fetching:
            if not self._is_fresh():
                token = self._credential.get_token(self._scope)
                if inspect.isawaitable(token):
                    _drop(token)
                    raise TypeError(
                        "token_credential is one for async clients; a client whose calls block takes one of "
                        "azure.identity, not of azure.identity.aio."
                    )
                self._kept = token
            return self._text()

    async def awaited(self) -> str | None:
        """The same without blocking the loop: a blocking credential is asked in a thread."""
        if self._credential is None:
            return None
        if self._is_fresh():
            return self._text()
        if not inspect.iscoroutinefunction(self._credential.get_token):
            return await asyncio.to_thread(self.blocking)
        async with self._lock_here():
            if not self._is_fresh():
                self._kept = await self._credential.get_token(self._scope)
            return self._text()

    def _lock_here(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._fetching_here is None or self._fetching_here[0] is not loop:
            self._fetching_here = (loop, asyncio.Lock())
        return self._fetching_here[1]

    def _is_fresh(self) -> bool:
        kept = self._kept
        return kept is not None and kept.expires_on - time.time() > REFRESHED_BEFORE_SECONDS

    def _text(self) -> str | None:
        return None if self._kept is None else self._kept.token


class _OwnToken:
    """A token of a server of one's own, read again each minute when it is in a file."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """The token as it is now."""
        return _Kept(self._read(), int(time.time() + REFRESHED_BEFORE_SECONDS + 60))


class _Kept:
    def __init__(self, token: str, expires_on: int) -> None:
        self.token = token
        self.expires_on = expires_on


def credential_of(connection: ConnectionString) -> TokenCredential | None:
    """The credential that a connection string asks for; None for none. Raises ImportError naming the extra."""
    kind = connection.authentication
    if kind == "None":
        return None
    if kind == "Token":
        return _OwnToken(lambda: _own_token(connection))
    try:
        credentials: Any = importlib.import_module("azure.identity")
    except ImportError as error:
        raise ImportError(MISSING.format(kind=kind), name=error.name) from error
    if kind == "ManagedIdentity":
        return credentials.ManagedIdentityCredential(**_said(client_id=connection.client_id))
    if kind == "WorkloadIdentity":
        return credentials.WorkloadIdentityCredential(
            **_said(
                client_id=connection.client_id,
                tenant_id=connection.tenant_id,
                token_file_path=connection.token_file_path,
                additionally_allowed_tenants=list(connection.additionally_allowed_tenants),
            )
        )
    return getattr(credentials, _CREDENTIALS[kind])()


_CREDENTIALS = {
    "DefaultAzure": "DefaultAzureCredential",
    "Environment": "EnvironmentCredential",
    "AzureCli": "AzureCliCredential",
    "AzurePowerShell": "AzurePowerShellCredential",
    "VisualStudioCode": "VisualStudioCodeCredential",
    "InteractiveBrowser": "InteractiveBrowserCredential",
}


def _own_token(connection: ConnectionString) -> str:
    if connection.token_file is None:
        return connection.token or ""
    try:
        return Path(connection.token_file).read_text().strip()
    except OSError as error:
        raise ValueError(f"TokenFile: {connection.token_file} cannot be read: {error.strerror}.") from error


def _said(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value}


def _drop(awaitable: Any) -> None:
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()
