"""What the client tells about orchestrations and entities."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any

from azure.durable_functions.constants import DATETIME_STRING_FORMAT


class OrchestrationRuntimeStatus(Enum):
    """What an orchestration is doing; each value is its name."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"


class DurableOrchestrationStatus:
    """The status of one orchestration; false when there is no such instance. Unknown facts become attributes."""

    def __init__(
        self,
        name: str | None = None,
        instanceId: str | None = None,
        createdTime: str | datetime | None = None,
        lastUpdatedTime: str | datetime | None = None,
        input: Any = None,
        output: Any = None,
        runtimeStatus: str | None = None,
        customStatus: Any = None,
        history: list[Any] | None = None,
        **extra: Any,
    ) -> None:
        self._name = name
        self._instance_id = instanceId
        self._created_time = _time_of(createdTime)
        self._last_updated_time = _time_of(lastUpdatedTime)
        self._input = input
        self._output = output
        self._runtime_status = None if runtimeStatus is None else OrchestrationRuntimeStatus(runtimeStatus)
        self._custom_status = customStatus
        self._history: list[Any] | None = extra.get("historyEvents") if history is None else history
        for key, value in extra.items():
            setattr(self, key, value)

    def __bool__(self) -> bool:
        return self._created_time is not None

    @classmethod
    def from_json(cls, json_obj: Any) -> "DurableOrchestrationStatus":
        """Read a status answer; a text (an error) gives a false status with the attribute ``message``."""
        return cls(message=json_obj) if isinstance(json_obj, str) else cls(**json_obj)

    def to_json(self) -> dict[str, Any]:
        """The status by its wire names."""
        written: dict[str, Any] = {"name": self._name, "instanceId": self._instance_id}
        if self._created_time is not None:
            written["createdTime"] = self._created_time.strftime(DATETIME_STRING_FORMAT)
        if self._last_updated_time is not None:
            written["lastUpdatedTime"] = self._last_updated_time.strftime(DATETIME_STRING_FORMAT)
        written["output"] = self._output
        written["input"] = self._input
        if self._runtime_status is not None:
            written["runtimeStatus"] = self._runtime_status.name
        written["customStatus"] = self._custom_status
        written["history"] = self._history
        return written

    def without_input(self) -> "DurableOrchestrationStatus":
        """This status, whose input is None from now on."""
        self._input = None
        return self

    def __repr__(self) -> str:
        status = self._runtime_status.name if self._runtime_status else None
        return f"<DurableOrchestrationStatus {self._name!r} {self._instance_id!r} {status}>"

    @property
    def name(self) -> str | None:
        """The orchestrator's name."""
        return self._name

    @property
    def instance_id(self) -> str | None:
        """The instance's id."""
        return self._instance_id

    @property
    def created_time(self) -> datetime | None:
        """When the instance was created, UTC; None: there is no such instance."""
        return self._created_time

    @property
    def last_updated_time(self) -> datetime | None:
        """When the instance last made a step, UTC."""
        return self._last_updated_time

    @property
    def input_(self) -> Any:
        """The orchestration's input."""
        return self._input

    @property
    def input(self) -> Any:
        """The orchestration's input."""
        return self._input

    @property
    def output(self) -> Any:
        """The returned value; the error's text when it failed, the reason when it was terminated."""
        return self._output

    @property
    def runtime_status(self) -> OrchestrationRuntimeStatus | None:
        """What the orchestration is doing."""
        return self._runtime_status

    @property
    def custom_status(self) -> Any:
        """What the orchestrator set with ``set_custom_status``."""
        return self._custom_status

    @property
    def history(self) -> list[Any] | None:
        """The events of the current execution; None unless asked for."""
        return self._history


class PurgeHistoryResult:
    """How many instances a purge removed."""

    def __init__(self, instancesDeleted: int, **extra: Any) -> None:
        self._instances_deleted = instancesDeleted
        for key, value in extra.items():
            setattr(self, key, value)

    @classmethod
    def from_json(cls, json_obj: dict[str, Any]) -> "PurgeHistoryResult":
        """Read a purge answer."""
        return cls(**json_obj)

    @property
    def instances_deleted(self) -> int:
        """The number of instances removed."""
        return self._instances_deleted


class EntityStateResponse:
    """An entity's last committed state."""

    def __init__(self, entity_exists: bool, entity_state: Any = None) -> None:
        self._entity_exists = entity_exists
        self._entity_state = entity_state

    @property
    def entity_exists(self) -> bool:
        """Whether the entity exists."""
        return self._entity_exists

    @property
    def entity_state(self) -> Any:
        """The state; None when it does not exist."""
        return self._entity_state


def _time_of(given: str | datetime | None) -> datetime | None:
    if given is None:
        return None
    moment = datetime.fromisoformat(given) if isinstance(given, str) else given
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
