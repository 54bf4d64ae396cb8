"""Plays a script against the hub and holds each answer against what was committed meanwhile."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from perdure.client import TaskHubClient
from perdure.contracts.errors import (
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InstanceRunning,
    StorageError,
)
from perdure.core.identifiers import EntityId
from perdure.core.status import RuntimeStatus
from perdure.testing.simulated_loop import SimulatedClock
from perdure.testing.simulation.audit import Audit
from perdure.testing.simulation.audited_parts import client_name
from perdure.testing.simulation.programs import LEDGER, write_json
from perdure.testing.simulation.workload import Script

TRIES_MAX = 3
TRY_AGAIN_SECONDS = 0.7

_Statuses = set[RuntimeStatus | None]


class ScriptedClient:
    """One client. An error that means "try later" leaves the outcome open, and it asks again, as real ones do."""

    def __init__(self, client: TaskHubClient, clock: SimulatedClock, audit: Audit, script: Script) -> None:
        self._client = client
        self._clock = clock
        self._audit = audit
        self._script = script
        self._count = itertools.count()
        self.answer_count = 0
        self.unknown_count = 0

    async def play(self) -> None:
        """The whole script."""
        client_name.set(self._script.client)
        for kind, *arguments in self._script.steps:
            if kind == "pause":
                await asyncio.sleep(arguments[0])
                continue
            for _ in range(TRIES_MAX):
                if await self._ask(kind, arguments):
                    break
                await asyncio.sleep(TRY_AGAIN_SECONDS)

    async def _ask(self, kind: str, arguments: list[Any]) -> bool:
        try:
            answer = await _STEPS[kind](self, *arguments)
        except StorageError as error:
            self.unknown_count += 1
            self._audit.note("unknown", self._script.client, kind, type(error).__name__)
            return False
        self.answer_count += 1
        self._audit.note("answer", self._script.client, kind, answer)
        return True

    def _tag(self) -> str:
        return write_json(f"{self._script.client}/{next(self._count)}")

    def _since(self, instance_id: str, commit_count: int) -> _Statuses:
        return self._audit.shadow.statuses_since(instance_id, commit_count)

    def _explained(self, holds: bool, what: str, instance_id: str, statuses: _Statuses) -> None:
        self._audit.require(holds, f"the answer '{what}' for '{instance_id}', which was {statuses} meanwhile")

    async def start(self, instance_id: str | None, name: str, given: Any, delay: float | None) -> str:
        began = self._audit.shadow.commit_count
        start_at = None if delay is None else self._clock.now() + timedelta(seconds=delay)
        try:
            started = await self._client.start(
                name, instance_id=instance_id, input=write_json(given), start_at=start_at
            )
        except InstanceExists as error:
            if instance_id is None:
                raise self._audit.report(f"an id just made up is taken: {error}") from error
            statuses = self._since(instance_id, began)
            # It may have lived and ended meanwhile, between two commits.
            explained = any(_lives(status) for status in statuses)
            explained = explained or self._audit.shadow.has_changed_since(instance_id, began)
            self._explained(explained, "exists", instance_id, statuses)
            return "exists"
        statuses = self._since(started, began)
        self._explained(statuses != {None}, "started", started, statuses)
        return started

    async def _send(self, instance_id: str, send: Callable[[], Any]) -> str:
        began = self._audit.shadow.commit_count
        try:
            await send()
        except InstanceNotFound:
            statuses = self._since(instance_id, began)
            self._explained(None in statuses, "not found", instance_id, statuses)
            return "not found"
        except InstanceFinished:
            statuses = self._since(instance_id, began)
            self._explained(any(s is not None and s.is_terminal for s in statuses), "finished", instance_id, statuses)
            return "finished"
        statuses = self._since(instance_id, began)
        self._explained(any(_lives(status) for status in statuses), "accepted", instance_id, statuses)
        return "accepted"

    async def raise_event(self, instance_id: str, name: str) -> str:
        return await self._send(instance_id, lambda: self._client.raise_event(instance_id, name, self._tag()))

    async def suspend(self, instance_id: str) -> str:
        return await self._send(instance_id, lambda: self._client.suspend(instance_id, "why"))

    async def resume(self, instance_id: str) -> str:
        return await self._send(instance_id, lambda: self._client.resume(instance_id, "why"))

    async def flicker(self, instance_id: str) -> str:
        """Suspend and resume in one breath, so that both may be taken in one episode."""
        suspending = asyncio.create_task(self.suspend(instance_id))
        answers = await asyncio.gather(suspending, self.resume(instance_id), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return " ".join(str(answer) for answer in answers)

    async def terminate(self, instance_id: str, recursive: bool) -> str:
        if not recursive and self.answer_count % 2:
            return await self._terminate_now(instance_id)
        return await self._send(instance_id, lambda: self._client.terminate(instance_id, "enough", recursive))

    async def _terminate_now(self, instance_id: str) -> str:
        began = self._audit.shadow.commit_count
        if await self._client.terminate_now([instance_id], "enough"):
            return "not ended"
        statuses = self._since(instance_id, began)
        self._explained(RuntimeStatus.Terminated in statuses, "ended at once", instance_id, statuses)
        return "ended at once"

    async def signal(self, key: str, operation: str, delay: float | None) -> str:
        due_at = None if delay is None else self._clock.now() + timedelta(seconds=delay)
        await self._client.signal_entity(EntityId(LEDGER, key), operation, self._tag(), due_at=due_at)
        return "accepted"

    async def wait(self, instance_id: str, seconds: float) -> str:
        began = self._audit.shadow.commit_count
        record = await self._client.wait_for_completion(instance_id, seconds)
        if record is None:
            return "too long"
        statuses = self._since(instance_id, began)
        self._explained(record.progress.status in statuses, record.progress.status.name, instance_id, statuses)
        return record.progress.status.name

    async def get(self, instance_id: str) -> str:
        began = self._audit.shadow.commit_count
        record = await self._client.get(instance_id)
        statuses = self._since(instance_id, began)
        status = None if record is None else record.progress.status
        self._explained(status in statuses, str(status), instance_id, statuses)
        return str(status)

    async def purge(self, instance_id: str) -> str:
        began = self._audit.shadow.commit_count
        try:
            purged = await self._client.purge(instance_id)
        except (InstanceNotFound, InstanceRunning) as error:
            return type(error).__name__
        statuses = self._since(instance_id, began)
        self._explained(any(s is not None and s.is_terminal for s in statuses), "purged", instance_id, statuses)
        return str(purged)

    async def rewind(self, instance_id: str) -> str:
        began = self._audit.shadow.commit_count
        try:
            await self._client.rewind(instance_id, "fixed")
        except InstanceNotFound:
            statuses = self._since(instance_id, began)
            self._explained(None in statuses, "not found", instance_id, statuses)
            return "not found"
        except (InstanceNotFailed, InstanceFinished) as error:
            statuses = self._since(instance_id, began)
            self._explained(statuses != {RuntimeStatus.Failed}, type(error).__name__, instance_id, statuses)
            return type(error).__name__
        statuses = self._since(instance_id, began)
        self._explained(RuntimeStatus.Failed in statuses, "rewound", instance_id, statuses)
        return "accepted"

    async def restart(self, instance_id: str, new: bool) -> str:
        try:
            return await self._client.restart(instance_id, new_instance_id=None if new else instance_id)
        except (InstanceNotFound, InstanceExists) as error:
            return type(error).__name__

    async def clean(self) -> str:
        cleaned = await self._client.clean_entity_storage(remove_empty_entities=True, release_orphaned_locks=True)
        return str(cleaned)


def _lives(status: RuntimeStatus | None) -> bool:
    return status is not None and not status.is_terminal


_STEPS: dict[str, Callable[..., Any]] = {
    "start": ScriptedClient.start,
    "raise": ScriptedClient.raise_event,
    "suspend": ScriptedClient.suspend,
    "resume": ScriptedClient.resume,
    "flicker": ScriptedClient.flicker,
    "terminate": ScriptedClient.terminate,
    "signal": ScriptedClient.signal,
    "wait": ScriptedClient.wait,
    "get": ScriptedClient.get,
    "purge": ScriptedClient.purge,
    "clean": ScriptedClient.clean,
    "rewind": ScriptedClient.rewind,
    "restart": ScriptedClient.restart,
}
