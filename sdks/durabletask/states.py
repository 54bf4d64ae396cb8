"""What clients ask for and tell about orchestrations and entities."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar, overload

from durabletask.failures import FailureDetails
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter

T = TypeVar("T")
INSTANCES_MAX = 2**31 - 1
WAIT_SECONDS = 60.0
"""So long clients wait for an orchestration unless told otherwise."""


class OrchestrationStatus(Enum):
    """What an orchestration is doing; the values are those of the wire."""

    RUNNING = 0
    COMPLETED = 1
    CONTINUED_AS_NEW = 2
    FAILED = 3
    CANCELED = 4
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7

    def __str__(self) -> str:
        return self.name

    @property
    def is_terminal(self) -> bool:
        """Whether nothing comes after it."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        OrchestrationStatus.COMPLETED,
        OrchestrationStatus.FAILED,
        OrchestrationStatus.CANCELED,
        OrchestrationStatus.TERMINATED,
    }
)


class OrchestrationFailedError(Exception):
    """The orchestration failed; ``failure_details`` tells how."""

    def __init__(self, message: str, failure_details: FailureDetails) -> None:
        super().__init__(message)
        self._failure_details = failure_details

    @property
    def failure_details(self) -> FailureDetails:
        """What failed."""
        return self._failure_details


@dataclass
class OrchestrationState:
    """One orchestration. Its first two times are UTC without a time zone."""

    instance_id: str
    name: str
    runtime_status: OrchestrationStatus
    created_at: datetime
    last_updated_at: datetime
    serialized_input: str | None
    serialized_output: str | None
    serialized_custom_status: str | None
    failure_details: FailureDetails | None
    data_converter: DataConverter = field(default=DEFAULT_DATA_CONVERTER, repr=False, compare=False)
    version: str | None = None
    tags: dict[str, str] | None = None
    parent_instance_id: str | None = None
    execution_id: str | None = None
    completed_at: datetime | None = None
    scheduled_start_at: datetime | None = None

    @overload
    def get_input(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_input(self, expected_type: None = None) -> Any: ...
    def get_input(self, expected_type: Any = None) -> Any:
        """The input, as ``expected_type`` if given; None without."""
        return self.data_converter.deserialize(self.serialized_input, expected_type)

    @overload
    def get_output(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_output(self, expected_type: None = None) -> Any: ...
    def get_output(self, expected_type: Any = None) -> Any:
        """The output, as ``expected_type`` if given; None without."""
        return self.data_converter.deserialize(self.serialized_output, expected_type)

    @overload
    def get_custom_status(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_custom_status(self, expected_type: None = None) -> Any: ...
    def get_custom_status(self, expected_type: Any = None) -> Any:
        """The custom status, as ``expected_type`` if given; None without."""
        return self.data_converter.deserialize(self.serialized_custom_status, expected_type)

    @property
    def result(self) -> Any:
        """The output; None without, whatever the status. Text that cannot be read is given as it is."""
        try:
            return self.get_output()
        except ValueError:
            return self.serialized_output

    @property
    def input(self) -> Any:
        """The input."""
        return self.get_input()

    @property
    def custom_status(self) -> Any:
        """The custom status."""
        return self.get_custom_status()

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.runtime_status.is_terminal

    def raise_if_failed(self) -> None:
        """Raise OrchestrationFailedError for a failed orchestration."""
        if self.failure_details is not None:
            raise OrchestrationFailedError(
                f"Orchestration '{self.instance_id}' failed: {self.failure_details.message}", self.failure_details
            )


@dataclass
class OrchestrationQuery:
    """Which orchestrations; None means no condition. Times without a zone are UTC."""

    created_time_from: datetime | None = None
    created_time_to: datetime | None = None
    runtime_status: list[OrchestrationStatus] | None = None
    max_instance_count: int | None = INSTANCES_MAX
    """Of one page; ``get_all_orchestration_states`` asks for all pages."""
    fetch_inputs_and_outputs: bool = False
    instance_id_prefix: str | None = None


@dataclass
class EntityQuery:
    """Which entities; None means no condition. ``include_transient``: also those without a state."""

    instance_id_starts_with: str | None = None
    last_modified_from: datetime | None = None
    last_modified_to: datetime | None = None
    include_state: bool = True
    include_transient: bool = False
    page_size: int | None = None


@dataclass
class PurgeInstancesResult:
    """How many instances a purge removed, and whether it was through."""

    deleted_instance_count: int
    is_complete: bool | None


@dataclass
class CleanEntityStorageResult:
    """What a clean-up of entities did."""

    empty_entities_removed: int
    orphaned_locks_released: int


@dataclass
class Page(Generic[T]):
    """Some of the items; the token, if any, asks for the rest."""

    items: list[T]
    continuation_token: str | None


@dataclass(frozen=True)
class IdReusePolicy:
    """Instances of which statuses a start with their id replaces."""

    replaceable: Collection[OrchestrationStatus]


def replaceable_statuses(policy: Any) -> Collection[OrchestrationStatus] | None:
    """The statuses of an ``IdReusePolicy``, or of a ``pb.OrchestrationIdReusePolicy`` of any copy of the protocol.

    Raises TypeError for anything else.
    """
    if policy is None:
        return None
    if isinstance(policy, IdReusePolicy):
        return policy.replaceable
    statuses = getattr(policy, "replaceableStatus", None)
    if statuses is None:
        raise TypeError(
            "reuse_id_policy is a durabletask.client.IdReusePolicy or a pb.OrchestrationIdReusePolicy, "
            f"not a {type(policy).__name__}."
        )
    return [OrchestrationStatus(int(status)) for status in statuses]


for _public in (
    OrchestrationStatus,
    OrchestrationFailedError,
    OrchestrationState,
    OrchestrationQuery,
    EntityQuery,
    PurgeInstancesResult,
    CleanEntityStorageResult,
    Page,
    IdReusePolicy,
):
    _public.__module__ = "durabletask.client"
