"""The orchestration through which clients reach a schedule's entity and learn how it went."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from durabletask.entities import EntityInstanceId
from durabletask.scheduled.schedule_entity import ENTITY_NAME
from durabletask.task import OrchestrationContext, Task

DELETE = "delete"


@dataclass
class ScheduleOperationRequest:
    """One operation of one schedule."""

    entity_id: str
    operation_name: str
    input: Any | None = None


def execute_schedule_operation_orchestrator(
    context: OrchestrationContext, request: ScheduleOperationRequest
) -> Generator[Task[Any], Any, Any]:
    """Call the entity and give its answer."""
    entity_id = EntityInstanceId.parse(request.entity_id)
    return (yield context.call_entity(entity_id, request.operation_name, request.input))


def operation_request(schedule_id: str, operation: str, input: Any = None) -> ScheduleOperationRequest:
    """What the orchestration is started with."""
    return ScheduleOperationRequest(str(schedule_entity_id(schedule_id)), operation, input)


def schedule_entity_id(schedule_id: str) -> EntityInstanceId:
    """Where a schedule is kept."""
    return EntityInstanceId(ENTITY_NAME, schedule_id)
