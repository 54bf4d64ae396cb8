"""OrchestrationContext: what an orchestrator may do, as an interface that tests may implement."""

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from durabletask.activity_context import ActivityContext
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.replay_logging import ReplaySafeLogger
from durabletask.retry import RetryPolicy
from durabletask.tasks import CancellableTask, CompletableTask, LockTask, Task, TimerTask
from perdure.core.replay.critical_section import EntityLock

if TYPE_CHECKING:
    from durabletask.entities.context import EntityContext

T = TypeVar("T")
TInput = TypeVar("TInput")
TOutput = TypeVar("TOutput")

Orchestrator: TypeAlias = (
    Callable[["OrchestrationContext", TInput], Generator[Task[Any], Any, TOutput]]
    | Callable[["OrchestrationContext", TInput], Coroutine[Any, Any, TOutput]]
    | Callable[["OrchestrationContext", TInput], TOutput]
)
"""A generator function, an ``async def`` or a plain function of a context and its input."""
Activity: TypeAlias = (
    Callable[[ActivityContext, TInput], Coroutine[Any, Any, TOutput]] | Callable[[ActivityContext, TInput], TOutput]
)
"""A plain function or an ``async def`` of a context and its input."""
Entity: TypeAlias = "Callable[[EntityContext, TInput], TOutput] | type"
"""A function of a context and an operation's input, or a DurableEntity class."""


class OrchestrationContext(ABC):
    """One execution as its code sees it. Everything asked for here happens once, however often the code is replayed."""

    @property
    @abstractmethod
    def instance_id(self) -> str:
        """The id of this instance."""

    @property
    @abstractmethod
    def parent_instance_id(self) -> str | None:
        """The id of the orchestration that called this one; None for a root."""

    @property
    @abstractmethod
    def version(self) -> str | None:
        """The version this instance was started with; None for none."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name this orchestration was started by."""

    @property
    @abstractmethod
    def tags(self) -> Mapping[str, str]:
        """The tags this instance was started with."""

    @property
    @abstractmethod
    def current_utc_datetime(self) -> datetime:
        """The time of this step, the same at every replay; UTC, without a time zone."""

    @property
    @abstractmethod
    def is_replaying(self) -> bool:
        """Whether the code is being run again over what it has done already."""

    @overload
    @abstractmethod
    def get_input(self) -> Any: ...
    @overload
    @abstractmethod
    def get_input(self, type: type[T]) -> T: ...
    @abstractmethod
    def get_input(self, type: Any = None) -> Any:
        """The input, rebuilt as ``type`` if given."""

    # A result's type: the one asked for, else what the function says that it returns.
    @overload
    @abstractmethod
    def call_activity(
        self,
        activity: Callable[..., Any] | str,
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        tags: dict[str, str] | None = None,
        return_type: type[T],
    ) -> CompletableTask[T]: ...
    @overload
    @abstractmethod
    def call_activity(
        self,
        activity: Callable[[ActivityContext, TInput], Coroutine[Any, Any, TOutput]],
        *,
        input: TInput | None = None,
        retry_policy: RetryPolicy | None = None,
        tags: dict[str, str] | None = None,
        return_type: None = None,
    ) -> CompletableTask[TOutput]: ...
    @overload
    @abstractmethod
    def call_activity(
        self,
        activity: Callable[[ActivityContext, TInput], TOutput],
        *,
        input: TInput | None = None,
        retry_policy: RetryPolicy | None = None,
        tags: dict[str, str] | None = None,
        return_type: None = None,
    ) -> CompletableTask[TOutput]: ...
    @overload
    @abstractmethod
    def call_activity(
        self,
        activity: str,
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        tags: dict[str, str] | None = None,
        return_type: None = None,
    ) -> CompletableTask[Any]: ...
    @abstractmethod
    def call_activity(
        self,
        activity: Callable[..., Any] | str,
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        tags: dict[str, str] | None = None,
        return_type: Any = None,
    ) -> CompletableTask[Any]:
        """Run an activity, again after failures as ``retry_policy`` says.

        ``tags`` are kept in the history and told to each attempt. Raises TypeError when one is no text.
        """

    @overload
    @abstractmethod
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: dict[str, str] | None = None,
        return_type: type[T],
    ) -> CompletableTask[T]: ...
    @overload
    @abstractmethod
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[["OrchestrationContext", TInput], Generator[Any, Any, TOutput]],
        *,
        input: TInput | None = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: dict[str, str] | None = None,
        return_type: None = None,
    ) -> CompletableTask[TOutput]: ...
    @overload
    @abstractmethod
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[["OrchestrationContext", TInput], Coroutine[Any, Any, TOutput]],
        *,
        input: TInput | None = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: dict[str, str] | None = None,
        return_type: None = None,
    ) -> CompletableTask[TOutput]: ...
    @overload
    @abstractmethod
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[["OrchestrationContext", TInput], TOutput],
        *,
        input: TInput | None = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: dict[str, str] | None = None,
        return_type: None = None,
    ) -> CompletableTask[TOutput]: ...
    @overload
    @abstractmethod
    def call_sub_orchestrator(
        self,
        orchestrator: str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: dict[str, str] | None = None,
        return_type: None = None,
    ) -> CompletableTask[Any]: ...
    @abstractmethod
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any = None,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: dict[str, str] | None = None,
        return_type: Any = None,
    ) -> CompletableTask[Any]:
        """Run another orchestration and wait for its output; without an id it gets one that follows from this one's."""

    @abstractmethod
    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Wait until ``fire_at``, or for a timedelta. A time without a zone is UTC; one in the past fires at once."""

    @overload
    @abstractmethod
    def wait_for_external_event(
        self, name: str, *, data_type: type[T], timeout: timedelta | None = None
    ) -> CancellableTask[T]: ...
    @overload
    @abstractmethod
    def wait_for_external_event(
        self, name: str, *, data_type: None = None, timeout: timedelta | None = None
    ) -> CancellableTask[Any]: ...
    @abstractmethod
    def wait_for_external_event(
        self, name: str, *, data_type: Any = None, timeout: timedelta | None = None
    ) -> CancellableTask[Any]:
        """Take one event of that name, whatever its case; events that came before are kept for it.

        After ``timeout`` the task fails with a TaskFailedError that is caused by TimeoutError.
        """

    @abstractmethod
    def send_event(self, instance_id: str, event_name: str, *, data: Any | None = None) -> None:
        """Raise an event to another orchestration, which need not exist. Raises ValueError for a blank id or name."""

    @overload
    @abstractmethod
    def call_entity(
        self, entity: EntityInstanceId, operation: str, input: Any = None, *, return_type: type[T]
    ) -> CompletableTask[T]: ...
    @overload
    @abstractmethod
    def call_entity(
        self, entity: EntityInstanceId, operation: str, input: Any = None, *, return_type: None = None
    ) -> CompletableTask[Any]: ...
    @abstractmethod
    def call_entity(
        self, entity: EntityInstanceId, operation: str, input: Any = None, *, return_type: Any = None
    ) -> CompletableTask[Any]:
        """Run an entity's operation and wait for its result."""

    @abstractmethod
    def signal_entity(
        self, entity_id: EntityInstanceId, operation_name: str, input: Any = None, signal_time: datetime | None = None
    ) -> None:
        """Ask for an entity's operation without waiting; not before ``signal_time`` if given."""

    @abstractmethod
    def lock_entities(self, entities: Sequence[EntityInstanceId]) -> LockTask[EntityLock]:
        """Enter a critical section: ``with (yield context.lock_entities([...])):``, or ``async with``.

        Inside it only the locked entities may be called, none of them signalled, and no sub-orchestration started.
        Raises RuntimeError inside another section.
        """

    @abstractmethod
    def set_custom_status(self, custom_status: Any) -> None:
        """Show a value in the status of this instance; None clears it."""

    @abstractmethod
    def continue_as_new(self, new_input: Any, *, save_events: bool = False, new_version: str | None = None) -> None:
        """End this execution and begin the next with this input; the first call counts, what is returned does not.

        ``save_events`` hands events that nobody took to the next execution.
        """

    @abstractmethod
    def new_uuid(self) -> str:
        """A UUID that is the same at every replay."""

    @abstractmethod
    def random(self) -> random.Random:
        """Random numbers that are the same at every replay."""

    @abstractmethod
    def create_replay_safe_logger(self, logger: logging.Logger) -> ReplaySafeLogger:
        """A logger that is silent while the code is replayed."""


OrchestrationContext.__module__ = "durabletask.task"
