"""What an activity learns about its call."""

from collections.abc import Mapping
from types import MappingProxyType

_NO_TAGS: Mapping[str, str] = MappingProxyType({})


class ActivityContext:
    """Who called, and under which number. ``tags`` and ``attempt`` as far as the host knows them."""

    __slots__ = ("_attempt", "_name", "_orchestration_id", "_tags", "_task_id", "_version")

    def __init__(
        self,
        orchestration_id: str,
        task_id: int,
        *,
        name: str = "",
        version: str | None = None,
        tags: Mapping[str, str] = _NO_TAGS,
        attempt: int | None = None,
    ) -> None:
        self._orchestration_id = orchestration_id
        self._task_id = task_id
        self._name = name
        self._version = version
        self._tags = tags
        self._attempt = attempt

    @property
    def orchestration_id(self) -> str:
        """The id of the orchestration that called."""
        return self._orchestration_id

    @property
    def task_id(self) -> int:
        """The number of the call in that orchestration; later attempts of a retried call have the same."""
        return self._task_id

    @property
    def name(self) -> str:
        """The name the activity was called by."""
        return self._name

    @property
    def version(self) -> str | None:
        """The version of the activity that was asked for."""
        return self._version

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of the call."""
        return self._tags

    @property
    def attempt(self) -> int | None:
        """Which attempt this is, from 1; None when the host does not say."""
        return self._attempt


ActivityContext.__module__ = "durabletask.task"
