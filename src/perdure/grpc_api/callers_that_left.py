"""A caller that goes away while it is answered: gRPC logs that as an error of its core, with a stack; it is none."""

import logging

_LOGGER = "grpc._cython.cygrpc"
_ERROR = "ExecuteBatchError"
"""What sending fails with once nobody is there. gRPC gives the class no public name."""


def log_without_them() -> None:
    """Keep these lines out of the process's log. Twice-safe."""
    logging.getLogger(_LOGGER).addFilter(_is_something_else)


def _is_something_else(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ != _ERROR
