"""DurableOrchestrationContext: the 1.x words for what the recorder offers."""

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from azure.durable_functions.constants import ACTIVITY_TRIGGER, DATETIME_STRING_FORMAT, ORCHESTRATION_TRIGGER
from azure.durable_functions.durable_http import TokenSource, read_response, write_request
from azure.durable_functions.entity_id import EntityId, scheduler_id_of
from azure.durable_functions.names import DeclaredResults, activity_results, name_of, orchestrator_results, plain
from azure.durable_functions.retry_options import policy_of
from azure.durable_functions.serialization import Decode, decode_as, from_text, to_optional_text
from durabletask.retry import RetryPolicy
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.tasks import Task, TimerTask
from perdure.formats.durable_http import next_poll

if TYPE_CHECKING:  # of use only while another host runs the function, so not loaded at every start
    from azure.durable_functions.history_event import FunctionContext, HistoryEvent
    from perdure.formats.azure_json.contexts import OrchestratorContext

CUSTOM_STATUS_KILOBYTES_MAX = 16
"""In whole kilobytes of UTF-16, as the .NET host counts."""

_UUID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")

Function = str | Callable[..., Any]
"""A function to call: its registered name, or the decorated function itself."""


class DurableOrchestrationContext:
    """What an orchestrator may do. Nothing is scheduled until the task, or one made of it, is yielded.

    Inputs are written when the call is made: what has no JSON form raises TypeError there.
    """

    __slots__ = ("_custom_status", "_identifiers_made", "_input", "_input_type", "_recorder", "_time_set")

    def __init__(self, recorder: Recorder, input: str | None, input_type: type | None = None) -> None:
        self._recorder = recorder
        self._input = input
        self._input_type = input_type
        self._custom_status: Any = None
        self._identifiers_made = 0
        self._time_set: tuple[datetime, datetime] | None = None

    @classmethod
    def from_json(cls, json_string: str) -> "DurableOrchestrationContext":
        """The context that a host's JSON text stands for, for tests; it drives nothing. Raises ValueError."""
        from azure.durable_functions.protocol_recorder import idle_recorder

        recorder = idle_recorder(json_string)
        return cls(recorder, recorder.call.input)

    def host_call(self) -> "OrchestratorContext | None":
        """The call of the official host that this context serves; None on our own host."""
        return getattr(self._recorder, "call", None)

    @property
    def histories(self) -> "list[HistoryEvent]":
        """The past that the official host sent along.

        Raises NotImplementedError where perdure runs the function: the past stays in the store; ask a client for it.
        """
        call = self.host_call()
        if call is None:
            raise NotImplementedError(
                "The history is not handed to orchestrators; an activity or a client function gets it with "
                "client.get_status(instance_id, show_history=True)."
            )
        from azure.durable_functions.history_event import HistoryEvent

        return [HistoryEvent(**row) for row in call.history]

    @property
    def function_context(self) -> "FunctionContext":
        """What the official host sent along with the trigger and the protocol does not know; else empty."""
        from azure.durable_functions.history_event import FunctionContext

        call = self.host_call()
        return FunctionContext() if call is None else FunctionContext(**call.extra)

    @property
    def instance_id(self) -> str:
        """The id of this instance."""
        return self._recorder.instance_id

    @property
    def parent_instance_id(self) -> str | None:
        """The id of the orchestration that called this one; None for a root."""
        return self._recorder.parent_instance_id

    @property
    def is_replaying(self) -> bool:
        """Whether the code is being run again over what it has done already."""
        return self._recorder.is_replaying

    @property
    def version(self) -> str | None:
        """The version this instance was started with."""
        return self._recorder.version

    @property
    def will_continue_as_new(self) -> bool:
        """Whether ``continue_as_new`` was called."""
        return self._recorder.will_continue_as_new

    @property
    def custom_status(self) -> Any:
        """The custom status set last in this execution."""
        return self._custom_status

    @property
    def current_utc_datetime(self) -> datetime:
        """The time of this step, the same at every replay; aware, UTC, and never going back."""
        now = self._recorder.now
        if self._time_set is not None and self._time_set[0] == now:
            return self._time_set[1]
        return now

    @current_utc_datetime.setter
    def current_utc_datetime(self, value: datetime) -> None:
        # Holds until the next step brings its own time.
        self._time_set = (self._recorder.now, value)

    def get_input(self, expected_type: type | None = None) -> Any:
        """The orchestration's input, rebuilt as ``expected_type`` or the decorator's ``input_type``; None without."""
        declared = self._input_type if expected_type is None else expected_type
        return from_text(self._input) if declared is None else decode_as(declared)(self._input)

    def call_activity(self, name: Function, input_: Any = None, expected_type: type | None = None) -> Task:
        """Run an activity."""
        name = name_of(name, ACTIVITY_TRIGGER)
        decode = _decoder(activity_results, name, expected_type)
        return self._recorder.call_activity(name, to_optional_text(input_), decode)

    def call_activity_with_retry(
        self, name: Function, retry_options: RetryPolicy, input_: Any = None, expected_type: type | None = None
    ) -> Task:
        """Run an activity, again after failures as ``retry_options`` say; the last failure is raised."""
        name = name_of(name, ACTIVITY_TRIGGER)
        decode = _decoder(activity_results, name, expected_type)
        return self._recorder.call_activity_with_retry(name, to_optional_text(input_), decode, policy_of(retry_options))

    def call_sub_orchestrator(
        self,
        name: Function,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type | None = None,
    ) -> Task:
        """Run another orchestration and wait for its output; without an id it gets one that follows from this one's."""
        name = name_of(name, ORCHESTRATION_TRIGGER)
        decode = _decoder(orchestrator_results, name, expected_type)
        return self._recorder.call_child(name, to_optional_text(input_), instance_id or None, version, decode)

    def call_sub_orchestrator_with_retry(
        self,
        name: Function,
        retry_options: RetryPolicy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type | None = None,
    ) -> Task:
        """Run another orchestration, again after failures as ``retry_options`` say; the last failure is raised."""
        name = name_of(name, ORCHESTRATION_TRIGGER)
        decode = _decoder(orchestrator_results, name, expected_type)
        return self._recorder.call_child_with_retry(
            name, to_optional_text(input_), instance_id or None, version, decode, policy_of(retry_options)
        )

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Wait until ``fire_at``, or for a timedelta. A time without a zone is UTC; one in the past fires at once."""
        return self._recorder.create_timer(_moment(fire_at, self.current_utc_datetime))

    def wait_for_external_event(self, name: str, expected_type: type | None = None) -> Task:
        """Take one event of that name, whatever its case; events that came before are kept for it."""
        if not name:
            raise ValueError("The name of an external event must not be empty.")
        return self._recorder.wait_for_event(
            plain(name), from_text if expected_type is None else decode_as(expected_type)
        )

    def call_http(
        self,
        method: str,
        uri: str,
        content: Any = None,
        headers: dict[str, str] | None = None,
        token_source: TokenSource | None = None,
        is_raw_str: bool = False,
    ) -> Task:
        """Send an HTTP request; the task's value is its DurableHttpResponse, whatever the status.

        An answer 202 with a ``Location`` is asked about again until there is a final one. Content is written as JSON,
        text too, unless ``is_raw_str``.
        """
        request = write_request(
            plain(method), uri, content=content, headers=headers, token_source=token_source, is_raw_str=is_raw_str
        )
        return self._recorder.call_http(request, read_response, next_poll)

    def call_entity(
        self,
        entityId: EntityId,
        operationName: str,
        operationInput: Any = None,
        expected_type: type | None = None,
    ) -> Task:
        """Run an entity's operation and wait for its result."""
        decode = from_text if expected_type is None else decode_as(expected_type)
        return self._recorder.call_entity(
            scheduler_id_of(entityId), plain(operationName), to_optional_text(operationInput), decode
        )

    def signal_entity(self, entityId: EntityId, operationName: str, operationInput: Any = None) -> Task:
        """Ask for an entity's operation now, without waiting; the task returned is complete."""
        return self._recorder.signal_entity(
            scheduler_id_of(entityId), plain(operationName), to_optional_text(operationInput)
        )

    def task_all(self, activities: Sequence[Task]) -> Task:
        """All results, in the order given; fails as soon as one fails, with its exception."""
        return self._recorder.all_of(activities)

    def task_any(self, activities: Sequence[Task]) -> Task:
        """The task that completes first, as the object that was passed in; never fails itself."""
        return self._recorder.any_of(activities)

    def set_custom_status(self, status: Any) -> None:
        """Show a value in the status of this instance; None clears it. Raises ValueError above 16 KB."""
        text = to_optional_text(status)
        if text is not None:
            _check_status_size(text)
        self._recorder.set_custom_status(text)
        self._custom_status = status

    def continue_as_new(self, input_: Any) -> None:
        """End this execution and begin the next with this input. The first call counts; nothing is scheduled later."""
        self._recorder.continue_as_new(to_optional_text(input_))

    def new_uuid(self) -> str:
        """A UUID that is the same at every replay."""
        moment = self.current_utc_datetime.strftime(DATETIME_STRING_FORMAT)
        return str(uuid.uuid5(_UUID_NAMESPACE, f"{self.instance_id}_{moment}_{self._next_identifier()}"))

    def new_guid(self) -> uuid.UUID:
        """A UUID object that is the same at every replay."""
        name = f"{self.instance_id}_{self.current_utc_datetime}_{self._next_identifier()}"
        return uuid.uuid5(uuid.NAMESPACE_URL, name)

    def _next_identifier(self) -> int:
        number = self._identifiers_made
        self._identifiers_made = number + 1
        return number


def _decoder(results: DeclaredResults, name: str, expected_type: type | None) -> Decode:
    return results.decoder(name) if expected_type is None else decode_as(expected_type)


def _moment(fire_at: Any, now: datetime) -> datetime:
    if isinstance(fire_at, datetime):
        return fire_at.replace(tzinfo=UTC) if fire_at.tzinfo is None else fire_at
    if isinstance(fire_at, date):
        return datetime.combine(fire_at, time(), UTC)
    if isinstance(fire_at, timedelta):
        return now + fire_at
    raise ValueError(f"A timer's fire_at must be a datetime, not {type(fire_at).__name__}.")


def _check_status_size(text: str) -> None:
    limit = CUSTOM_STATUS_KILOBYTES_MAX
    if 2 * len(text) // 1024 <= limit:
        return
    # Escapes and spaces are ours alone: the host counts the characters they stand for.
    as_the_host_writes = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    size = len(as_the_host_writes.encode("utf-16-le", "surrogatepass"))
    if size // 1024 > limit:
        raise ValueError(f"The custom status has {size:,} bytes as UTF-16 JSON; at most {limit} KB are allowed.")
