"""The durable client for plain ``def`` functions: the same names, and each call waits for its answer."""

import functools
import inspect
from typing import Any

from azure.durable_functions.client import DurableOrchestrationClient


class BlockingDurableOrchestrationClient:
    """A DurableOrchestrationClient whose coroutine methods run elsewhere while this thread waits."""

    def __init__(self, client: DurableOrchestrationClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not inspect.iscoroutinefunction(member):
            return member

        @functools.wraps(member)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            return self._client.transport.blocking(lambda: member(*args, **kwargs))

        return blocking
