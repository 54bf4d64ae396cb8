"""Which error becomes which status. One table; what is unexpected is logged and not shown."""

import logging

from google.protobuf.message import DecodeError

from perdure.client import (
    HistoryCorrupted,
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InstanceRunning,
    InvalidIdentifier,
    InvalidInput,
    NotRegistered,
    Overloaded,
    StorageError,
    StoreFull,
    Unavailable,
)
from perdure.grpc_api.codes import Code

logger = logging.getLogger("perdure.grpc_api")

TEXT_BYTES_MAX = 2_000
"""A status travels in a header, where a byte outside of printable ASCII becomes three, and headers are bounded."""


class Refused(Exception):
    """A call that ends with this status."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class Stopping(Refused):
    """The server stops, and nothing of the call has been done."""

    def __init__(self) -> None:
        super().__init__(Code.UNAVAILABLE, "The server is stopping; try again.")


STATUSES: dict[type[Exception], Code] = {
    DecodeError: Code.INVALID_ARGUMENT,
    ValueError: Code.INVALID_ARGUMENT,
    InvalidInput: Code.INVALID_ARGUMENT,
    InvalidIdentifier: Code.INVALID_ARGUMENT,
    NotRegistered: Code.INVALID_ARGUMENT,
    InstanceNotFound: Code.NOT_FOUND,
    InstanceExists: Code.ALREADY_EXISTS,
    InstanceFinished: Code.FAILED_PRECONDITION,
    InstanceRunning: Code.FAILED_PRECONDITION,
    InstanceNotFailed: Code.FAILED_PRECONDITION,
    Overloaded: Code.RESOURCE_EXHAUSTED,
    StoreFull: Code.RESOURCE_EXHAUSTED,
    Unavailable: Code.UNAVAILABLE,
    # Whether it was written is not known, so nobody may try again without looking.
    StorageError: Code.INTERNAL,
    # The others go on; this one must be looked at.
    HistoryCorrupted: Code.FAILED_PRECONDITION,
}
"""The nearest class in an error's line of ancestors counts."""


def status_of(error: Exception, call: str) -> tuple[Code, str]:
    """How a call that ended with ``error`` is answered."""
    if isinstance(error, Refused):
        return error.code, _short(str(error))
    for kind in type(error).__mro__:
        code = STATUSES.get(kind)
        if code is not None:
            text = "The request is not a message of this call." if kind is DecodeError else str(error)
            return code, _short(text)
    logger.error("The call %s failed unexpectedly.", call, exc_info=error)
    return Code.INTERNAL, f"The server failed unexpectedly ({type(error).__name__}); its log tells more."


def _short(text: str) -> str:
    return text.encode("utf-8", "replace")[:TEXT_BYTES_MAX].decode("utf-8", "ignore")
