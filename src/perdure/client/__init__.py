"""The public face of a task hub for doors and SDKs: the client, its errors, and the values it speaks in."""

from perdure.client.attached import AttachedClient, ClientDetached
from perdure.client.entities import CleanedEntities
from perdure.client.options import ClientOptions, FunctionKind, KnownNames, LostEvents, known_in
from perdure.client.task_hub_client import TaskHubClient
from perdure.contracts.errors import (
    HistoryCorrupted,
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InstanceRunning,
    InvalidInput,
    Overloaded,
    PayloadTooLarge,
    StorageError,
    StoreFull,
    Unavailable,
)
from perdure.contracts.records import (
    EndedFilter,
    EndedKey,
    EndedPage,
    InstanceFilter,
    Page,
    PageKey,
    Replaceable,
    ReusePolicy,
)
from perdure.core.errors import InvalidIdentifier, NotRegistered
from perdure.core.identifiers import EntityId, entity_id_of
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.status import RuntimeStatus
from perdure.core.waiting_on import WaitingOn, WaitKind

__all__ = [
    "AttachedClient",
    "CleanedEntities",
    "ClientDetached",
    "ClientOptions",
    "EndedFilter",
    "EndedKey",
    "EndedPage",
    "EntityId",
    "FunctionKind",
    "HistoryCorrupted",
    "InstanceExists",
    "InstanceFilter",
    "InstanceFinished",
    "InstanceKind",
    "InstanceNotFailed",
    "InstanceNotFound",
    "InstanceRecord",
    "InstanceRunning",
    "InvalidIdentifier",
    "InvalidInput",
    "KnownNames",
    "LostEvents",
    "NotRegistered",
    "Origin",
    "Overloaded",
    "Page",
    "PageKey",
    "PayloadTooLarge",
    "Progress",
    "Replaceable",
    "ReusePolicy",
    "RuntimeStatus",
    "StorageError",
    "StoreFull",
    "TaskHubClient",
    "Unavailable",
    "WaitKind",
    "WaitingOn",
    "entity_id_of",
    "known_in",
]
