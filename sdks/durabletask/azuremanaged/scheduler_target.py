"""What the two constructor forms say: one target for clients and workers alike."""

import os
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from durabletask.azuremanaged.connection_string import ConnectionString
from durabletask.azuremanaged.credentials import BearerTokens, credential_of, scope_of
from durabletask.embedded import is_embedded
from perdure import __version__

USER_AGENT = f"durabletask-python/{__version__}"

UNSET: Any = object()
"""Stands for an argument that was not given, where None means something."""


@dataclass(frozen=True)
class SchedulerTarget:
    """A task hub and who asks it. ``is_secure``: with TLS where the address has no scheme."""

    address: str
    task_hub: str
    is_secure: bool
    tokens: BearerTokens
    ca_file: str | None = None
    worker_id: str | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether the hub is in this process."""
        return is_embedded(self.address)

    async def blocking_headers(self) -> Sequence[tuple[str, str]]:
        """A call's metadata; a token is fetched in this thread. It never waits for a loop."""
        return self._headers(self.tokens.blocking())

    async def headers(self) -> Sequence[tuple[str, str]]:
        """A call's metadata, without blocking the loop."""
        return self._headers(await self.tokens.awaited())

    def headers_now(self) -> Sequence[tuple[str, str]]:
        """The same for threads."""
        return self._headers(self.tokens.blocking())

    def _headers(self, token: str | None) -> Sequence[tuple[str, str]]:
        headers = [("taskhub", self.task_hub), ("x-user-agent", USER_AGENT)]
        if self.worker_id is not None:
            headers.append(("workerid", self.worker_id))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        return headers


def new_worker_id() -> str:
    """Names a worker for as long as it lives."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"


def target_of(
    connection_string: str | ConnectionString | None,
    *,
    host_address: Any = UNSET,
    taskhub: Any = UNSET,
    token_credential: Any = UNSET,
    secure_channel: Any = UNSET,
    resource_id: str | None = None,
    worker_id: str | None = None,
) -> SchedulerTarget:
    """The target of either form. Raises TypeError for a mixture of both or half a form; ValueError, ImportError."""
    given = {
        "host_address": host_address,
        "taskhub": taskhub,
        "token_credential": token_credential,
        "secure_channel": secure_channel,
    }
    scope = scope_of(resource_id)
    if connection_string is not None:
        mixed = [name for name, value in given.items() if value is not UNSET]
        if mixed:
            raise TypeError(
                f"A connection string says where the hub is and who asks; leave out {', '.join(mixed)}, or leave out "
                "the string and give host_address, taskhub and token_credential."
            )
        if not isinstance(connection_string, str | ConnectionString):
            raise TypeError(f"A connection string is a str or a ConnectionString, not a {type(connection_string)}.")
        said = ConnectionString.parse(connection_string) if isinstance(connection_string, str) else connection_string
        tokens = BearerTokens(credential_of(said), scope)
        return SchedulerTarget(said.endpoint, said.task_hub, True, tokens, said.ca_file, worker_id)
    missing = [name for name in ("host_address", "taskhub", "token_credential") if given[name] is UNSET]
    if missing:
        raise TypeError(
            f"Give a connection string, or host_address, taskhub and token_credential; {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing."
        )
    if not taskhub:
        raise ValueError("The taskhub value cannot be empty.")
    tokens = BearerTokens(token_credential, scope)
    is_secure = True if secure_channel is UNSET else bool(secure_channel)
    return SchedulerTarget(host_address, taskhub, is_secure, tokens, None, worker_id)
