"""A logger that says each line once, however often the code is replayed."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    _LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:
    _LoggerAdapter = logging.LoggerAdapter


class ReplaySafeLogger(_LoggerAdapter):
    """Silent while ``is_replaying()``."""

    def __init__(self, logger: logging.Logger, is_replaying: Callable[[], bool]) -> None:
        super().__init__(logger, {})
        self._is_replaying = is_replaying

    def isEnabledFor(self, level: int) -> bool:
        """Whether a record of that level would be taken now."""
        return not self._is_replaying() and self.logger.isEnabledFor(level)


ReplaySafeLogger.__module__ = "durabletask.task"
