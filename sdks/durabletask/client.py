"""The public names of clients' questions and answers."""

from durabletask.states import (
    CleanEntityStorageResult,
    EntityQuery,
    IdReusePolicy,
    OrchestrationFailedError,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)

__all__ = [
    "CleanEntityStorageResult",
    "EntityQuery",
    "IdReusePolicy",
    "OrchestrationFailedError",
    "OrchestrationQuery",
    "OrchestrationState",
    "OrchestrationStatus",
    "Page",
    "PurgeInstancesResult",
]
