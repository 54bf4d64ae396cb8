"""Clients of schedules, for programs that await each call."""

from collections.abc import Awaitable
from typing import Any, Protocol

from durabletask.client import EntityQuery, OrchestrationState
from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.scheduled.answers import check_done, description_of, entity_query, matching
from durabletask.scheduled.client import OPERATION_ORCHESTRATOR, OPERATION_SECONDS
from durabletask.scheduled.errors import ScheduleNotFoundError
from durabletask.scheduled.operation import DELETE, operation_request, schedule_entity_id
from durabletask.scheduled.options import (
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduleQuery,
    ScheduleUpdateOptions,
)


class AsyncTaskHubCalls(Protocol):
    """What is asked of a task hub's client, be its calls coroutines or other awaitables."""

    def schedule_new_orchestration(self, orchestrator: str, /, *, input: Any | None = None) -> Awaitable[str]:
        """Start an orchestration."""
        ...

    def wait_for_orchestration_completion(
        self, instance_id: str, /, *, timeout: float = 60
    ) -> Awaitable[OrchestrationState | None]:
        """Wait until it has ended."""
        ...

    def get_entity(self, entity_instance_id: EntityInstanceId, /) -> Awaitable[EntityMetadata | None]:
        """Read an entity."""
        ...

    def get_all_entities(self, entity_query: EntityQuery | None = None, /) -> Awaitable[list[EntityMetadata]]:
        """Read the entities that fit."""
        ...


class AsyncScheduleClient:
    """Steers one schedule. An operation that fails raises RuntimeError; one that takes too long TimeoutError."""

    def __init__(
        self, client: AsyncTaskHubCalls, schedule_id: str, *, operation_timeout: float = OPERATION_SECONDS
    ) -> None:
        self._client = client
        self._schedule_id = schedule_id
        self._operation_timeout = operation_timeout

    @property
    def schedule_id(self) -> str:
        """The schedule's id."""
        return self._schedule_id

    async def create(self, options: ScheduleCreationOptions) -> None:
        """Begin, or begin anew, as the options say."""
        await self._run("create_schedule", options)

    async def update(self, options: ScheduleUpdateOptions) -> None:
        """Change what the options name."""
        await self._run("update_schedule", options)

    async def pause(self) -> None:
        """Start nothing until it is resumed."""
        await self._run("pause_schedule")

    async def resume(self) -> None:
        """Go on."""
        await self._run("resume_schedule")

    async def delete(self) -> None:
        """End the schedule; what it has started goes on."""
        await self._run(DELETE)

    async def describe(self) -> ScheduleDescription:
        """The schedule as it is. Raises ScheduleNotFoundError."""
        description = description_of(await self._client.get_entity(schedule_entity_id(self._schedule_id)))
        if description is None:
            raise ScheduleNotFoundError(self._schedule_id)
        return description

    async def _run(self, operation: str, input: Any = None) -> None:
        request = operation_request(self._schedule_id, operation, input)
        instance_id = await self._client.schedule_new_orchestration(OPERATION_ORCHESTRATOR, input=request)
        state = await self._client.wait_for_orchestration_completion(instance_id, timeout=self._operation_timeout)
        check_done(self._schedule_id, operation, state)


class AsyncScheduledTaskClient:
    """Makes and finds schedules of a task hub whose worker runs the schedule entity."""

    def __init__(self, client: AsyncTaskHubCalls, *, operation_timeout: float = OPERATION_SECONDS) -> None:
        self._client = client
        self._operation_timeout = operation_timeout

    def get_schedule_client(self, schedule_id: str) -> AsyncScheduleClient:
        """The client of one schedule, which need not exist."""
        return AsyncScheduleClient(self._client, schedule_id, operation_timeout=self._operation_timeout)

    async def create_schedule(self, options: ScheduleCreationOptions) -> AsyncScheduleClient:
        """Make a schedule, or make it anew."""
        schedule = self.get_schedule_client(options.schedule_id)
        await schedule.create(options)
        return schedule

    async def get_schedule(self, schedule_id: str) -> ScheduleDescription | None:
        """A schedule as it is; None when there is none."""
        return description_of(await self._client.get_entity(schedule_entity_id(schedule_id)))

    async def list_schedules(self, schedule_query: ScheduleQuery | None = None) -> list[ScheduleDescription]:
        """The schedules that fit."""
        return matching(await self._client.get_all_entities(entity_query(schedule_query)), schedule_query)
