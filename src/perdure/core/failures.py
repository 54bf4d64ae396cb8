"""What is kept of an exception when it crosses a boundary: type, message, stack, cause."""

import traceback
from typing import Any

import msgspec


class FailureDetails(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A failure as data; the type is a name, never something to import."""

    error_type: str
    message: str
    stack_trace: str | None = None
    cause: "FailureDetails | None" = None
    is_non_retriable: bool = False
    properties: dict[str, Any] | None = None
    """JSON values that the failing code added."""


CAUSES_MAX = 8
"""How many links of an exception's chain are kept."""


def failure_of(error: BaseException, *, depth: int = CAUSES_MAX) -> FailureDetails:
    """Describe an exception. Never raises, whatever the exception's own ``__str__`` does."""
    if isinstance(attached := getattr(error, "failure_details", None), FailureDetails):
        return attached
    origin = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return FailureDetails(
        error_type=storable(type(error).__name__),
        message=message_of(error),
        stack_trace=_stack_of(error),
        cause=failure_of(origin, depth=depth - 1) if origin is not None and depth > 1 else None,
    )


def message_of(error: BaseException) -> str:
    """``str(error)``, or ``str(type(error))`` when that is empty or cannot be made (functions-sdk.md §12)."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return storable(text) or str(type(error))


def storable(text: str) -> str:
    """The text with lone surrogates written out as escapes, since no store and no wire can carry them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _stack_of(error: BaseException) -> str | None:
    try:
        return storable("".join(traceback.format_tb(error.__traceback__))) or None
    except Exception:
        return None
