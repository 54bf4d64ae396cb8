"""Clients of schedules, for programs that wait for each call."""

from typing import Any, Protocol

from durabletask.client import EntityQuery, OrchestrationState
from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.markers import get_name
from durabletask.scheduled.answers import check_done, description_of, entity_query, matching
from durabletask.scheduled.errors import ScheduleNotFoundError
from durabletask.scheduled.operation import (
    DELETE,
    execute_schedule_operation_orchestrator,
    operation_request,
    schedule_entity_id,
)
from durabletask.scheduled.options import (
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduleQuery,
    ScheduleUpdateOptions,
)

OPERATION_SECONDS = 60.0
OPERATION_ORCHESTRATOR = get_name(execute_schedule_operation_orchestrator)


class TaskHubCalls(Protocol):
    """What is asked of a task hub's client."""

    def schedule_new_orchestration(self, orchestrator: str, /, *, input: Any | None = None) -> str:
        """Start an orchestration."""
        ...

    def wait_for_orchestration_completion(
        self, instance_id: str, /, *, timeout: float = 60
    ) -> OrchestrationState | None:
        """Wait until it has ended."""
        ...

    def get_entity(self, entity_instance_id: EntityInstanceId, /) -> EntityMetadata | None:
        """Read an entity."""
        ...

    def get_all_entities(self, entity_query: EntityQuery | None = None, /) -> list[EntityMetadata]:
        """Read the entities that fit."""
        ...


class ScheduleClient:
    """Steers one schedule. An operation that fails raises RuntimeError; one that takes too long TimeoutError."""

    def __init__(self, client: TaskHubCalls, schedule_id: str, *, operation_timeout: float = OPERATION_SECONDS) -> None:
        self._client = client
        self._schedule_id = schedule_id
        self._operation_timeout = operation_timeout

    @property
    def schedule_id(self) -> str:
        """The schedule's id."""
        return self._schedule_id

    def create(self, options: ScheduleCreationOptions) -> None:
        """Begin, or begin anew, as the options say."""
        self._run("create_schedule", options)

    def update(self, options: ScheduleUpdateOptions) -> None:
        """Change what the options name."""
        self._run("update_schedule", options)

    def pause(self) -> None:
        """Start nothing until it is resumed."""
        self._run("pause_schedule")

    def resume(self) -> None:
        """Go on."""
        self._run("resume_schedule")

    def delete(self) -> None:
        """End the schedule; what it has started goes on."""
        self._run(DELETE)

    def describe(self) -> ScheduleDescription:
        """The schedule as it is. Raises ScheduleNotFoundError."""
        description = description_of(self._client.get_entity(schedule_entity_id(self._schedule_id)))
        if description is None:
            raise ScheduleNotFoundError(self._schedule_id)
        return description

    def _run(self, operation: str, input: Any = None) -> None:
        request = operation_request(self._schedule_id, operation, input)
        instance_id = self._client.schedule_new_orchestration(OPERATION_ORCHESTRATOR, input=request)
        state = self._client.wait_for_orchestration_completion(instance_id, timeout=self._operation_timeout)
        check_done(self._schedule_id, operation, state)


class ScheduledTaskClient:
    """Makes and finds schedules of a task hub whose worker runs the schedule entity."""

    def __init__(self, client: TaskHubCalls, *, operation_timeout: float = OPERATION_SECONDS) -> None:
        self._client = client
        self._operation_timeout = operation_timeout

    def get_schedule_client(self, schedule_id: str) -> ScheduleClient:
        """The client of one schedule, which need not exist."""
        return ScheduleClient(self._client, schedule_id, operation_timeout=self._operation_timeout)

    def create_schedule(self, options: ScheduleCreationOptions) -> ScheduleClient:
        """Make a schedule, or make it anew."""
        schedule = self.get_schedule_client(options.schedule_id)
        schedule.create(options)
        return schedule

    def get_schedule(self, schedule_id: str) -> ScheduleDescription | None:
        """A schedule as it is; None when there is none."""
        return description_of(self._client.get_entity(schedule_entity_id(schedule_id)))

    def list_schedules(self, schedule_query: ScheduleQuery | None = None) -> list[ScheduleDescription]:
        """The schedules that fit."""
        return matching(self._client.get_all_entities(entity_query(schedule_query)), schedule_query)
