"""What a subclass of a worker is told of its activities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _nobody(request: Any) -> None:
    """For workers whose class asks for nothing."""


@dataclass(frozen=True, slots=True)
class ActivityHooks:
    """Told of each activity's request (``pb.ActivityRequest``), on the thread of the call."""

    started: Callable[[Any], None] = _nobody
    completed: Callable[[Any], None] = _nobody
