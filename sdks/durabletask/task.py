"""The public names of orchestrators and activities; what they mean is said where they are made."""

from durabletask.activity_context import ActivityContext
from durabletask.failures import (
    FailureDetails,
    NonDeterminismError,
    OrchestrationStateError,
    TaskCancelledError,
    TaskFailedError,
)
from durabletask.markers import activity, entity, get_entity_name, get_name, orchestration
from durabletask.orchestration_context import Activity, Entity, OrchestrationContext, Orchestrator
from durabletask.replay_logging import ReplaySafeLogger
from durabletask.retry import RetryPolicy
from durabletask.tasks import (
    CancellableTask,
    CompletableTask,
    CompositeTask,
    RetryableTask,
    Task,
    TimerTask,
    WhenAllTask,
    WhenAnyTask,
    when_all,
    when_any,
)

__all__ = [
    "Activity",
    "ActivityContext",
    "CancellableTask",
    "CompletableTask",
    "CompositeTask",
    "Entity",
    "FailureDetails",
    "NonDeterminismError",
    "OrchestrationContext",
    "OrchestrationStateError",
    "Orchestrator",
    "ReplaySafeLogger",
    "RetryPolicy",
    "RetryableTask",
    "Task",
    "TaskCancelledError",
    "TaskFailedError",
    "TimerTask",
    "WhenAllTask",
    "WhenAnyTask",
    "activity",
    "entity",
    "get_entity_name",
    "get_name",
    "orchestration",
    "when_all",
    "when_any",
]
