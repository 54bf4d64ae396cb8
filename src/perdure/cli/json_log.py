"""Log records as JSON, one object a line, for tools (`--enable-json-output`)."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from perdure.functions.logging_setup import category_of

_LEVELS = (
    (logging.CRITICAL, "Critical"),
    (logging.ERROR, "Error"),
    (logging.WARNING, "Warning"),
    (logging.INFO, "Information"),
    (logging.DEBUG, "Debug"),
)


class JsonFormatter(logging.Formatter):
    """``{"timestamp", "level", "category", "message", "exception"?}``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created, UTC)
        line = {
            "timestamp": f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z",
            "level": next((name for number, name in _LEVELS if record.levelno >= number), "Trace"),
            "category": category_of(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode({name: _encodable(text) for name, text in line.items()}).decode()


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def json_file_handler(path: Path, like: logging.Handler) -> logging.Handler:
    """A handler that appends to a file what ``like`` shows. Raises OSError."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    for shown in like.filters:
        handler.addFilter(shown)
    return handler
