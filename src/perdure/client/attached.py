"""Clients of this process, found by token: awaitable from any loop, callable from any thread (architecture.md J16)."""

import asyncio
import concurrent.futures
import secrets
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from perdure.client.entities import CleanedEntities
from perdure.client.task_hub_client import TaskHubClient
from perdure.contracts.records import EndedFilter, EndedKey, EndedPage, InstanceFilter, Page, PageKey
from perdure.core.events import HistoryEvent
from perdure.core.identifiers import EntityId
from perdure.core.instance import InstanceRecord

T = TypeVar("T")


class ClientDetached(Exception):
    """The engine behind this client has stopped."""


_clients: dict[str, "AttachedClient"] = {}


def attach(client: TaskHubClient, loop: asyncio.AbstractEventLoop) -> str:
    """Make ``client``, which lives on ``loop``, reachable in this process; returns its token."""
    token = secrets.token_hex(16)
    _clients[token] = AttachedClient(client, loop)
    return token


def detach(token: str) -> None:
    """Forget the client; calls under way from other loops and threads end with ClientDetached. Twice-safe."""
    attached = _clients.pop(token, None)
    if attached is not None:
        attached.close()


def find(token: str) -> "AttachedClient | None":
    """The client of that token, None when it was never attached or is gone."""
    return _clients.get(token)


class AttachedClient:
    """A TaskHubClient whose methods may be awaited on any loop; errors are those of TaskHubClient.

    Cancelling a call cancels it on the engine's loop; a request that had become durable stays so.
    All raise ClientDetached once the engine has stopped.
    """

    def __init__(self, client: TaskHubClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop
        self._under_way: set[concurrent.futures.Future[Any]] = set()
        self._closed = False

    def close(self) -> None:
        """End all calls under way. Twice-safe."""
        self._closed = True
        for future in list(self._under_way):
            future.cancel()

    def blocking(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the engine's loop and wait for it, from a thread without a loop of its own.

        Raises RuntimeError on the engine's own thread, which would wait for itself.
        """
        if _running_loop() is self._loop:
            raise RuntimeError("A blocking client call was made on the engine's own loop; await the call instead.")
        future = self._submit(call)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise _detached() from None
        except BaseException:
            future.cancel()
            raise

    async def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the engine's loop and await it on this one."""
        if asyncio.get_running_loop() is self._loop:
            if self._closed:
                raise _detached()
            return await call()
        try:
            return await asyncio.wrap_future(self._submit(call))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and (task is None or not task.cancelling()):
                raise _detached() from None
            raise

    def _submit(self, call: Callable[[], Coroutine[Any, Any, T]]) -> "concurrent.futures.Future[T]":
        # The check and the loop's own refusal leave a gap in which the coroutine would never be awaited.
        if self._closed or self._loop.is_closed():
            raise _detached()
        coroutine = call()
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise _detached() from None
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        if self._closed:
            future.cancel()
        return future

    async def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,
        version: str | None = None,
        start_at: datetime | None = None,
        tags: dict[str, str] | None = None,
    ) -> str:
        """Start an orchestration; returns the instance id."""
        return await self.run(
            lambda: self._client.start(
                name, instance_id=instance_id, input=input, version=version, start_at=start_at, tags=tags
            )
        )

    async def get(self, instance_id: str) -> InstanceRecord | None:
        """All that is known of an instance, besides its history."""
        return await self.run(lambda: self._client.get(instance_id))

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        """The events of the current execution."""
        return await self.run(lambda: self._client.history(instance_id))

    async def query(self, filter_: InstanceFilter, limit: int = 100, after: PageKey | None = None) -> Page:
        """One page of instances."""
        return await self.run(lambda: self._client.query(filter_, limit, after))

    async def list_ended(self, filter_: EndedFilter, limit: int = 100, after: EndedKey | None = None) -> EndedPage:
        """See ``TaskHubClient``."""
        return await self.run(lambda: self._client.list_ended(filter_, limit, after))

    async def raise_event(self, instance_id: str, name: str, input: str | None = None) -> None:
        """Give an orchestration a named event."""
        await self.run(lambda: self._client.raise_event(instance_id, name, input))

    async def terminate(self, instance_id: str, reason: str | None = None, recursive: bool = False) -> None:
        """End an orchestration."""
        await self.run(lambda: self._client.terminate(instance_id, reason, recursive))

    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an orchestration back."""
        await self.run(lambda: self._client.suspend(instance_id, reason))

    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Let an orchestration go on."""
        await self.run(lambda: self._client.resume(instance_id, reason))

    async def rewind(self, instance_id: str, reason: str | None = None) -> None:
        """Let a failed orchestration go on."""
        await self.run(lambda: self._client.rewind(instance_id, reason))

    async def restart(self, instance_id: str, *, new_instance_id: str | None = None, version: str | None = None) -> str:
        """Start an orchestration once more; returns the new id."""
        return await self.run(
            lambda: self._client.restart(instance_id, new_instance_id=new_instance_id, version=version)
        )

    async def purge(self, instance_id: str, recursive: bool = False) -> int:
        """Remove a finished orchestration."""
        return await self.run(lambda: self._client.purge(instance_id, recursive))

    async def purge_matching(self, filter_: InstanceFilter, recursive: bool = False) -> int:
        """Remove all finished orchestrations that match."""
        return await self.run(lambda: self._client.purge_matching(filter_, recursive))

    async def signal_entity(
        self, entity_id: EntityId, operation: str, input: str | None = None, *, due_at: datetime | None = None
    ) -> None:
        """Ask an entity for an operation."""
        await self.run(lambda: self._client.signal_entity(entity_id, operation, input, due_at=due_at))

    async def read_entity(self, entity_id: EntityId) -> str | None:
        """An entity's last committed state as JSON text."""
        return await self.run(lambda: self._client.read_entity(entity_id))

    async def clean_entity_storage(
        self, *, remove_empty_entities: bool, release_orphaned_locks: bool
    ) -> CleanedEntities:
        """Forget empty entities and release orphaned locks; returns how many."""
        return await self.run(
            lambda: self._client.clean_entity_storage(
                remove_empty_entities=remove_empty_entities, release_orphaned_locks=release_orphaned_locks
            )
        )

    async def wait_for_completion(
        self, instance_id: str, timeout_seconds: float | None = None
    ) -> InstanceRecord | None:
        """The record once the instance has ended; None when the time is over."""
        return await self.run(lambda: self._client.wait_for_completion(instance_id, timeout_seconds))

    async def wait_for_start(self, instance_id: str, timeout_seconds: float | None = None) -> InstanceRecord | None:
        """The record once the instance is no longer Pending; None when the time is over."""
        return await self.run(lambda: self._client.wait_for_start(instance_id, timeout_seconds))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _detached() -> ClientDetached:
    return ClientDetached("The engine behind this client has stopped.")
