"""Exceptions of user code as portable failures: fully qualified type names, and properties the user's provider adds."""

import json
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from durabletask.failures import TaskFailedError, stored_failure
from perdure.core.errors import NonDeterminism, OrchestratorMisuse
from perdure.core.failures import FailureDetails, message_of, storable

CAUSES_MAX = 10

Describe = Callable[[BaseException], FailureDetails]

logger = logging.getLogger("durabletask-worker")


@runtime_checkable
class ExceptionPropertiesProvider(Protocol):
    """Says what else is worth keeping of an exception."""

    def get_exception_properties(self, exception: BaseException) -> Mapping[str, Any] | None:
        """JSON values by name; None for nothing."""
        ...


def describer(provider: ExceptionPropertiesProvider | None = None) -> Describe:
    """Describes exceptions with their causes, ten at most. What the provider does wrong is logged, and no failure."""

    def describe(error: BaseException, depth: int = CAUSES_MAX) -> FailureDetails:
        return FailureDetails(
            error_type=_type_name(error),
            message=message_of(error),
            stack_trace=_stack_of(error),
            cause=cause_of(error, depth - 1),
            properties=None if provider is None else _properties(provider, error),
        )

    def cause_of(error: BaseException, depth: int) -> FailureDetails | None:
        if depth < 1:
            return None
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            return describe(cause, depth)
        return stored_failure(error.details) if isinstance(error, TaskFailedError) else None

    return describe


class DescribedFailure(Exception):
    """Carries a failure through the engine, which would describe the exception its own way."""

    def __init__(self, failure_details: FailureDetails) -> None:
        super().__init__(failure_details.message)
        self.failure_details = failure_details


def _type_name(error: BaseException) -> str:
    cls = type(error)
    if isinstance(error, NonDeterminism):
        return "durabletask.task.NonDeterminismError"
    if isinstance(error, OrchestratorMisuse):
        return "builtins.TypeError"
    return storable(f"{cls.__module__}.{cls.__qualname__}")


def _stack_of(error: BaseException) -> str | None:
    try:
        return storable("".join(traceback.format_tb(error.__traceback__))) or None
    except Exception:
        return None


def _properties(provider: ExceptionPropertiesProvider, error: BaseException) -> dict[str, Any] | None:
    try:
        found = provider.get_exception_properties(error)
        return None if not found else json.loads(json.dumps(dict(found)))
    except Exception as fault:
        logger.warning(
            "The properties of a %s are left out: its provider failed, or gave what JSON cannot hold (%s: %s).",
            type(error).__name__, type(fault).__name__, fault,
        )  # fmt: skip
        return None


ExceptionPropertiesProvider.__module__ = "durabletask.exception_properties"
