"""Core history → the protocol's encoded history events (grpc.md §4.2, §6.4): of work items, and as clients see it.

This runs for every event that a remote worker is sent, so it joins bytes and builds no messages (``wire``).
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from perdure.core import events as ev
from perdure.core.decisions import failed_output
from perdure.core.failures import FailureDetails
from perdure.formats.protobuf.failures import failure_bytes
from perdure.formats.protobuf.times import time_field
from perdure.formats.protobuf.traces import trace_field
from perdure.formats.protobuf.wire import message, read_varint, string, tag, text, texts, varint

Frames = list[bytes]
"""Encoded events, each with its length in front; a field's tag before each makes them that repeated field."""

PAST_EVENTS = tag(3)
NEW_EVENTS = tag(4)
CHUNK_EVENTS = tag(1)
CHUNK_BYTES = 256 * 1024

_T1, _T2, _T3, _T4, _T5, _T6, _T7, _, _T9 = (tag(field) for field in range(1, 10))
_MINUS_ONE = b"\x08" + varint(-1)
_NOWHERE = _MINUS_ONE + _T2 + b"\x00"


class HistoryWriter:
    """Encodes the history of one execution, piece by piece.

    ``append`` takes committed episodes. A turn is two steps: ``frames`` encodes what the worker is told, as often as
    it is asked; ``settle`` gives what the episode adds to the past, once it is committed.
    """

    __slots__ = ("_calls", "_granted", "_name", "_plain", "_sections", "_stamp", "execution_id", "instance_id")

    def __init__(self, instance_id: str, execution_id: str) -> None:
        self.instance_id = instance_id
        self.execution_id = execution_id
        self._name = ""
        self._stamp = _T2 + b"\x00"
        self._plain = _NOWHERE
        """The head of an event that records no action: id -1 and the episode's time."""
        self._calls: dict[int, str] = {}
        """Task id of an entity call → its request id."""
        self._sections: dict[int, str] = {}
        """Task id of a lock request → its critical section."""
        self._granted: set[int] = set()

    def append(self, history: Iterable[ev.HistoryEvent]) -> bytes:
        """More of the past: whole committed episodes, encoded as ``pastEvents``. What workers cannot take is left out.

        Raises UnicodeEncodeError for a lone surrogate.
        """
        return joined(PAST_EVENTS, self._episodes(history, _OF_WORK_ITEMS))

    def frames(self, events: Iterable[ev.HistoryEvent]) -> Frames:
        """The events of a turn; changes nothing that counts when they are encoded again."""
        table = _OF_WORK_ITEMS
        frames: Frames = []
        for event in events:
            writer = table.get(type(event))
            if writer is not None and (body := writer(self, event)):
                frames.append(varint(len(body)) + body)
        return frames

    def settle(self, frames: Frames, scheduled: Iterable[ev.HistoryEvent]) -> bytes:
        """What a committed turn adds to the past: ``frames`` of its events, what its actions scheduled, its end."""
        return joined(PAST_EVENTS, [*frames, *self.frames(scheduled), self._episode_end()])

    def whole(self, history: Iterable[ev.HistoryEvent]) -> Frames:
        """A whole history as clients read it: with how the execution ended and that it was rewound."""
        return self._episodes(history, _OF_CLIENTS)

    def _episodes(self, history: Iterable[ev.HistoryEvent], table: "_Table") -> Frames:
        frames: Frames = []
        is_open = False
        for event in history:
            kind = type(event)
            if kind in _BOUNDARIES:
                if is_open:
                    frames.append(self._episode_end())
                is_open = kind is ev.OrchestratorStarted
            writer = table.get(kind)
            if writer is not None and (body := writer(self, event)):
                frames.append(varint(len(body)) + body)
            if type(event) is ev.EntityLockGranted:
                self._granted.add(event.task_id)
        if is_open:
            frames.append(self._episode_end())
        return frames

    def _episode_end(self) -> bytes:
        body = self._plain + _ORCHESTRATOR_COMPLETED
        return varint(len(body)) + body

    def _scheduled(self, task_id: int, opening: bytes, body: bytes) -> bytes:
        return b"\x08" + varint(task_id) + self._stamp + opening + varint(len(body)) + body

    def _orchestrator_started(self, event: ev.OrchestratorStarted) -> bytes:
        self._stamp = stamp = time_field(_T2, event.at)
        self._plain = plain = _MINUS_ONE + stamp
        return plain + _ORCHESTRATOR_STARTED

    def _execution_started(self, event: ev.ExecutionStarted) -> bytes:
        self._name = event.name
        body = [
            string(_T1, event.name),
            text(_T2, event.version),
            text(_T3, event.input),
            message(_T4, string(_T1, self.instance_id) + text(_T2, event.execution_id)),
        ]
        if event.parent is not None:
            body.append(message(_T5, _parent(event.parent)))
        if event.scheduled_start_at is not None:
            body.append(time_field(_T6, event.scheduled_start_at))
        body.append(trace_field(_T7, event.trace_context))
        body.append(texts(_T9, event.tags))
        return self._plain + message(_EXECUTION_STARTED, b"".join(body))

    def _execution_completed(self, event: ev.ExecutionCompleted) -> bytes:
        result, failure = event.result, event.failure
        if failure is not None and result == failed_output(self._name, failure):
            # It stands for the failure, which these readers are told in full.
            result = None
        status = b"\x08" + varint(event.status) + text(_T2, result)
        return self._plain + message(_EXECUTION_COMPLETED, status + _failure(_T3, failure))

    def _execution_terminated(self, event: ev.ExecutionTerminated) -> bytes:
        recursive = b"\x10\x01" if event.recursive else b""
        return self._plain + message(_EXECUTION_TERMINATED, text(_T1, event.reason) + recursive)

    def _execution_suspended(self, event: ev.ExecutionSuspended) -> bytes:
        return self._plain + message(_EXECUTION_SUSPENDED, text(_T1, event.reason))

    def _execution_resumed(self, event: ev.ExecutionResumed) -> bytes:
        return self._plain + message(_EXECUTION_RESUMED, text(_T1, event.reason))

    def _execution_rewound(self, event: ev.ExecutionRewound) -> bytes:
        return self._plain + message(_EXECUTION_REWOUND, text(_T1, event.reason))

    def _task_scheduled(self, event: ev.TaskScheduled) -> bytes:
        body = string(_T1, event.name) + text(_T3, event.input)
        if event.version is not None:
            body += text(_T2, event.version)
        if event.trace_context is not None:
            body += trace_field(_T4, event.trace_context)
        if event.tags:
            body += texts(_T5, event.tags)
        return self._scheduled(event.task_id, _TASK_SCHEDULED, body)

    def _task_completed(self, event: ev.TaskCompleted) -> bytes:
        body = b"\x08" + varint(event.task_id) + text(_T2, event.result)
        return self._plain + _TASK_COMPLETED + varint(len(body)) + body

    def _task_failed(self, event: ev.TaskFailed) -> bytes:
        return self._plain + message(_TASK_FAILED, b"\x08" + varint(event.task_id) + _failure(_T2, event.failure))

    def _child_created(self, event: ev.SubOrchestrationCreated) -> bytes:
        body = string(_T1, event.instance_id) + string(_T2, event.name) + text(_T4, event.input)
        if event.version is not None:
            body += text(_T3, event.version)
        if event.trace_context is not None:
            body += trace_field(_T5, event.trace_context)
        if event.tags:
            body += texts(_T6, event.tags)
        return self._scheduled(event.task_id, _CHILD_CREATED, body)

    def _child_completed(self, event: ev.SubOrchestrationCompleted) -> bytes:
        body = b"\x08" + varint(event.task_id) + text(_T2, event.result)
        return self._plain + message(_CHILD_COMPLETED, body)

    def _child_failed(self, event: ev.SubOrchestrationFailed) -> bytes:
        return self._plain + message(_CHILD_FAILED, b"\x08" + varint(event.task_id) + _failure(_T2, event.failure))

    def _timer_created(self, event: ev.TimerCreated) -> bytes:
        return self._scheduled(event.task_id, _TIMER_CREATED, time_field(_T1, event.fire_at))

    def _timer_fired(self, event: ev.TimerFired) -> bytes:
        body = time_field(_T1, event.fire_at) + b"\x10" + varint(event.task_id)
        return self._plain + _TIMER_FIRED + varint(len(body)) + body

    def _event_raised(self, event: ev.EventRaised) -> bytes:
        return self._plain + message(_EVENT_RAISED, string(_T1, event.name) + text(_T2, event.input))

    def _event_sent(self, event: ev.EventSent) -> bytes:
        body = string(_T1, event.instance_id) + string(_T2, event.name) + text(_T3, event.input)
        return self._scheduled(event.task_id, _EVENT_SENT, body)

    def _entity_called(self, event: ev.EntityCalled) -> bytes:
        request_id = event.request_id or made_request_id(self.execution_id, event.task_id)
        self._calls[event.task_id] = request_id
        body = (
            string(_T1, request_id)
            + string(_T2, event.operation)
            + text(_T4, event.input)
            + text(_T5, self.instance_id)
            + text(_T6, self.execution_id)
            + text(_T7, event.entity_id)
        )
        return self._scheduled(event.task_id, _ENTITY_CALLED, body)

    def _entity_signaled(self, event: ev.EntitySignaled) -> bytes:
        body = string(_T1, event.request_id or made_request_id(self.execution_id, event.task_id))
        body += string(_T2, event.operation)
        if event.due_at is not None:
            body += time_field(_T3, event.due_at)
        body += text(_T4, event.input) + text(_T5, event.entity_id)
        return self._scheduled(event.task_id, _ENTITY_SIGNALED, body)

    def _operation_completed(self, event: ev.EntityOperationCompleted) -> bytes:
        return self._plain + message(_OPERATION_COMPLETED, self._request(event.task_id) + text(_T2, event.result))

    def _operation_failed(self, event: ev.EntityOperationFailed) -> bytes:
        return self._plain + message(_OPERATION_FAILED, self._request(event.task_id) + _failure(_T2, event.failure))

    def _request(self, task_id: int) -> bytes:
        return string(_T1, self._calls.get(task_id) or made_request_id(self.execution_id, task_id))

    def _lock_requested(self, event: ev.EntityLockRequested) -> bytes:
        self._sections[event.task_id] = event.section_id
        members = b"".join(message(_T2, entity_id.encode()) for entity_id in event.entity_ids)
        body = string(_T1, event.section_id) + members + text(_T4, self.instance_id)
        return self._scheduled(event.task_id, _LOCK_REQUESTED, body)

    def _lock_granted(self, event: ev.EntityLockGranted) -> bytes:
        return self._plain + message(_LOCK_GRANTED, string(_T1, self._sections.get(event.task_id, "")))

    def _lock_granted_once(self, event: ev.EntityLockGranted) -> bytes:
        # A rewound execution is granted its locks again; its code knows of them already.
        return b"" if event.task_id in self._granted else self._lock_granted(event)

    def _unlock_sent(self, event: ev.EntityUnlockSent) -> bytes:
        body = string(_T1, event.section_id) + text(_T2, self.instance_id) + text(_T3, event.entity_id)
        return self._scheduled(event.task_id, _UNLOCK_SENT, body)

    @staticmethod
    def of_work_items() -> "_Table":
        """Kind of event → its writer. Some workers refuse how an execution ended and that it was rewound."""
        return {
            ev.OrchestratorStarted: HistoryWriter._orchestrator_started,
            ev.ExecutionStarted: HistoryWriter._execution_started,
            ev.ExecutionTerminated: HistoryWriter._execution_terminated,
            ev.ExecutionSuspended: HistoryWriter._execution_suspended,
            ev.ExecutionResumed: HistoryWriter._execution_resumed,
            ev.TaskScheduled: HistoryWriter._task_scheduled,
            ev.TaskCompleted: HistoryWriter._task_completed,
            ev.TaskFailed: HistoryWriter._task_failed,
            ev.SubOrchestrationCreated: HistoryWriter._child_created,
            ev.SubOrchestrationCompleted: HistoryWriter._child_completed,
            ev.SubOrchestrationFailed: HistoryWriter._child_failed,
            ev.TimerCreated: HistoryWriter._timer_created,
            ev.TimerFired: HistoryWriter._timer_fired,
            ev.EventRaised: HistoryWriter._event_raised,
            ev.EventSent: HistoryWriter._event_sent,
            ev.EntityCalled: HistoryWriter._entity_called,
            ev.EntitySignaled: HistoryWriter._entity_signaled,
            ev.EntityOperationCompleted: HistoryWriter._operation_completed,
            ev.EntityOperationFailed: HistoryWriter._operation_failed,
            ev.EntityLockRequested: HistoryWriter._lock_requested,
            ev.EntityLockGranted: HistoryWriter._lock_granted_once,
            ev.EntityUnlockSent: HistoryWriter._unlock_sent,
        }

    @staticmethod
    def of_clients() -> "_Table":
        """Kind of event → its writer; every kind there is."""
        return HistoryWriter.of_work_items() | {
            ev.ExecutionCompleted: HistoryWriter._execution_completed,
            ev.ExecutionRewound: HistoryWriter._execution_rewound,
            ev.EntityLockGranted: HistoryWriter._lock_granted,
        }


_Table = dict[type, Callable[[HistoryWriter, Any], bytes]]
_OF_WORK_ITEMS = HistoryWriter.of_work_items()
_OF_CLIENTS = HistoryWriter.of_clients()
_BOUNDARIES = frozenset[type]({ev.OrchestratorStarted, ev.ExecutionCompleted})

(
    _EXECUTION_STARTED, _EXECUTION_COMPLETED, _EXECUTION_TERMINATED, _TASK_SCHEDULED, _TASK_COMPLETED, _TASK_FAILED,
    _CHILD_CREATED, _CHILD_COMPLETED, _CHILD_FAILED, _TIMER_CREATED, _TIMER_FIRED,
) = (tag(field) for field in range(3, 14))  # fmt: skip
_ORCHESTRATOR_STARTED = tag(14) + b"\x00"
_ORCHESTRATOR_COMPLETED = tag(15) + b"\x00"
_EVENT_SENT, _EVENT_RAISED = tag(16), tag(17)
(
    _EXECUTION_SUSPENDED, _EXECUTION_RESUMED, _ENTITY_SIGNALED, _ENTITY_CALLED, _OPERATION_COMPLETED,
    _OPERATION_FAILED, _LOCK_REQUESTED, _LOCK_GRANTED, _UNLOCK_SENT, _EXECUTION_REWOUND,
) = (tag(field) for field in range(21, 31))  # fmt: skip


def joined(opening: bytes, frames: Sequence[bytes]) -> bytes:
    """The events as the repeated field that ``opening`` opens."""
    return opening + opening.join(frames) if frames else b""


def history_chunks(frames: Iterable[bytes], size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Encoded ``HistoryChunk``s of about ``size`` bytes; an event is never divided. None for no events."""
    chunk: Frames = []
    filled = 0
    for frame in frames:
        if chunk and filled + len(frame) > size:
            yield joined(CHUNK_EVENTS, chunk)
            chunk, filled = [], 0
        chunk.append(frame)
        filled += len(frame) + 1
    if chunk:
        yield joined(CHUNK_EVENTS, chunk)


def past_frames(past: bytes) -> Iterator[bytes]:
    """The events in what ``HistoryWriter.append`` gave, joined or not."""
    at = 0
    while at < len(past):
        assert past[at] == PAST_EVENTS[0], f"no event begins at byte {at} of the past"
        size, body = read_varint(past, at + 1)
        yield past[at + 1 : body + size]
        at = body + size


def made_request_id(execution_id: str, task_id: int) -> str:
    """The request id of an entity operation whose code named none; workers demand a GUID."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{execution_id}/{task_id}"))


def _parent(parent: ev.ParentLink) -> bytes:
    where = string(_T1, parent.instance_id) + text(_T2, parent.execution_id)
    named = text(_T2, parent.name) + text(_T3, parent.version)
    return b"\x08" + varint(parent.task_id) + named + message(_T4, where)


def _failure(opening: bytes, failure: FailureDetails | None) -> bytes:
    return b"" if failure is None else message(opening, failure_bytes(failure))
