"""The events of an orchestration's history, as users read them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class HistoryEvent:
    """What all events have. The time is aware UTC."""

    event_id: int
    timestamp: datetime
