"""Failures as orchestrator code sees them: what was kept of an exception, and the errors raised at a yield."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perdure.core import failures


@dataclass(frozen=True)
class FailureDetails:
    """A failure as it crossed a boundary. The type is a name; nothing is imported because of it."""

    message: str
    error_type: str
    stack_trace: str | None
    inner_failure: "FailureDetails | None" = None
    """The failure that led to this one."""
    properties: Mapping[str, Any] | None = None
    is_non_retriable: bool = False

    @property
    def inner(self) -> "FailureDetails | None":
        """The failure that led to this one."""
        return self.inner_failure

    def is_caused_by(self, error_type: str | type[BaseException]) -> bool:
        """Whether the failure is of that type; by a class also when it is of a loaded subclass.

        Of names one of which has no module, the last parts count. Raises TypeError for anything else.
        """
        if isinstance(error_type, str):
            return _same_name(self.error_type, error_type)
        if not (isinstance(error_type, type) and issubclass(error_type, BaseException)):
            raise TypeError(f"is_caused_by takes an exception class or the name of one, not {error_type!r}.")
        return any(
            self.error_type in (f"{cls.__module__}.{cls.__qualname__}", cls.__name__)
            for cls in _with_subclasses(error_type)
        )


class TaskFailedError(Exception):
    """An activity, sub-orchestration, entity operation or timed wait failed; ``details`` tells how."""

    def __init__(self, message: str, details: FailureDetails | BaseException) -> None:
        super().__init__(message)
        self._details = details if isinstance(details, FailureDetails) else details_of(details)

    @property
    def details(self) -> FailureDetails:
        """What failed."""
        return self._details

    @property
    def failure_details(self) -> failures.FailureDetails:
        """This exception as a failure of the code that lets it pass, with what failed as its cause."""
        return failures.FailureDetails(
            error_type=type(self).__name__,
            message=str(self),
            stack_trace="".join(traceback.format_tb(self.__traceback__)) or None,
            cause=stored_failure(self._details),
        )


class NonDeterminismError(Exception):
    """The orchestrator does what cannot be replayed, or no longer fits its history."""


class OrchestrationStateError(Exception):
    """The orchestration is not in a state that allows what was asked."""


class TaskCancelledError(Exception):
    """The task was cancelled."""

    def __init__(self, message: str = "The task was cancelled.") -> None:
        super().__init__(message)


for _error in (FailureDetails, TaskFailedError, NonDeterminismError, OrchestrationStateError, TaskCancelledError):
    _error.__module__ = "durabletask.task"  # where users import it from, and what failures name


def details_of(error: BaseException) -> FailureDetails:
    """Describe an exception."""
    return shown_failure(failures.failure_of(error), type_name=f"{type(error).__module__}.{type(error).__qualname__}")


def shown_failure(failure: failures.FailureDetails, *, type_name: str | None = None) -> FailureDetails:
    """A stored failure as users see it."""
    return FailureDetails(
        message=failure.message,
        error_type=type_name or failure.error_type,
        stack_trace=failure.stack_trace,
        inner_failure=None if failure.cause is None else shown_failure(failure.cause),
        properties=failure.properties,
        is_non_retriable=failure.is_non_retriable,
    )


def stored_failure(details: FailureDetails) -> failures.FailureDetails:
    """What users see of a failure, as it is stored."""
    return failures.FailureDetails(
        error_type=details.error_type,
        message=details.message,
        stack_trace=details.stack_trace,
        cause=None if details.inner_failure is None else stored_failure(details.inner_failure),
        is_non_retriable=details.is_non_retriable,
        properties=None if details.properties is None else dict(details.properties),
    )


def _same_name(stored: str, asked: str) -> bool:
    if "." in stored and "." in asked:
        return stored == asked
    # Other languages and engines keep the last part only.
    return stored.rpartition(".")[2] == asked.rpartition(".")[2]


def _with_subclasses(cls: type[BaseException]) -> list[type[BaseException]]:
    found = [cls]
    for known in found:
        found += [sub for sub in type.__subclasses__(known) if sub not in found]
    return found
