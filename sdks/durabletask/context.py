"""An orchestrator function of two arguments → its definition for the core, and the context it runs with."""

import inspect
import logging
import random
import uuid
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from durabletask.annotations import annotated_type, declared_return_type
from durabletask.awaiting_program import AwaitingProgram
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.failures import TaskFailedError, shown_failure
from durabletask.markers import get_name
from durabletask.orchestration_context import OrchestrationContext
from durabletask.replay_logging import ReplaySafeLogger
from durabletask.retry import RetryPolicy, core_policy_of
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.tags import tags_of
from durabletask.tasks import (
    PORTABLE_TASKS,
    CancellableTask,
    CompletableTask,
    ExternalEventTask,
    LockTask,
    TimerTask,
)
from perdure.core.failures import FailureDetails
from perdure.core.registry import OrchestratorDefinition, Program, Returned
from perdure.core.replay.critical_section import EntityLock
from perdure.core.replay.policy import AllMode, FailedKind, ReplayPolicy, RetryIds, ScheduleAt, UntakenEvents
from perdure.core.replay.recorder import Recorder

_UUID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")
_UUID_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class JsonEncodeOutputException(Exception):
    """What the orchestrator returned cannot be written as JSON."""


# What failures name; programs of the official package compare it.
JsonEncodeOutputException.__module__ = "durabletask.internal.json_encode_output_exception"


def _failed_call(kind: FailedKind, name: str, failure: FailureDetails) -> TaskFailedError:
    # The tasks put their own text around it, since they know their number.
    return TaskFailedError(failure.message, shown_failure(failure))


POLICY = ReplayPolicy(
    schedule_at=ScheduleAt.CALL,
    all_mode=AllMode.WAIT_FOR_ALL,
    retry_ids=RetryIds.REUSED,
    first_task_id=1,
    make_error=_failed_call,
)
"""Timers of any length are one timer: the store has no longest delay."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """How the host of an orchestrator names functions and writes values."""

    converter: DataConverter = DEFAULT_DATA_CONVERTER
    activity_name: Callable[[Any], str] = get_name
    orchestrator_name: Callable[[Any], str] = get_name
    activity_result: Callable[[Any], Any] = declared_return_type
    """What the activity given to a call, by itself or by name, says that it returns."""
    orchestrator_result: Callable[[Any], Any] = declared_return_type
    """The same for a sub-orchestration."""


DEFAULT_CONVENTIONS = Conventions()


def orchestrator_definition(
    function: Callable[..., Any], name: str, conventions: Conventions = DEFAULT_CONVENTIONS
) -> OrchestratorDefinition:
    """The orchestrator as the core runs it. Raises TypeError for an async generator function."""
    if inspect.isasyncgenfunction(function):
        raise TypeError(
            f"The orchestrator '{name}' is an async generator; use 'async def' with 'await', or 'def' with 'yield'."
        )
    converter = conventions.converter
    takes_input, input_type = _declared_input(function, converter)

    def begin(recorder: Recorder, input: str | None) -> Program | Returned:
        context = RuntimeOrchestrationContext(recorder, input, conventions)
        begun = function(context, converter.deserialize(input, input_type)) if takes_input else function(context)
        if isinstance(begun, Coroutine):
            return AwaitingProgram(name, begun)
        return begun if isinstance(begun, Generator) else Returned(begun)

    def write_output(value: Any) -> str | None:
        try:
            return converter.serialize(value)
        except (TypeError, ValueError) as error:
            raise JsonEncodeOutputException(f"The output of the orchestrator '{name}': {error}") from error

    return OrchestratorDefinition(name, begin, write_output, POLICY, PORTABLE_TASKS)


def _declared_input(function: Callable[..., Any], converter: DataConverter) -> tuple[bool, Any]:
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    ]
    if len(parameters) == 1 and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        return False, None
    return True, annotated_type(function, parameters[-1 if len(parameters) == 1 else 1].name, converter)


class RuntimeOrchestrationContext(OrchestrationContext):
    """The context of an orchestrator that the engine runs. Calls are scheduled when they are made."""

    __slots__ = ("_conventions", "_converter", "_input", "_recorder", "_uuids_made")

    def __init__(self, recorder: Recorder, input: str | None, conventions: Conventions) -> None:
        self._recorder = recorder
        self._input = input
        self._conventions = conventions
        self._converter = conventions.converter
        self._uuids_made = 0

    @property
    def instance_id(self) -> str:
        return self._recorder.instance_id

    @property
    def parent_instance_id(self) -> str | None:
        return self._recorder.parent_instance_id

    @property
    def version(self) -> str | None:
        return self._recorder.version

    @property
    def name(self) -> str:
        return self._recorder.name

    @property
    def tags(self) -> Mapping[str, str]:
        return MappingProxyType(self._recorder.tags or {})

    @property
    def current_utc_datetime(self) -> datetime:
        return self._recorder.now.replace(tzinfo=None)

    @property
    def is_replaying(self) -> bool:
        return self._recorder.is_replaying

    def get_input(self, type: Any = None) -> Any:
        return self._converter.deserialize(self._input, type)

    def call_activity(
        self,
        activity: Callable[..., Any] | str,
        *,
        input: Any = None,
        retry_policy: RetryPolicy | None = None,
        tags: dict[str, str] | None = None,
        return_type: Any = None,
    ) -> CompletableTask[Any]:
        name = activity if isinstance(activity, str) else self._conventions.activity_name(activity)
        text = self._converter.serialize(input)
        decode = self._result_reader(return_type, self._conventions.activity_result(activity))
        if retry_policy is None:
            return _portable(self._recorder.call_activity(name, text, decode, tags_of(tags)))
        policy = core_policy_of(retry_policy)
        return _portable(self._recorder.call_activity_with_retry(name, text, decode, policy, tags_of(tags)))

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
        name = orchestrator if isinstance(orchestrator, str) else self._conventions.orchestrator_name(orchestrator)
        text = self._converter.serialize(input)
        decode = self._result_reader(return_type, self._conventions.orchestrator_result(orchestrator))
        child_id = instance_id or None
        if retry_policy is None:
            return _portable(self._recorder.call_child(name, text, child_id, version, decode, tags_of(tags)))
        policy = core_policy_of(retry_policy)
        retried = self._recorder.call_child_with_retry(name, text, child_id, version, decode, policy, tags_of(tags))
        return _portable(retried)

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        timer = self._recorder.create_timer(self._moment(fire_at))
        assert isinstance(timer, TimerTask)
        return timer

    def wait_for_external_event(
        self, name: str, *, data_type: Any = None, timeout: timedelta | None = None
    ) -> CancellableTask[Any]:
        if not name:
            raise ValueError("The name of an external event must not be empty.")
        task = self._recorder.wait_for_event(name, self._reader(data_type))
        assert isinstance(task, ExternalEventTask)
        if timeout is not None:
            task.give_up_with(self.create_timer(timeout), timeout)
        return task

    def send_event(self, instance_id: str, event_name: str, *, data: Any | None = None) -> None:
        if not instance_id or not instance_id.strip():
            raise ValueError("send_event needs the id of an orchestration.")
        if instance_id.startswith("@"):
            raise ValueError(f"send_event reaches orchestrations only; '{instance_id}' is the id of an entity.")
        if not event_name or not event_name.strip():
            raise ValueError("send_event needs the name of an event.")
        self._recorder.send_event(instance_id, event_name, self._converter.serialize(data))

    def call_entity(
        self, entity: EntityInstanceId, operation: str, input: Any = None, *, return_type: Any = None
    ) -> CompletableTask[Any]:
        text = self._converter.serialize(input)
        return _portable(self._recorder.call_entity(str(entity), operation, text, self._reader(return_type)))

    def signal_entity(
        self, entity_id: EntityInstanceId, operation_name: str, input: Any = None, signal_time: datetime | None = None
    ) -> None:
        due_at = None if signal_time is None else aware(signal_time)
        self._recorder.signal_entity(str(entity_id), operation_name, self._converter.serialize(input), due_at)

    def lock_entities(self, entities: Sequence[EntityInstanceId]) -> LockTask[EntityLock]:
        request = self._recorder.lock_entities([str(entity) for entity in entities])
        assert isinstance(request, LockTask)
        return request

    def set_custom_status(self, custom_status: Any) -> None:
        self._recorder.set_custom_status(self._converter.serialize(custom_status))

    def continue_as_new(self, new_input: Any, *, save_events: bool = False, new_version: str | None = None) -> None:
        untaken = UntakenEvents.CARRIED if save_events else UntakenEvents.DROPPED
        self._recorder.continue_as_new(self._converter.serialize(new_input), new_version, untaken)

    def new_uuid(self) -> str:
        number = self._uuids_made
        self._uuids_made = number + 1
        moment = self._recorder.now.strftime(_UUID_TIME)
        return str(uuid.uuid5(_UUID_NAMESPACE, f"{self.instance_id}_{moment}_{number}"))

    def random(self) -> random.Random:
        return random.Random(self.new_uuid())

    def create_replay_safe_logger(self, logger: logging.Logger) -> ReplaySafeLogger:
        return ReplaySafeLogger(logger, lambda: self._recorder.is_replaying)

    def _result_reader(self, wanted: Any, declared: Any) -> Callable[[str | None], Any]:
        if wanted is None and declared is not None and self._converter.can_reconstruct(declared):
            wanted = declared
        return self._reader(wanted)

    def _reader(self, wanted: Any) -> Callable[[str | None], Any]:
        converter = self._converter
        return lambda text: converter.deserialize(text, wanted)

    def _moment(self, fire_at: Any) -> datetime:
        if isinstance(fire_at, timedelta):
            return self._recorder.now + fire_at
        if isinstance(fire_at, datetime):
            return aware(fire_at)
        raise TypeError(f"A timer takes a datetime or a timedelta, not a {type(fire_at).__name__}.")


def aware(moment: datetime) -> datetime:
    """The moment in UTC; without a zone it is UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _portable(task: Any) -> CompletableTask[Any]:
    assert isinstance(task, CompletableTask), "the recorder makes the tasks that the definition names"
    return task
