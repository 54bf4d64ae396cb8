"""One call of a user function: its id, its log lines, and the mark by which its own log records are recognised."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Any

import azure.functions as func

from perdure.core.failures import message_of
from perdure.execution.local import RunningTurn

_log = logging.getLogger("perdure.functions.invocations")
running_function: ContextVar[str | None] = ContextVar("perdure_running_function", default=None)
"""The name of the user function that the running code belongs to."""
_local = threading.local()
_turn_sources: list[Callable[[], RunningTurn | None]] = []
_OURS = str(Path(__file__).resolve().parents[1])


class Invocation:
    """Entered around the user's code. Logs its start, end and failure; the exception goes on to the caller."""

    __slots__ = ("_began", "_id", "_level", "_token", "function_name", "reason")

    def __init__(self, function_name: str, reason: str, level: int = logging.INFO) -> None:
        self.function_name = function_name
        self.reason = reason
        self._level = level
        self._id: str | None = None
        self._began = 0.0
        self._token: Token[str | None] | None = None

    @property
    def id(self) -> str:
        """A GUID, made when somebody asks for it."""
        if self._id is None:
            self._id = str(uuid.uuid4())
        return self._id

    def __enter__(self) -> "Invocation":
        self._token = running_function.set(self.function_name)
        if _log.isEnabledFor(self._level):
            self._began = time.perf_counter()
            text = "Executing 'Functions.%s' (Reason='%s', Id=%s)"
            _log.log(self._level, text, self.function_name, self.reason, self.id, extra=self._category())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.log_failure(error, trace)
        elif self._began and _log.isEnabledFor(self._level):
            text = "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)"
            _log.log(self._level, text, self.function_name, self.id, self._milliseconds(), extra=self._category())
        assert self._token is not None, "left without being entered"
        running_function.reset(self._token)

    def log_failure(self, error: BaseException, trace: TracebackType | None) -> None:
        """Say that the call failed, with the user's part of the traceback, which the exception keeps."""
        shown = error.with_traceback(_users_part(trace))
        text = "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms)\n%s: %s"
        values = (self.function_name, self.id, self._milliseconds(), type(error).__name__, message_of(error))
        _log.error(text, *values, exc_info=shown, extra=self._category())

    def _milliseconds(self) -> float:
        return (time.perf_counter() - self._began) * 1000 if self._began else 0

    def _category(self) -> dict[str, str]:
        return {"category": f"Function.{self.function_name}"}


def know_turns(source: Callable[[], RunningTurn | None]) -> None:
    """Ask ``source`` from now on whose turn a thread is in."""
    _turn_sources[:] = [source]


def turn_here() -> RunningTurn | None:
    """The orchestrator or entity whose code the calling thread runs."""
    return next((turn for source in _turn_sources if (turn := source()) is not None), None)


def log_timeout(function_name: str, error: Exception) -> None:
    """Say that a call was given up; its own lines may still come."""
    text = "Executed 'Functions.%s' (Failed: timed out)\n%s"
    _log.error(text, function_name, error, extra={"category": f"Function.{function_name}"})


class TraceContext(func._abc.TraceContext):
    """The caller's trace, in the two spellings that exist."""

    def __init__(self, parent: str, state: str) -> None:
        self._parent = parent
        self._state = state
        self._attributes: dict[str, str] = {}

    @property
    def trace_parent(self) -> str:
        return self._parent

    @property
    def trace_state(self) -> str:
        return self._state

    @property
    def attributes(self) -> dict[str, str]:
        return self._attributes

    Traceparent = trace_parent
    Tracestate = trace_state
    Attributes = attributes


class Retries(func._abc.RetryContext):
    """How often a trigger's run was tried again before, and why."""

    def __init__(self, count: int, count_max: int, error: BaseException | None) -> None:
        self._count = count
        self._count_max = count_max
        self._error = error

    @property
    def retry_count(self) -> int:
        return self._count

    @property
    def max_retry_count(self) -> int:
        """-1 for no end."""
        return self._count_max

    @property
    def exception(self) -> Any:
        """What the run before raised; None in the first."""
        return self._error


running_trace: ContextVar[TraceContext] = ContextVar("perdure_running_trace", default=TraceContext("", ""))  # noqa: B039
"""The trace that the running code belongs to, for functions that were not called over HTTP."""


class InvocationContext(func.Context):
    """What a function's parameter ``context`` receives."""

    def __init__(
        self, invocation: Invocation, directory: str, trace: TraceContext, retries: Retries | None = None
    ) -> None:
        self._invocation = invocation
        self._retries = retries
        self._directory = directory
        self._trace = trace
        _local.invocation_id = invocation.id

    @property
    def invocation_id(self) -> str:
        return self._invocation.id

    @property
    def thread_local_storage(self) -> Any:
        return _local

    @property
    def function_name(self) -> str:
        return self._invocation.function_name

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def trace_context(self) -> TraceContext:
        return self._trace

    @property
    def retry_context(self) -> Any:
        """None where the trigger has no retry policy."""
        return self._retries


def shows_activities() -> bool:
    """Whether the log takes the lines of every activity call."""
    return _log.isEnabledFor(logging.DEBUG)


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace
