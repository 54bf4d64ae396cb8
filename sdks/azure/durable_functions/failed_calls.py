"""The exception at the yield of a failed call: of our type, and of the one that the called function raised.

So ``except ValueError`` around an activity is ordinary Python. What a failure names is only looked up among names that
the orchestrator's own code can write after ``except``; nothing is imported, and no code of a class is run for it.
"""

import builtins
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from azure.durable_functions.errors import TaskFailedError
from perdure.core.failures import FailureDetails
from perdure.core.replay.policy import FailedKind
from perdure.formats.azure_json.failure_texts import details_of, reason_of

_APART = (StopIteration, StopAsyncIteration, BaseExceptionGroup, TaskFailedError)
"""Types that mean something to generators, or hold more than a text."""


class FailedCalls:
    """Makes the exceptions of one orchestrator. ``names`` are the global names of its code."""

    __slots__ = ("_names", "_types")

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names
        self._types: dict[str, type[TaskFailedError]] = {}

    def __call__(self, kind: FailedKind, name: str, failure: FailureDetails) -> TaskFailedError:
        """The exception with the official text (functions-sdk.md §12)."""
        if kind is FailedKind.ENTITY:
            text = failure.message
        else:
            text = f"{reason_of(kind, name, failure)} \n {details_of(failure)}"
        try:
            return self._type_of(failure)(text, failure)
        except Exception:
            # A class whose instances cannot be made from a text.
            return TaskFailedError(text, failure)

    def _type_of(self, failure: FailureDetails) -> type[TaskFailedError]:
        while failure.error_type == TaskFailedError.__name__ and failure.cause is not None:
            failure = failure.cause
        raised = failure.error_type
        found = self._types.get(raised)
        if found is None:
            found = self._types[raised] = _joined(_exception_named(raised, self._names))
        return found


def _exception_named(name: str, names: Mapping[str, Any]) -> type[Exception] | None:
    modules = [vars(value) for value in list(names.values()) if isinstance(value, ModuleType)]
    for place in (names, vars(builtins), *modules):
        candidate = place.get(name)
        if isinstance(candidate, type) and issubclass(candidate, Exception):
            return None if issubclass(candidate, _APART) else candidate
    return None


def _joined(raised: type[Exception] | None) -> type[TaskFailedError]:
    if raised is None:
        return TaskFailedError
    try:
        members = {"__module__": TaskFailedError.__module__, "__doc__": TaskFailedError.__doc__}
        return type(TaskFailedError.__name__, (TaskFailedError, raised), members)
    except TypeError:
        # Some classes cannot be combined with another.
        return TaskFailedError
